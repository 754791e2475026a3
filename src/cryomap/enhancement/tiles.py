"""Cut a map into overlapping tiles, run a function on each, and blend the results without seams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Progress = Callable[[int, int, float], None]
"""Called with (tiles done, tiles to run, seconds left); it may raise `Cancelled`."""


@dataclass(frozen=True)
class Placement:
    """The tiles to run of one map, in voxels.

    Attributes:
        starts: first voxel (n, 3) of each, sorted by z; some may be negative.
        shapes: sides (n, 3) of each.
        margin: outer shell of each output that is thrown away.
        overlap: over so many voxels at each face of what is left the weights rise; 0: all weigh the same.
        total: how many tiles the whole box would take.
    """

    starts: np.ndarray
    shapes: np.ndarray
    margin: int
    overlap: int
    total: int

    @property
    def voxels(self) -> int:
        """How many voxels the network will see."""
        return int(self.shapes.prod(axis=1).sum())


def window(shape: Iterable[int], margin: int, overlap: int) -> np.ndarray:
    """Weights of a tile's output (z, y, x), float32: 0 in the margin, above 0 in the core.

    Along each axis the weight rises as sin^2 over the overlap (at most half the core), so that two neighbours sum
    to 1, and is flat between.
    """
    profiles = []
    for side in shape:
        profile = np.ones(side - 2 * margin)
        ramp = min(overlap, len(profile) // 2)
        if ramp:
            rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
            profile[:ramp], profile[-ramp:] = rise, rise[::-1]
        profiles.append(np.pad(profile, margin))
    return np.einsum("i,j,k->ijk", *profiles).astype(np.float32)


def cut(values: np.ndarray, start: Iterable[int], size: int | Sequence[int]) -> np.ndarray:
    """One tile (z, y, x) float32, 0 where it reaches outside the map.

    Args:
        values: the map.
        start: first voxel.
        size: of a cube, or the three sides.
    """
    tile = np.zeros((size,) * 3 if isinstance(size, int) else tuple(size), np.float32)
    inside, here = _overlap(values.shape, start, tile.shape)
    tile[here] = values[inside]
    return tile


def _overlap(shape: Iterable[int], start: Iterable[int], sides: Iterable[int]) -> tuple[tuple, tuple]:
    """Slices of the part of a tile that lies inside the map: in the map, and in the tile."""
    inside, here = [], []
    for n, s, side in zip(shape, map(int, start), sides, strict=True):
        low, high = max(0, s), max(0, min(n, s + side))
        inside.append(slice(low, max(low, high)))
        here.append(slice(low - s, max(low, high) - s))
    return tuple(inside), tuple(here)


def blend(
    values: np.ndarray,
    placed: Placement,
    predict: Callable[[np.ndarray], np.ndarray],
    batch: int = 1,
    progress: Progress | None = None,
) -> np.ndarray:
    """Run `predict` on every tile of a map and average the results by weight.

    Args:
        values: the map (z, y, x).
        placed: the tiles.
        predict: from (m, z, y, x) float32 to the same shape.
        batch: how many tiles `predict` gets at once, if they are of one shape.
        progress: told after every batch.

    Returns:
        float32, the map's shape; 0 where no tile has a weight.
    """
    mean = _RunningMean(values.shape, int(placed.shapes[:, 0].max(initial=0)))
    begun, seen = time.monotonic(), 0
    for first, last in _batches(placed.shapes, batch):
        chosen, shape = placed.starts[first:last], placed.shapes[first]
        outputs = predict(np.stack([cut(values, start, shape) for start in chosen]))
        weights = window(shape, placed.margin, placed.overlap)
        for start, output in zip(chosen, outputs, strict=True):
            mean.add(start, output, weights)
        if progress:
            seen += outputs.size
            left = (time.monotonic() - begun) / seen * (placed.voxels - seen)
            progress(last, len(placed.starts), left)
    return mean.finish()


def _batches(shapes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 of runs of at most `most` tiles of one shape."""
    first = 0
    for i in range(1, len(shapes) + 1):
        if i == len(shapes) or i - first == most or (shapes[i] != shapes[first]).any():
            yield first, i
            first = i


class _RunningMean:
    """Weighted mean of tiles that come in z order; of the weights it keeps as many sections as a tile is deep."""

    def __init__(self, shape: tuple[int, ...], depth: int):
        self.sums = np.zeros(shape, np.float32)
        self.totals = np.zeros((depth, *shape[1:]), np.float32)
        self.base = -depth  # the section that totals[0] belongs to

    def add(self, start: np.ndarray, tile: np.ndarray, weights: np.ndarray) -> None:
        """Add one tile; none that begins at a lower section may follow."""
        self._settle(int(start[0]))
        inside, here = _overlap(self.sums.shape, start, tile.shape)
        self.sums[inside] += tile[here] * weights[here]
        self.totals[(here[0], *inside[1:])] += weights[here]

    def finish(self) -> np.ndarray:
        """The mean (z, y, x)."""
        self._settle(self.base + len(self.totals))
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
