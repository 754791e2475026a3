"""Packs: many structures in one small file, with what is known of their relations."""

from __future__ import annotations

import csv
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cryomap.errors import InputError
from cryomap.replacing import replacing

from .structures import Structure, read_structure

ENDINGS = (".pdb", ".cif", ".ent")
WIDEST = 320  # A from the centre; positions are kept as 16 bits of 0.01 A
TYPES = {
    "atomic_numbers": np.uint8,
    "kinds": np.uint8,
    "chains": np.int32,
    "residues": np.int32,
    "depths": np.uint8,
    "charges": np.uint8,
}


def pack(structures: list[Structure], path: str | os.PathLike) -> None:
    """Write structures into one compressed file; positions to 0.01 A, about the centre of each.

    Raises:
        WriteError: it can't be written.
    """
    columns = {name: torch.cat([s.columns()[name] for s in structures]).numpy() for name in TYPES}
    centred = [((s.positions - s.positions.mean(0)) * 100).round().short() for s in structures]
    columns["positions"] = torch.cat(centred).numpy()
    columns["b_ranks"] = torch.cat([(s.b_ranks * 255).byte() for s in structures]).numpy()
    columns["chains"] = columns["chains"].astype(np.int16)
    columns["lengths"] = np.array([len(s) for s in structures])
    columns["pdb_ids"] = np.array([s.pdb_id for s in structures])
    columns["clusters"] = np.array([s.cluster for s in structures])
    columns["relative_of"] = np.array([" ".join(s.relative_of) for s in structures])
    with replacing(path) as temporary, open(temporary, "wb") as out:
        np.savez_compressed(out, **columns)


def unpack(path: str | os.PathLike) -> list[Structure]:
    """Read what `pack` wrote.

    Raises:
        InputError: no such file, not a pack, a damaged one, or an empty one.
    """
    remedy = "make it with scripts/pack_structures.py"
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
        lengths = data["lengths"].astype(np.int64)
        ends = np.cumsum(lengths)
        whole = all(len(data[key]) == ends[-1] for key in ("positions", "b_ranks", *TYPES))
        if not whole or (lengths < 1).any() or len(data["pdb_ids"]) != len(lengths):
            raise ValueError("its columns don't fit together")
        blank = np.full(len(lengths), "")
        told = (data.get(key, blank) for key in ("clusters", "relative_of"))
        found = []
        for pdb_id, cluster, relative_of, end, n in zip(data["pdb_ids"], *told, ends, lengths, strict=True):
            part = slice(end - n, end)
            columns = {name: torch.from_numpy(data[name][part].astype(kind)) for name, kind in TYPES.items()}
            columns["positions"] = torch.from_numpy(data["positions"][part].astype(np.float32) / 100)
            columns["b_ranks"] = torch.from_numpy(data["b_ranks"][part].astype(np.float32) / 255)
            facts = {"cluster": str(cluster), "relative_of": tuple(str(relative_of).split())}
            found.append(Structure(str(pdb_id), **columns, **facts))
        return found
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a pack of structures, or an old one ({error}); {remedy}") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: a damaged pack of structures ({error}); {remedy}") from None


def read_folder(folder: str | os.PathLike) -> tuple[list[Structure], list[str]]:
    """Every structure of a folder, and a line for each file that has to be left out.

    Raises:
        InputError: no such folder, or no structure in it.
    """
    structures, left_out = [], []
    try:
        files = sorted(Path(folder).iterdir())
    except OSError as error:
        raise InputError(f"{folder}: not a folder that can be read ({error.strerror})") from None
    for file in files:
        if not any(end in file.name for end in ENDINGS):
            continue
        try:
            structure = read_structure(file)
            if float(structure.positions.sub(structure.positions.mean(0)).abs().max()) > WIDEST:
                raise InputError(f"{file}: wider than {2 * WIDEST} A")
            structures.append(structure)
        except InputError as error:
            left_out.append(str(error))
    if not structures:
        reason = f": {left_out[0]}" if left_out else ""
        raise InputError(f"{folder}: no usable structures ({', '.join(ENDINGS)}, plain or .gz){reason}")
    return structures, left_out


def with_relations(structures: Iterable[Structure], table: str | os.PathLike) -> list[Structure]:
    """Structures with their clusters and the maps they are related to.

    Args:
        structures: to be told.
        table: tab-separated, with the columns pdb_id, cluster, and, or not, relative_of (names of maps or EMDB ids,
            separated by spaces).

    Raises:
        InputError: no such table, no such columns, or a structure isn't in it.
    """
    path = Path(table)
    try:
        with open(path, newline="") as handle:
            rows = {row["pdb_id"].upper(): row for row in csv.DictReader(handle, delimiter="\t")}
        found = []
        for s in structures:
            row = rows.get(s.pdb_id.upper())
            if row is None:
                raise InputError(f"{path}: {s.pdb_id} isn't in it")
            facts = {
                "cluster": row["cluster"] or "",
                "relative_of": tuple((row.get("relative_of") or "").split()),
            }
            found.append(replace(s, **facts))
        return found
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except (KeyError, AttributeError, csv.Error, UnicodeDecodeError):
        raise InputError(f"{path}: it needs the columns pdb_id and cluster, separated by tabs") from None


def with_clusters(structures: Iterable[Structure], linked: Iterable[tuple[str, str]]) -> list[Structure]:
    """Structures with clusters of entries that are linked, directly or through others, by pairs of ids."""
    structures = list(structures)
    cluster = {s.pdb_id: s.pdb_id for s in structures}

    def root(name: str) -> str:
        while cluster[name] != name:
            name = cluster[name]
        return name

    for first, second in linked:
        cluster[root(second)] = root(first)
    return [replace(s, cluster=root(s.pdb_id)) for s in structures]
