"""The structures that simulated experiments start from: packed into one small file, split by entry."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cryomap.atoms import KINDS, AtomicModel, read_model
from cryomap.errors import InputError
from cryomap.replacing import replacing

from .side_chains import side_chains_of

POLYMERS = (KINDS.index("protein"), KINDS.index("nucleic"))


@dataclass(frozen=True)
class Structure:
    """The heavy atoms of one entry, waters left out.

    Attributes:
        pdb_id: the entry.
        positions: float32 (n, 3), x, y, z in A.
        atomic_numbers: uint8 (n,).
        b_ranks: float32 (n,), each atom's rank by B factor within the entry, 0 (rigid) to 1.
        kinds: uint8 (n,), index into `cryomap.atoms.KINDS`.
        chains: int32 (n,), number of the chain.
        residues: int32 (n,), number of the residue.
        depths, charges: uint8 (n,), see `side_chains`.
    """

    pdb_id: str
    positions: Tensor
    atomic_numbers: Tensor
    b_ranks: Tensor
    kinds: Tensor
    chains: Tensor
    residues: Tensor
    depths: Tensor
    charges: Tensor

    def __len__(self) -> int:
        return len(self.positions)

    def columns(self) -> dict[str, Tensor]:
        """What is known of each atom, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "pdb_id"}

    def chosen(self, which: Tensor, device: torch.device | str = "cpu") -> Structure:
        """The atoms that a mask (n,) chooses, on a device."""
        return replace(self, **{name: column[which].to(device) for name, column in self.columns().items()})


def join(parts: Sequence[Structure]) -> Structure:
    """Several as one, under the first one's id; residues and chains are numbered on."""
    columns = {name: [part.columns()[name] for part in parts] for name in parts[0].columns()}
    for name in ("residues", "chains"):
        starts = accumulate((int(column.max()) + 1 for column in columns[name]), initial=0)
        columns[name] = [column + start for column, start in zip(columns[name], starts, strict=False)]
    return replace(parts[0], **{name: torch.cat(column) for name, column in columns.items()})


def read_structure(path: str | os.PathLike) -> Structure:
    """One entry from a PDB or mmCIF file: first conformations, no hydrogens, no waters.

    Raises:
        InputError: not a model, or nothing left of it.
    """
    model = first_conformations(read_model(path))
    if not len(model):
        raise InputError(f"{path}: no heavy atoms besides water")
    return structure_of(model, Path(path).name.split(".")[0])


def first_conformations(model: AtomicModel) -> AtomicModel:
    """A model's heavy atoms without waters, of alternate conformations the first."""
    keep = (model.atomic_numbers > 1) & (model.atom_kinds != "water") & (model.occupancies > 0)
    return model.subset(keep & np.isin(model.alt_locs, ["", "A", "1"]))


def structure_of(model: AtomicModel, pdb_id: str) -> Structure:
    """All atoms of a model, which must have some, as the trainer has them."""
    kinds = np.array([KINDS.index(r.kind) for r in model.residues], np.uint8)[model.residue_indices]
    names = [r.chain_id for r in model.residues]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    chains = np.array([numbers[name] for name in names], np.int32)[model.residue_indices]
    order = np.argsort(np.argsort(model.b_factors, kind="stable"))
    owners = [model.residues[i] for i in model.residue_indices]
    depths, charges = side_chains_of(model.atom_names, [r.name for r in owners], [r.kind for r in owners])
    return Structure(
        pdb_id,
        torch.from_numpy(model.positions.astype(np.float32)),
        torch.from_numpy(model.atomic_numbers),
        torch.from_numpy((order / max(1, len(model) - 1)).astype(np.float32)),
        torch.from_numpy(kinds),
        torch.from_numpy(chains),
        torch.from_numpy(model.residue_indices),
        torch.from_numpy(depths),
        torch.from_numpy(charges),
    )


def pack(structures: list[Structure], path: str | os.PathLike) -> None:
    """Write structures into one compressed file; positions to 0.01 A, about the centre of each."""
    lengths = np.array([len(s) for s in structures])
    centred = [((s.positions - s.positions.mean(0)) * 100).round().short() for s in structures]
    columns = {
        "positions": torch.cat(centred),
        "atomic_numbers": torch.cat([s.atomic_numbers for s in structures]),
        "b_ranks": torch.cat([(s.b_ranks * 255).byte() for s in structures]),
        "kinds": torch.cat([s.kinds for s in structures]),
        "chains": torch.cat([s.chains.short() for s in structures]),
        "residues": torch.cat([s.residues for s in structures]),
        "depths": torch.cat([s.depths for s in structures]),
        "charges": torch.cat([s.charges for s in structures]),
    }
    arrays = {key: value.numpy() for key, value in columns.items()}
    with replacing(Path(path)) as temporary, open(temporary, "wb") as out:
        np.savez_compressed(out, lengths=lengths, pdb_ids=np.array([s.pdb_id for s in structures]), **arrays)


def unpack(path: str | os.PathLike) -> list[Structure]:
    """Read what `pack` wrote.

    Raises:
        InputError: no such file, or not a pack.
    """
    try:
        with np.load(path) as file:
            data = {key: file[key] for key in file.files}
        ends = np.cumsum(data["lengths"])
        slices = [slice(end - n, end) for n, end in zip(data["lengths"], ends, strict=True)]
        return [
            Structure(
                str(pdb_id),
                torch.from_numpy(data["positions"][part].astype(np.float32) / 100),
                torch.from_numpy(data["atomic_numbers"][part]),
                torch.from_numpy(data["b_ranks"][part].astype(np.float32) / 255),
                torch.from_numpy(data["kinds"][part]),
                torch.from_numpy(data["chains"][part].astype(np.int32)),
                torch.from_numpy(data["residues"][part]),
                torch.from_numpy(data["depths"][part]),
                torch.from_numpy(data["charges"][part]),
            )
            for pdb_id, part in zip(data["pdb_ids"], slices, strict=True)
        ]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a pack of structures, or an old one; pack them again ({error})"
        ) from None


def pack_folder(folder: str | os.PathLike, path: str | os.PathLike) -> list[str]:
    """Pack every structure of a folder; returns a line for each file that had to be left out."""
    structures, left_out = [], []
    for file in sorted(Path(folder).iterdir()):
        if not any(end in file.name for end in (".pdb", ".cif", ".ent")):
            continue
        try:
            structure = read_structure(file)
            if float(structure.positions.sub(structure.positions.mean(0)).abs().max()) > 320:
                raise InputError(f"{file}: wider than 640 A")
            structures.append(structure)
        except InputError as error:
            left_out.append(str(error))
    if not structures:
        raise InputError(f"{folder}: no structures (.pdb, .cif, .ent, plain or .gz)")
    pack(structures, path)
    return left_out


def is_held_out(pdb_id: str, share: float = 0.08) -> bool:
    """Whether an entry is one of the share never trained on; by a hash of its id, so that it never changes."""
    return zlib.crc32(pdb_id.lower().encode()) % 1000 < 1000 * share


def split(structures: list[Structure], validation: float = 0.08) -> tuple[list[Structure], list[Structure]]:
    """Training and validation entries."""
    training = [s for s in structures if not is_held_out(s.pdb_id, validation)]
    return training, [s for s in structures if is_held_out(s.pdb_id, validation)]
