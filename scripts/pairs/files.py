"""A folder of experimental pairs: what is in it, and which cubes of a pair of maps are valid.

settings.json and index.tsv (a line an entry) and, for each entry that is used, NAME.npy: float16 (2, z, y, x), the
normalised map and its target on a 1 A grid about the model, and NAME.starts.npy: int32 (n, 3), the first voxel
(z, y, x) of each valid cube. Cubes overlap, so that keeping maps and starts takes a fraction of what keeping cubes
would; both files are memory-mapped. Float16 keeps 11 bits of values from 0 to 1.
"""

from __future__ import annotations

import csv
import glob
import os
from pathlib import Path

import numpy as np

from cryomap.errors import InputError
from cryomap.replacing import replacing

INDEX = "index.tsv"
COLUMNS = "entry emdb_id pdb_id split resolution_A target_sigma_A correlation cubes reason map_file model_file".split()


def cube_starts(shape: tuple[int, int, int], size: int, stride: int, margin: int = 0) -> list[np.ndarray]:
    """First voxels along z, y and x of cubes that scan a map.

    Args:
        shape: of the map.
        size: edge of a cube.
        stride: between neighbours.
        margin: cubes begin this far before the map, where it counts as 0, and end as far behind it or farther;
            without a margin the last cube ends inside the map, as SuperEM's do.
    """
    if margin:
        return [np.arange(-margin, max(1, n - margin), stride) for n in shape]
    return [np.arange(0, n - size + 1, stride) for n in shape]


def occupied(values: np.ndarray, starts: list[np.ndarray], size: int) -> np.ndarray:
    """Which cubes hold a value other than 0: bool, one axis of starts each."""
    found = values != 0
    for axis, along in enumerate(starts):
        counts = np.cumsum(np.moveaxis(found, axis, 0), axis=0, dtype=np.int32)
        counts = np.concatenate([np.zeros_like(counts[:1]), counts])
        low, high = np.clip(along, 0, len(counts) - 1), np.clip(along + size, 0, len(counts) - 1)
        found = np.moveaxis(counts[high] - counts[low] > 0, 0, axis)
    return found


def valid_starts(pair: np.ndarray, size: int, stride: int, margin: int = 0) -> np.ndarray:
    """First voxels (n, 3), int32, of the cubes that are all zero in neither map of `pair` (2, z, y, x).

    The papers' rule: SuperEM, Methods, "Dataset Generation".
    """
    starts = cube_starts(pair.shape[1:], size, stride, margin)
    valid = occupied(pair[0], starts, size) & occupied(pair[1], starts, size)
    chosen = np.argwhere(valid)
    return np.stack([s[i] for s, i in zip(starts, chosen.T, strict=True)], axis=1).astype(np.int32)


def save_pair(folder: Path, name: str, pair: np.ndarray, starts: np.ndarray) -> None:
    """Write an entry's maps and, last, the starts of its cubes: where there are starts, both are whole.

    Raises:
        WriteError: the disk is full, or the folder can't be written.
    """
    (folder / f"{name}.starts.npy").unlink(missing_ok=True)
    for left_by_a_killed_run in folder.glob(f".{glob.escape(name)}.*npy.*.tmp"):
        left_by_a_killed_run.unlink()
    for ending, values in ((".npy", pair.astype(np.float16)), (".starts.npy", starts)):
        save_array(folder / (name + ending), values)


def save_array(path: Path, values: np.ndarray) -> None:
    """Write an array as .npy, whole or not at all; the folder is made.

    Raises:
        WriteError: the disk is full, or the folder can't be written.
    """
    with replacing(path, make_folders=True) as temporary, open(temporary, "wb") as out:
        np.save(out, values)


def write_index(folder: Path, rows: list[dict]) -> None:
    """Write index.tsv: `COLUMNS` of each entry; the split is empty where it is not used, and `reason` says why."""
    with (
        replacing(folder / INDEX, make_folders=True) as temporary,
        open(temporary, "w", newline="") as out,
    ):
        writer = csv.DictWriter(out, COLUMNS, delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def read_index(folder: str | os.PathLike) -> list[dict[str, str]]:
    """The lines of a folder's index.tsv.

    Raises:
        InputError: none there.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        raise InputError(f"{path}: no such file; scripts/prepare_pairs.py makes it")
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))
