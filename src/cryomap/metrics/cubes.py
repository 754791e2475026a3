"""SuperEM's local test: correlation with the simulated map in small cubes, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid, three_floats
from ..simulate import situs_map

SIZE = 25
STRIDE = 4


@dataclass(frozen=True)
class Cubes:
    """Correlation of one map with the simulated map in each cube.

    Attributes:
        cc: float64 (z, y, x) of cubes, nan where a cube is not valid (all zero in either map).
        grid: where the cubes' first voxels are.
        stride: between cubes, in A.
        target_resolution: of the simulated map, in A.
    """

    cc: np.ndarray
    grid: Grid
    stride: int
    target_resolution: float


@dataclass(frozen=True)
class CubeComparison:
    """How a map's cubes compare with the first map's, over cubes valid in both.

    Attributes:
        count: cubes.
        mean_before: mean CC in the first map.
        mean_after: mean CC in this.
        improved: share of cubes with a higher CC, 0 to 1.
    """

    count: int
    mean_before: float
    mean_after: float
    improved: float


def target_resolution(resolution: float) -> float:
    """SuperEM's rule: 1.8 A for maps of 3.5 A or better, else 3.0 A."""
    return 1.8 if resolution <= 3.5 else 3.0


def common_grid(density: DensityMap, model: AtomicModel) -> Grid:
    """The 1 A grid in the map's frame on which cubes are cut: the map's part within 25 A of the model."""
    fine = density.grid.cubic(1.0)
    start, shape = fine.part_about(model.positions, float(SIZE))
    low = np.maximum(start, 0)
    high = np.minimum(np.add(start, shape), fine.shape)
    return fine.cropped(tuple(low), tuple(high - low))


def too_small(density: DensityMap, model: AtomicModel) -> bool:
    """Whether not one cube fits into the map's part about the model."""
    return min(common_grid(density, model).shape) < SIZE


def cube_correlations(
    density: DensityMap, model: AtomicModel, grid: Grid, resolution: float, stride: int = STRIDE
) -> Cubes:
    """CC between map and map simulated from the model in cubes of 25 A, `stride` A apart.

    As in SuperEM: 1 A grid by trilinear interpolation, negative density set to 0, target by Situs pdb2vol at
    1.8 or 3.0 A. The paper's figures come from Chimera's `measure correlation`, which gives the correlation both
    as it is and about the mean, and it doesn't say which it took; this is about the mean.

    Args:
        density: the map.
        model: atoms.
        grid: see `common_grid`; the same for maps that are to be compared.
        resolution: of the map, in A.
        stride: 4 A, as in the paper, or larger.

    Raises:
        InputError: the box is smaller than a cube, or the stride below 1.
    """
    if stride < 1:
        raise InputError(f"cube stride {stride} A: give 4 A (as SuperEM) or more")
    if min(grid.shape) < SIZE:
        raise InputError(f"{density.name}: the box is smaller than a cube of {SIZE} A; leave the cubes out")
    target = situs_map(model, grid, target_resolution(resolution)).values
    values = np.maximum(resample(density, grid).values, 0)
    n = SIZE**3
    x, y = _sums(values, stride), _sums(target, stride)
    x_variance, y_variance, covariance = (
        _sums(np.multiply(a, b, dtype=np.float64), stride) - sums / n
        for a, b, sums in ((values, values, x * x), (target, target, y * y), (values, target, x * y))
    )
    # Running sums leave rounding errors where a cube is all zero.
    x_least, y_least = (1e-12 * n * float(v.max()) ** 2 for v in (values, target))
    valid = (x_variance > x_least) & (y_variance > y_least)
    spread = np.sqrt(np.where(valid, x_variance * y_variance, 1))
    cc = np.where(valid, covariance / spread, np.nan)
    cubes = Grid(
        cc.shape, three_floats(stride * s for s in grid.step), grid.origin, grid.cell_angles, grid.rotation
    )
    return Cubes(cc, cubes, stride, target_resolution(resolution))


def _sums(values: np.ndarray, stride: int) -> np.ndarray:
    """Sums over the cubes of SIZE voxels that begin every `stride` voxels on each axis."""
    for axis in range(3):
        total = np.cumsum(values, axis=axis, dtype=np.float64)
        starts = np.arange(0, values.shape[axis] - SIZE + 1, stride)
        last = np.take(total, starts + SIZE - 1, axis)
        before = np.take(total, np.maximum(starts - 1, 0), axis)
        np.moveaxis(before, axis, 0)[starts == 0] = 0
        values = last - before
    return values


def compare(first: Cubes, now: Cubes) -> CubeComparison:
    """Compare a map's cubes with the first map's."""
    both = np.isfinite(first.cc) & np.isfinite(now.cc)
    if not both.any():
        return CubeComparison(0, float("nan"), float("nan"), float("nan"))
    before, after = first.cc[both], now.cc[both]
    return CubeComparison(
        int(both.sum()), float(before.mean()), float(after.mean()), float((after > before).mean())
    )
