"""Cut a map into overlapping tiles, run a function on each, and blend the results without seams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Progress = Callable[[int, int, float], None]
"""Called with (tiles done, tiles to run, seconds left); it may raise `Cancelled`."""


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


@dataclass(frozen=True)
class Placement:
    """The tiles to run of one map.

    Attributes:
        tiling: their size.
        starts: first voxel (n, 3) of each, sorted by z; those without density are left out.
        total: how many the whole box would take.
    """

    tiling: Tiling
    starts: np.ndarray
    total: int

    @property
    def voxels(self) -> int:
        """How many voxels the network will see."""
        return len(self.starts) * self.tiling.tile**3


def window(tiling: Tiling) -> np.ndarray:
    """Weights (tile, tile, tile), float32: 0 in the margin, above 0 in the core.

    Along each axis the weight rises as sin^2 over the overlap of neighbouring cores (at most half a core), so
    that tiles at the exact stride sum to 1, and is flat between.
    """
    profile = np.ones(tiling.core)
    ramp = min(tiling.core - tiling.stride, tiling.core // 2) if tiling.blend == "smooth" else 0
    if ramp:
        rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
        profile[:ramp], profile[-ramp:] = rise, rise[::-1]
    profile = np.pad(profile, tiling.margin)
    return np.einsum("i,j,k->ijk", profile, profile, profile).astype(np.float32)


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


def cut(values: np.ndarray, start: Iterable[int], size: int) -> np.ndarray:
    """One cubic tile (size, size, size) float32, 0 where it reaches outside the map."""
    tile = np.zeros((size,) * 3, np.float32)
    inside, here = _overlap(values.shape, start, size)
    tile[here] = values[inside]
    return tile


def _overlap(shape: tuple[int, ...], start: Iterable[int], size: int) -> tuple[tuple, tuple]:
    """Slices of the part of a tile that lies inside the map: in the map, and in the tile."""
    inside, here = [], []
    for n, s in zip(shape, map(int, start), strict=True):
        low, high = max(0, s), max(0, min(n, s + size))
        inside.append(slice(low, max(low, high)))
        here.append(slice(low - s, max(low, high) - s))
    return tuple(inside), tuple(here)


def blend(
    values: np.ndarray,
    starts: np.ndarray,
    weights: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    batch: int = 1,
    progress: Progress | None = None,
) -> np.ndarray:
    """Run `predict` on every tile of a map and average the results by weight.

    Args:
        values: the map (z, y, x).
        starts: first voxel (n, 3) of each tile, sorted by z.
        weights: (tile, tile, tile), see `window`.
        predict: from (m, tile, tile, tile) float32 to the same shape.
        batch: how many tiles `predict` gets at once.
        progress: told after every batch.

    Returns:
        float32, the map's shape; 0 where no tile has a weight.
    """
    size = len(weights)
    mean = _RunningMean(values.shape, weights)
    begun = time.monotonic()
    for first in range(0, len(starts), batch):
        chosen = starts[first : first + batch]
        outputs = predict(np.stack([cut(values, start, size) for start in chosen]))
        for start, output in zip(chosen, outputs, strict=True):
            mean.add(start, output)
        if progress:
            done = first + len(chosen)
            progress(done, len(starts), (time.monotonic() - begun) / done * (len(starts) - done))
    return mean.finish()


class _RunningMean:
    """Weighted mean of tiles that come in z order; the weights of one tile's depth of sections are all it keeps."""

    def __init__(self, shape: tuple[int, ...], weights: np.ndarray):
        self.weights = weights
        self.sums = np.zeros(shape, np.float32)
        self.totals = np.zeros((len(weights), *shape[1:]), np.float32)
        self.base = -len(weights)  # the section that totals[0] belongs to

    def add(self, start: np.ndarray, tile: np.ndarray) -> None:
        """Add one tile; none that begins at a lower section may follow."""
        self._settle(int(start[0]))
        inside, here = _overlap(self.sums.shape, start, len(self.weights))
        self.sums[inside] += tile[here] * self.weights[here]
        self.totals[(here[0], *inside[1:])] += self.weights[here]

    def finish(self) -> np.ndarray:
        """The mean (z, y, x)."""
        self._settle(self.base + len(self.weights))
        return self.sums

    def _settle(self, section: int) -> None:
        """Divide the sections before this one by their weights: no tile will reach them any more."""
        count = min(section - self.base, len(self.totals))
        if count > 0:
            low, high = max(0, self.base), max(0, self.base + count)
            part, totals = self.sums[low:high], self.totals[low - self.base : high - self.base]
            np.divide(part, totals[: len(part)], out=part, where=totals[: len(part)] > 0)
            self.totals[: len(self.totals) - count] = self.totals[count:].copy()
            self.totals[len(self.totals) - count :] = 0
            self.base = section
