"""Half maps after enhancement: how far they agree, where they don't, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from ..background import masked_value, sorted_sample
from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from ..metrics.correlation import pearson
from ..metrics.fourier import Curve, reflections, resolution_at, shell_correlation
from ..metrics.unmodelled import centers
from .consistency import window_mean, windowed_correlation
from .input_verdict import InputWarning

WARNING = (
    "One network made both enhanced halves, and what it knows of proteins correlates them: their FSC says how much "
    "the result repeats, not what the data resolve, and must not be quoted as a resolution."
)
WINDOW = 6.0  # A, full width at half maximum of the local correlation's window
DISAGREEMENT = 0.5  # local correlation below which the halves disagree
LEAST_VOLUME = 30.0  # A^3
OPPOSITE = -0.1  # correlation of half maps; pure noise has 0


@dataclass(frozen=True)
class Disagreement:
    """A region of density where enhanced half maps disagree: center (x, y, z in A), volume (A^3), nearest residue."""

    center: tuple[float, float, float]
    volume: float
    nearest: str = ""
    kind: str = ""
    distance: float | None = None


@dataclass(frozen=True)
class HalvesComparison:
    """Enhanced half maps compared; as JSON it has no map.

    Attributes:
        d_before: d (A) where the FSC of the half maps as they came, without a mask, falls below 0.143; None if
            nowhere.
        d_after: the same of the enhanced halves.
        fsc: both curves, "before" and "after".
        disagreements: where the local correlation is below 0.5, the largest region first.
        warning: what this does not mean.
        agreement: local correlation of the enhanced halves, -1..1, on their grid; 0 where neither has density.
    """

    d_before: float | None
    d_after: float | None
    fsc: dict[str, Curve]
    disagreements: tuple[Disagreement, ...]
    warning: str = WARNING
    agreement: DensityMap | None = field(default=None, metadata={"json": None})


def compare_halves(
    halves: tuple[DensityMap, DensityMap], enhanced: tuple[DensityMap, DensityMap], *, level: float
) -> HalvesComparison:
    """Compare half maps before and after enhancement.

    Args:
        halves: the two half maps, on one grid.
        enhanced: the results of both.
        level: contour level of the results; what is below it in both isn't looked at.

    Raises:
        InputError: the half maps are on different grids.
    """
    require_same_grid(halves[0].grid, halves[1].grid, (halves[0].name, halves[1].name))
    first = enhanced[0]
    second = resample(enhanced[1], first.grid, order=3)
    before = _correlate(*halves)
    after = _correlate(first, second)
    agreement = local_agreement(first, second, level)
    return HalvesComparison(
        resolution_at(before, 0.143),
        resolution_at(after, 0.143),
        {"before": before, "after": after},
        _disagreements(agreement, (first.values > level) | (second.values > level)),
        agreement=agreement,
    )


def warn_of_halves(first: DensityMap, second: DensityMap) -> InputWarning | None:
    """What is wrong with two maps on one grid as the halves of one reconstruction, if anything is."""
    names = f"{first.name} and {second.name}"
    if np.array_equal(first.values, second.values):
        return InputWarning(
            "halves",
            f"{names} are the same map, so that their agreement says nothing; give the two half maps",
        )
    correlation = pearson(first.values, second.values)
    if correlation < OPPOSITE:
        text = f"{names} anticorrelate ({correlation:.2f}), and their mean is worthless"
        return InputWarning("halves", f"{text}; multiply the one of inverted contrast by -1", correlation)
    outside = [masked_value(sorted_sample(half.values)) for half in (first, second)]
    if None not in outside:
        share = float(np.mean(first.values == outside[0]))
        text = f"{names} are masked, {100 * share:.0f} % of the box: that correlates them, and their FSC is too good"
        return InputWarning("masked halves", f"{text}; give them as they were reconstructed", share)
    return None


def require_same_grid(first: Grid, second: Grid, names: tuple[str, str]) -> None:
    """Raise InputError, with the maps' names, unless the grids of two half maps are the same."""
    same = first.shape == second.shape and all(
        np.allclose(getattr(first, key), getattr(second, key), atol=1e-3)
        for key in ("step", "origin", "cell_angles", "rotation")
    )
    if not same:
        sizes = [
            f"{g} of {' x '.join(f'{s:.4g}' for s in g.step)} A at {', '.join(f'{x:.4g}' for x in g.origin)}"
            for g in (first, second)
        ]
        raise InputError(
            f"{names[0]} and {names[1]}: half maps of one reconstruction have one grid; "
            f"these have {sizes[0]}, and {sizes[1]}"
        )


def mean_map(first: DensityMap, second: DensityMap) -> DensityMap:
    """The mean of two half maps.

    Raises:
        InputError: the half maps are on different grids.
    """
    require_same_grid(first.grid, second.grid, (first.name, second.name))
    name = f"mean of {first.name} and {second.name}"
    return replace(first, values=(first.values + second.values) / 2, name=name)


def local_agreement(first: DensityMap, second: DensityMap, level: float) -> DensityMap:
    """Local correlation in a Gaussian window 6 A wide, where either map is above the level within it."""
    a, b, grid = first.values, second.values, first.grid

    def mean(values: np.ndarray) -> np.ndarray:
        return window_mean(values, grid, WINDOW)

    shown = mean(((a > level) | (b > level)).astype(np.float32)) > 0.01
    floor = float(np.float32(1e-3 * level) ** 2)
    values = np.where(shown, windowed_correlation(a, b, mean, (floor, floor)), 0)
    return DensityMap(values, grid, "agreement of the halves")


def _correlate(first: DensityMap, second: DensityMap) -> Curve:
    spacings = reflections(first.grid)
    return shell_correlation(spacings.of_map(first.values), spacings.of_map(second.values), spacings.d)


def _disagreements(agreement: DensityMap, dense: np.ndarray) -> tuple[Disagreement, ...]:
    labels, count = ndimage.label(dense & (agreement.values < DISAGREEMENT))
    volumes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * agreement.grid.voxel_volume
    chosen = np.flatnonzero(volumes >= LEAST_VOLUME)
    places = centers(labels, chosen + 1, agreement.grid)
    found = [Disagreement(place, float(volumes[i])) for i, place in zip(chosen, places, strict=True)]
    return tuple(sorted(found, key=lambda one: -one.volume))
