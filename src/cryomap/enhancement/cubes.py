"""Cubes of one size that cover a map: for networks whose result depends on the size of what they see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tiles import Placement

HALO = 4  # voxels; the result is computed this far around density, since a network's output can be wider


@dataclass(frozen=True)
class Tiling:
    """How a network wants its tiles, in voxels; cubes all.

    Attributes:
        tile: side of the cube the network sees.
        stride: distance between neighbouring tiles, at most `core`.
        margin: outer shell of each output tile that is thrown away.
        blend: "smooth" fades neighbours into each other where their cores overlap; "mean" is the plain mean.
    """

    tile: int
    stride: int
    margin: int = 0
    blend: str = "smooth"

    def __post_init__(self) -> None:
        if not (0 < self.stride <= self.core and self.margin >= 0):
            raise ValueError(f"tile {self.tile}, margin {self.margin}: stride {self.stride} leaves gaps")
        if self.blend not in ("smooth", "mean"):
            raise ValueError(f"blend {self.blend!r}: smooth or mean")

    @property
    def core(self) -> int:
        """Side of the part of an output tile that is kept."""
        return self.tile - 2 * self.margin


def place_evenly(values: np.ndarray, threshold: float, tiling: Tiling) -> Placement:
    """Cubes that cover everything above the threshold and `HALO` voxels around it, evenly spread."""
    total = len(even_starts(tuple((0, n) for n in values.shape), tiling))
    box = density_box(values, threshold, HALO)
    if box[0][1] == 0:
        return _placement(np.zeros((0, 3), int), tiling, total)
    return _placement(keep_dense(values, even_starts(box, tiling), tiling, threshold, HALO), tiling, total)


def place_as_released(values: np.ndarray, level: float, tiling: Tiling) -> Placement:
    """The released SuperEM program's rule: cubes whose centre voxel is above the contour.

    Its lattice has stride 4; the body-centred lattice of stride 8 taken here is a quarter of that one, and its
    mean has a correlation of .999 with that of all.
    """
    starts = lattice_starts(values.shape, tiling)
    return _placement(keep_centred(values, starts, tiling, level), tiling, len(starts))


def _placement(starts: np.ndarray, tiling: Tiling, total: int) -> Placement:
    overlap = tiling.core - tiling.stride if tiling.blend == "smooth" else 0
    return Placement(starts, np.full((len(starts), 3), tiling.tile), tiling.margin, overlap, total)


def density_box(values: np.ndarray, threshold: float, halo: int) -> tuple[tuple[int, int], ...]:
    """The smallest box (start, end per axis z, y, x) around all values above a threshold, grown by `halo`.

    Returns:
        ((0, 0),) * 3 if no value is above the threshold.
    """
    along_z, plane = np.zeros(len(values), bool), np.zeros(values.shape[1:], bool)
    for z, section in enumerate(values):  # by section: a mask of the whole map would cost a quarter of it
        dense = section > threshold
        along_z[z] = dense.any()
        plane |= dense
    if not along_z.any():
        return ((0, 0),) * 3
    box = []
    for occupied, size in zip((along_z, plane.any(axis=1), plane.any(axis=0)), values.shape, strict=True):
        where = np.flatnonzero(occupied)
        box.append((max(0, int(where[0]) - halo), min(size, int(where[-1]) + 1 + halo)))
    return tuple(box)


def even_starts(box: tuple[tuple[int, int], ...], tiling: Tiling) -> np.ndarray:
    """First voxels (n, 3) of tiles whose cores cover a box, evenly spread at most `stride` apart, in z order.

    A box smaller than a core gets one tile, centred on it; starts may be negative and tiles may end outside.
    """
    axes = []
    for low, high in box:
        spare = high - low - tiling.core
        if spare <= 0:
            axes.append(np.array([low + spare // 2 - tiling.margin]))
        else:
            count = -(-spare // tiling.stride) + 1
            axes.append(low - tiling.margin + np.round(np.linspace(0, spare, count)).astype(int))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def lattice_starts(shape: tuple[int, ...], tiling: Tiling) -> np.ndarray:
    """First voxels (n, 3) of the tiles on a body-centred lattice: `stride` apart, and all moved by half of it.

    Tiles lie wholly inside the map; a map smaller than a tile gets one, from its first voxel. In z order.
    """
    corners = []
    for shift in (0, tiling.stride // 2):
        axes = [np.arange(shift, max(1, n - tiling.tile + 1), tiling.stride) for n in shape]
        corners.append(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))
    starts = np.concatenate(corners)
    return starts[np.argsort(starts[:, 0], kind="stable")]


def keep_centred(values: np.ndarray, starts: np.ndarray, tiling: Tiling, threshold: float) -> np.ndarray:
    """The tiles whose centre voxel is above the threshold."""
    centres = np.minimum(starts + tiling.tile // 2, np.array(values.shape) - 1)
    return starts[values[tuple(centres.T)] > threshold]


def keep_dense(
    values: np.ndarray, starts: np.ndarray, tiling: Tiling, threshold: float, halo: int
) -> np.ndarray:
    """The tiles whose core, grown by `halo` voxels, holds a value above the threshold.

    Every tile with a say in such a voxel is kept, so leaving out the others changes nothing there.
    """
    low = starts + tiling.margin - halo
    high = starts + tiling.margin + tiling.core + halo
    kept = [
        (values[max(0, a) : d, max(0, b) : e, max(0, c) : f] > threshold).any()
        for (a, b, c), (d, e, f) in zip(low, high, strict=True)
    ]
    return starts[np.array(kept, bool)]
