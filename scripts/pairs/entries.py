"""Lists of entries to train on: which map, which model, what resolution, which split."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryomap.errors import InputError

SPLITS = ("train", "validation", "test")
LISTS = Path(__file__).parent / "ids"
MAP_ENDINGS = (".map", ".mrc", ".ccp4", ".map.gz", ".mrc.gz", ".ccp4.gz")
MODEL_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".pdb.gz", ".ent.gz", ".cif.gz", ".mmcif.gz")


@dataclass(frozen=True)
class Entry:
    """A map and its model, here or in the archives.

    Attributes:
        name: unique in a list; names the files made of it.
        emdb_id: "EMD-1234", or "".
        pdb_id: or "".
        resolution: in A; 0 if it is to be read from EMDB's header or the model's file.
        split: one of `SPLITS`.
        map_file: a file here, or "": from EMDB.
        model_file: a file here, or "": from the PDB.
        specimen: what the map is of, where several maps are of one thing; else its name.
        split_given: whether the list says so, and it wasn't drawn by the name.
        deposited: whether the model was built into the map, and not docked into it.
        modelling: whether the paper had models built into the map.
    """

    name: str
    emdb_id: str
    pdb_id: str
    resolution: float
    split: str
    map_file: str = ""
    model_file: str = ""
    specimen: str = ""
    split_given: bool = False
    deposited: bool = True
    modelling: bool = False


def read_list(path: str | os.PathLike, folder: str | os.PathLike | None = None) -> list[Entry]:
    """Entries of a tab-separated table.

    Columns, in any order, others ignored: emdb_id, pdb_id, resolution_A, split, map_file, model_file, specimen,
    model_aligned ("yes" or "yes, part of the box": the model was built into the map), structure_modelling ("yes": of
    the paper's test of modelling). An entry without a split gets one by its name (see `split_of`). Lines with a
    `reason` are left out: prepare_pairs.py refused them.

    Args:
        path: the table.
        folder: where map_file and model_file are, unless they are whole paths; if not given, the table's own folder
            or `maps` in it.

    Raises:
        InputError: no such file, neither emdb_id nor map_file, or a value that can't be read.
    """
    path = Path(path)
    folders = [path.parent, path.parent / "maps"] if folder is None else [Path(folder)]
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table in UTF-8 ({error}); save it as such") from None
    if not rows:
        raise InputError(f"{path}: no entries in it")
    if not {"emdb_id", "map_file"} & set(rows[0]):
        raise InputError(
            f"{path}: it has neither a column emdb_id nor map_file; columns are separated by tabs"
        )
    found: dict[str, Entry] = {}
    for line, row in enumerate(rows, 2):
        if row.get("reason"):
            continue
        entry = _entry(row, folders, f"{path}, line {line}")
        if entry.name in found:
            raise InputError(f"{path}, line {line}: {entry.name} stands there twice")
        found[entry.name] = entry
    return list(found.values())


def _entry(row: dict, folders: list[Path], where: str) -> Entry:
    value = {key: (text or "").strip() for key, text in row.items() if isinstance(key, str)}
    emdb_id = f"EMD-{emdb_number(value['emdb_id'])}" if value.get("emdb_id") else ""
    for key in ("map_file", "model_file"):
        if ".." in Path(value.get(key, "")).parts:
            raise InputError(f"{where}: {key} {value[key]!r} leads out of its folder; give the whole path")
    files = {key: _place(value.get(key, ""), folders) for key in ("map_file", "model_file")}
    name = stem(Path(files["map_file"])) if files["map_file"] else emdb_id
    if not name:
        raise InputError(f"{where}: neither emdb_id nor map_file")
    try:
        resolution = float(value.get("resolution_A") or 0)
        if not 0 <= resolution <= 100:
            raise ValueError
    except ValueError:
        raise InputError(f"{where}: resolution_A is {value['resolution_A']!r}, not a number of A") from None
    split = value.get("split") or split_of(name)
    if split not in SPLITS:
        raise InputError(f"{where}: split is {split!r}; it must be one of {', '.join(SPLITS)}, or empty")
    deposited = value.get("model_aligned", "yes") in ("yes", "yes, part of the box")
    specimen = value.get("specimen") or name
    files |= {"specimen": specimen, "split_given": bool(value.get("split")), "deposited": deposited}
    files["modelling"] = value.get("structure_modelling") == "yes"
    return Entry(name, emdb_id, value.get("pdb_id", ""), resolution, split, **files)


def _place(name: str, folders: list[Path]) -> str:
    places = [folder / name for folder in folders]
    return str(next((p for p in places if p.is_file()), places[0])) if name else ""


def scan_folder(folder: str | os.PathLike) -> list[Entry]:
    """Maps and models of a folder that have the same name but for the ending: a.mrc.gz with a.cif.

    Raises:
        InputError: no such folder, or no such pair in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = sorted(folder.iterdir())
    models = {stem(f): f for f in files if f.name.lower().endswith(MODEL_ENDINGS)}
    maps = {stem(f): f for f in files if f.name.lower().endswith(MAP_ENDINGS)}
    entries = [
        Entry(name, "", "", 0.0, split_of(name), str(maps[name]), str(models[name]), name)
        for name in sorted(maps.keys() & models.keys())
    ]
    if not entries:
        raise InputError(f"{folder}: no map with a model of the same name; or give a list of entries")
    return entries


def stem(path: Path) -> str:
    """A file's name without .gz and the ending before it."""
    return path.name.removesuffix(".gz").rpartition(".")[0]


def split_of(name: str) -> str:
    """A split by name alone, so that a list may grow: 65, 15 and 20 % of names, CryoSAMU's shares."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return SPLITS[0] if share < 0.65 else SPLITS[1] if share < 0.80 else SPLITS[2]


def emdb_number(emdb_id: str) -> str:
    """The digits of an EMDB id, at least four: EMD-93, emd_0093 and 93 are all "0093".

    Raises:
        InputError: not an EMDB id.
    """
    match = re.fullmatch(r"(?:EMD[-_]?)?([0-9]{1,6})", emdb_id.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise InputError(f"{emdb_id!r} is not an EMDB id such as EMD-30342")
    return match[1].lstrip("0").zfill(4)
