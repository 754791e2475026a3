"""Real-space correlations between a map and the map computed from a model (phenix.map_model_cc)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap
from ..grid import Grid, three_ints
from ..simulate import structure_factor_map
from .masks import molecular_mask

# SuperEM's scale: a sharper map is right there, and loses at the reported resolution (see `fixed_scale`).
HR_RESOLUTION = 3.0
HR_B_FACTOR = 20.0
# Beyond this many A (or times d_min) from the model its map is the noise of the cut-off series.
MARGIN = 12.0


@dataclass(frozen=True)
class ModelMap:
    """The map computed from a model, on the part of a map's grid that lies about the model.

    Attributes:
        start: first voxel (z, y, x) of that part.
        density: the computed values there; elsewhere they are taken as 0.
        mask: bool (z, y, x) there, the molecular mask or the user's.
        whole: the whole grid.
        d_min: where the series was cut, in A.
    """

    start: tuple[int, int, int]
    density: DensityMap
    mask: np.ndarray
    whole: Grid
    d_min: float

    def part_of(self, values: np.ndarray) -> np.ndarray:
        """The same part of an array (z, y, x) on the whole grid (a view)."""
        shape = self.density.grid.shape
        return values[tuple(slice(s, s + n) for s, n in zip(self.start, shape, strict=True))]


@dataclass(frozen=True)
class Correlations:
    """The four map-model correlations; nan where a region has no variance."""

    box: float
    mask: float
    volume: float
    peaks: float


def model_map(model: AtomicModel, grid: Grid, d_min: float, mask: np.ndarray | None = None) -> ModelMap:
    """Compute the model's map to d_min (A) and its mask, on the part of `grid` about the model.

    phenix.map_model_cc takes the whole box as the unit cell. So does this where the model fills the box; where
    it does not, the cell is the model's own box with a margin, so that time and memory follow the model.

    Args:
        model: atoms that lie in the box.
        grid: the map's grid.
        d_min: resolution limit in A.
        mask: (z, y, x) on the whole grid, inside where above 0.5, to use in place of the molecular mask.
    """
    if mask is not None:
        computed = structure_factor_map(model, grid, d_min)
        return ModelMap((0, 0, 0), computed, np.asarray(mask) > 0.5, grid, d_min)
    start, shape = grid.part_about(model.positions, max(MARGIN, 4 * d_min))
    part = grid.cropped(start, shape)
    computed, inside = structure_factor_map(model, part, d_min), molecular_mask(model, part)
    low = np.maximum(start, 0)
    high = np.minimum(np.add(start, shape), grid.shape)
    crop = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    within = grid.cropped(tuple(low), tuple(high - low))
    density = DensityMap(computed.values[crop], within, model.name)
    return ModelMap(three_ints(low), density, inside[crop], grid, d_min)


def fixed_scale(model: AtomicModel) -> AtomicModel:
    """The model with every B = 20 A^2, for the fixed scale cut at 3.0 A (SuperEM's way of measuring)."""
    return replace(model, b_factors=np.full(len(model), HR_B_FACTOR))


def correlations(density: DensityMap, computed: ModelMap) -> Correlations:
    """CC_box, CC_mask, CC_volume and CC_peaks as in phenix.map_model_cc, all Pearson about the mean.

    CC_box: every voxel. CC_mask: the mask, of n voxels. CC_volume: voxels where the computed map reaches its
    (n + 1)-th largest value. CC_peaks: those and the voxels where the map reaches its own (n + 1)-th
    largest (Afonine et al. 2018; Urzhumtsev et al. 2014; n + 1, not n, is the program's). Ties count, so
    a map that is exactly 0 in more than its mask joins all of them, as in the reference.
    """
    observed, model_values = computed.part_of(density.values), computed.density.values
    n = int(computed.mask.sum())
    calculated_cut = nth_largest(model_values, n)
    observed_cut = nth_largest(density.values, n)
    high = model_values >= calculated_cut
    peaks = high | (observed >= observed_cut)
    beyond = _sums(density.values) - _sums(observed)
    elsewhere = _sums(density.values, observed_cut) - _sums(observed, observed_cut)
    return Correlations(
        box=_pearson(_joint_sums(observed, model_values), beyond),
        mask=pearson(observed[computed.mask], model_values[computed.mask]),
        volume=pearson(observed[high], model_values[high]),
        peaks=_pearson(_joint_sums(observed[peaks], model_values[peaks]), elsewhere),
    )


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of two arrays of equal size; nan where one is constant or both are empty."""
    return _pearson(_joint_sums(first, second), np.zeros(3))


def nth_largest(values: np.ndarray, n: int) -> float:
    """The (n + 1)-th largest of an array's values, found slab by slab."""
    n = min(n, values.size - 1)
    best, cut = np.empty(0, values.dtype), -np.inf
    for slab in values:
        best = np.concatenate([best, slab[slab > cut]])
        if len(best) > 2 * (n + 1):
            best = np.partition(best, len(best) - n - 1)[len(best) - n - 1 :]
            cut = best.min()
    return float(np.partition(best, len(best) - n - 1)[len(best) - n - 1])


def _sums(values: np.ndarray, cut: float = -np.inf) -> np.ndarray:
    """Count, sum and sum of squares of the values >= cut, in float64, slab by slab."""
    total = np.zeros(3)
    for slab in values:
        chosen = slab.ravel() if cut == -np.inf else slab[slab >= cut]
        chosen = chosen.astype(np.float64)
        total += (chosen.size, chosen.sum(), np.square(chosen).sum())
    return total


def _joint_sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """n, sum x, sum x^2, sum y, sum y^2, sum x y in float64."""
    total = np.zeros(6)
    x_all, y_all = first.ravel(), second.ravel()
    for start in range(0, x_all.size, 1 << 20):
        x = x_all[start : start + (1 << 20)].astype(np.float64)
        y = y_all[start : start + (1 << 20)].astype(np.float64)
        total += (x.size, x.sum(), _dot(x, x), y.sum(), _dot(y, y), _dot(x, y))
    return total


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    # einsum, not @: threaded BLAS waits long for its threads on a busy machine.
    return float(np.einsum("i,i->", x, y))


def _pearson(joint: np.ndarray, first_only: np.ndarray) -> float:
    """Correlation from joint sums and from (n, sum x, sum x^2) of points where y is 0."""
    n, x, xx = joint[:3] + first_only
    y, yy, xy = joint[3:]
    if n < 1:
        return float("nan")
    variances = (xx - x * x / n) * (yy - y * y / n)
    floor = 1e-24 * max(xx * yy, 1e-300)
    return float((xy - x * y / n) / np.sqrt(variances)) if variances > floor else float("nan")
