"""Experimental pairs as a torch data set; see `files` for what is on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from cryomap.enhancement.tiles import cut
from cryomap.errors import InputError

from .files import read_index


class PairCubes(torch.utils.data.Dataset):
    """Cubes of a split of a folder of pairs.

    Items are (input, target), float32 (1, size, size, size) each; the order is that of the index, then of the
    starts. Files are opened in the process that reads them, so that it can go to worker processes.

    Args:
        folder: made by scripts/prepare_pairs.py.
        split: "train", "validation" or "test".
        without: names or EMDB ids of entries to leave out.

    Raises:
        InputError: no such folder, or no other cube of that split in it.
    """

    def __init__(self, folder: str | os.PathLike, split: str = "train", without: Collection[str] = ()):
        self.folder = Path(folder)
        rows = [row for row in read_index(folder) if row["split"] == split]
        rows = [row for row in rows if not {row["entry"], row["emdb_id"]} & set(without)]
        if not rows:
            raise InputError(f"{self.folder}: no entry of the split {split!r} in its index.tsv that may be used")
        self.settings = json.loads((self.folder / "settings.json").read_text())
        self.size = int(self.settings["size"])
        self.entries = [row["entry"] for row in rows]
        self.ends = np.cumsum([int(row["cubes"]) for row in rows])
        self._open: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def of_split(cls, folder: str | os.PathLike, split: str) -> PairCubes | None:
        """The cubes of a split; None where it has none."""
        return cls(folder, split) if any(row["split"] == split for row in read_index(folder)) else None

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self.ends, index, side="right"))
        pair, starts = self._files(self.entries[number])
        start = starts[index - (self.ends[number - 1] if number else 0)]
        cubes = [torch.from_numpy(cut(values, start, self.size))[None] for values in pair]
        return cubes[0], cubes[1]

    def entry_of(self, index: int) -> str:
        """The entry a cube comes from."""
        return self.entries[int(np.searchsorted(self.ends, index, side="right"))]

    def _files(self, entry: str) -> tuple[np.ndarray, np.ndarray]:
        if entry not in self._open:
            files = (self.folder / f"{entry}.npy", self.folder / f"{entry}.starts.npy")
            self._open[entry] = tuple(np.load(f, mmap_mode="r") for f in files)
        return self._open[entry]

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": {}}
