"""Fourier shell correlations and the resolutions read off them (phenix.mtriage)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from ..atoms import AtomicModel
from ..errors import InputError
from ..grid import Grid
from ..reciprocal import fft_positions, inverse_d_squared, largest_indices
from ..simulate import structure_factors

SMOOTHED = 10  # shells on each side, as phenix.mtriage smooths


@dataclass(frozen=True)
class Reflections:
    """One of each Friedel pair of a box, (0, 0, 0) left out, from the smallest d to the largest.

    Attributes:
        grid: the box.
        d: float64 (n,), spacing in A.
        order: int64 (n,), which term each is of the block that `fft_positions` cuts out.
    """

    grid: Grid
    d: np.ndarray
    order: np.ndarray

    @property
    def in_l0_plane(self) -> np.ndarray:
        """Which reflections have l = 0, bool (n,)."""
        limits = largest_indices(self.grid)
        return self.order // ((2 * limits[1] + 1) * (limits[2] + 1)) == limits[0]

    def select(self, transform: np.ndarray) -> np.ndarray:
        """The reflections (n,), complex64, of an `rfftn` of an array on the grid."""
        block = transform[fft_positions(largest_indices(self.grid), self.grid.shape)]
        return block.ravel()[self.order]

    def of_map(self, values: np.ndarray) -> np.ndarray:
        """The Fourier coefficients (n,) of a map's values (z, y, x)."""
        return self.select(fft.rfftn(np.asarray(values, np.float32), workers=-1))

    def of_masked(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The coefficients (n,) of a map (z, y, x) behind a mask, 0..1.

        The map's mean outside the mask is subtracted first, so that a constant added to a map changes nothing. (The
        reference subtracts nothing: there two noise maps plus a constant agree to the detail of the mask's edge.)
        """
        total = weight = 0.0
        for section, inside in zip(values, mask, strict=True):
            outside = 1 - np.asarray(inside, np.float64).clip(0, 1)
            total, weight = total + (section * outside).sum(), weight + outside.sum()
        mean = total / weight if weight > 0 else values.mean(dtype=np.float64)
        return self.of_map((values - np.float32(mean)) * mask)

    def of_model(self, model: AtomicModel) -> np.ndarray:
        """The structure factors (n,) of a model."""
        return self.select(structure_factors(model, self.grid))


@dataclass(frozen=True)
class Curve:
    """A Fourier shell correlation: mean d (A) and FSC of each shell, from the largest d to the smallest."""

    d: np.ndarray
    fsc: np.ndarray


@dataclass(frozen=True)
class Resolutions:
    """What mtriage reads off a map and a model, in A; None where a curve never falls so low."""

    d99: float
    d_model: float
    d_model_b0: float
    b_overall: float
    d_fsc_model_0: float | None
    d_fsc_model_0143: float | None
    d_fsc_model_05: float | None
    curve: Curve


def reflections(grid: Grid) -> Reflections:
    """All reflections the grid carries, |h| <= (N - 1) // 2 on each axis."""
    limits = largest_indices(grid)
    inverse_d2 = inverse_d_squared(grid, limits)
    lz, ly, _ = limits
    unique = np.ones(inverse_d2.shape, bool)
    # In the plane h = 0 both mates are there; keep k > 0, and l > 0 on the line k = 0.
    unique[:, :ly, 0] = False
    unique[: lz + 1, ly, 0] = False
    places = np.flatnonzero(unique)
    spacing = inverse_d2.ravel()[places] ** -0.5
    order = np.argsort(spacing, kind="stable")
    return Reflections(grid, spacing[order], places[order])


def shell_starts(d: np.ndarray) -> np.ndarray:
    """Where mtriage's shells begin in spacings (n,) that ascend, and where the last ends.

    From the smallest d on, a shell holds at least 500 reflections where it begins at d <= 5 A, 250 up to
    10 A, 100 beyond, one more where it would be no wider than 0.005 A; a rest too small for another shell joins
    the last (`cctbx.miller.bins_mixed`, whose comments name the reverse order).
    """
    edges, size = [0], len(d)
    while edges[-1] < size:
        first = edges[-1]
        least = 100 if d[first] > 10 else 250 if d[first] > 5 else 500
        # Index of the last member: enough of them, or so few left that no other shell can follow.
        last = min(first + least - 1, max(first, size - least))
        while last < size and last - first + 1 <= least and d[last] - d[first] <= 0.005:
            last += 1
        if last >= size:
            break
        edges.append(size if size - last - 1 < least else last + 1)
    return np.array(edges)


def shell_correlation(first: np.ndarray, second: np.ndarray, d: np.ndarray) -> Curve:
    """FSC = Re(sum F1 F2*) / sqrt(sum |F1|^2 sum |F2|^2) of coefficients (n,) whose d (A) ascend.

    Smoothed for d <= 15 A with a Savitzky-Golay filter (21 points, degree 2, mirrored ends) where there are
    11 such shells or more. (With fewer the reference's arrays no longer match.)
    """
    starts = shell_starts(d)
    if len(starts) < 5:
        raise InputError(f"only {len(d)} Fourier coefficients: the map is too small for an FSC")
    cross, first2, second2 = (
        np.add.reduceat(x, starts[:-1], dtype=np.float64)
        for x in (_real_product(first, second), _real_product(first, first), _real_product(second, second))
    )
    counts = np.diff(starts)
    mean_d = np.add.reduceat(d[: starts[-1]], starts[:-1]) / counts
    power = np.sqrt(first2 * second2)
    fsc = np.divide(cross, power, out=np.zeros_like(cross), where=power > 0)
    fine = mean_d <= 15
    if len(mean_d) > 10 and fine.sum() > 10:
        fsc[fine] = smoothed(fsc[fine])
    order = np.argsort(-mean_d, kind="stable")
    return Curve(mean_d[order], fsc[order])


def smoothed(values: np.ndarray) -> np.ndarray:
    """Each value (n,) from a parabola through it and its ten neighbours on each side (Savitzky & Golay 1964).

    scipy.signal does the same, but takes longer to import than half of torch.
    """
    m = SMOOTHED
    offsets = np.arange(-m, m + 1)
    weights = 3 * (3 * m * m + 3 * m - 1 - 5 * offsets**2) / ((2 * m - 1) * (2 * m + 1) * (2 * m + 3))
    return ndimage.correlate1d(values, weights, mode="mirror")


def resolution_at(curve: Curve, cutoff: float) -> float | None:
    """d in A where an FSC first falls below `cutoff` (`cctbx.miller.array.d_min_from_fsc`); None if nowhere.

    Never finer than the first shell below, nor coarser than the one before; where the very first is below, that
    shell's d. (The reference's parabola may end far beyond: for two maps of noise it reports some resolution.)

    The first shell below, refined by the root of a parabola in 1/d through five shells either side; the
    shell's own d where the parabola has no root, or two roots of which the nearer is over 0.25 A off. The
    parabola is the least-squares one; the reference's minimiser stops before it gets there, which moves its
    answer by 0.01 A mostly, by 0.1 A on a curve that crosses slowly.
    """
    below = np.flatnonzero(curve.fsc < cutoff)
    if not len(below):
        return None
    middle = int(below[0])
    found = float(curve.d[middle])
    if middle == 0:
        return found
    return float(np.clip(_refined(curve, middle, cutoff), found, curve.d[middle - 1]))


def _refined(curve: Curve, middle: int, cutoff: float) -> float:
    low, high = max(0, middle - 5), min(middle + 6, len(curve.fsc) - 1)
    if high - low < 3:
        return float(curve.d[middle])
    a, b, c = np.polyfit(1 / curve.d[low:high], curve.fsc[low:high], 2)
    discriminant = b * b - 4 * a * (c - cutoff)
    if discriminant < 0 or a == 0:
        return float(curve.d[middle])
    roots = (-b + np.array([1, -1]) * np.sqrt(discriminant)) / (2 * a)
    if roots[0] * roots[1] < 0:
        return float(1 / roots.max())
    if (roots > 0).all():
        nearest = min(1 / roots, key=lambda d: abs(d - curve.d[middle]))
        if abs(nearest - curve.d[middle]) <= 0.25:
            return float(nearest)
    return float(curve.d[middle])


def d99(coefficients: np.ndarray, spacings: Reflections) -> float:
    """Smallest d (A) at which cutting the map there leaves less than 0.99 correlation with the whole map.

    sqrt(sum over d_h > d of |F|^2 / sum |F|^2) < 0.99. The reference counts the reflections with l = 0 half
    (`cctbx/maptbx/resolution.h`), although their mates are left out like all others'. That moves d99 by about
    0.1 A; this does the same, since d99 is compared with Phenix's.
    """
    power = _real_product(coefficients, coefficients)
    power[spacings.in_l0_plane] /= 2
    lost = np.cumsum(power)
    if lost[-1] <= 0:
        raise InputError("the map has the same value everywhere; there is no density to assess")
    first = int(np.searchsorted(lost, (1 - 0.99**2) * lost[-1], side="right"))
    return float(spacings.d[min(first, len(lost) - 1)])


def trial_resolutions(d_start: float) -> np.ndarray:
    """The d (A) among which mtriage looks for d_model: steps of 0.1 A to 6, then 6.5 to 10.4, then of 1 A."""
    d_end = 10 if d_start < 5 else 20 if d_start < 10 else 40 if d_start < 20 else 100
    trials = np.concatenate([np.arange(int(d_start * 10), 30), np.arange(30, 61), np.arange(65, 105)]) / 10
    trials = np.concatenate([trials, np.arange(11.0, 100.0)])
    return trials[(trials >= d_start) & (trials <= d_end)]


def best_model_cut(observed: np.ndarray, model: np.ndarray, d: np.ndarray) -> float:
    """The trial d (A) that maximises sum over d_h > d of Re(Fo Fm*) / sqrt(sum_all |Fo|^2 sum_(d_h > d) |Fm|^2)."""
    cross = np.cumsum(_real_product(observed, model)[::-1], dtype=np.float64)[::-1]
    power = np.cumsum(_real_product(model, model)[::-1], dtype=np.float64)[::-1]
    trials = trial_resolutions(float(d[0]))
    first = np.searchsorted(d, trials, side="right")
    inside = first < len(d)
    score = cross[first[inside]] / np.sqrt(power[first[inside]])
    return float(trials[inside][np.argmax(score)]) if inside.any() else float("nan")


def overall_b(observed: np.ndarray, model: np.ndarray, d: np.ndarray) -> float:
    """The B (A^2; -500 to 495 by 5) that makes a model without B factors correlate best with the map.

    Sums are gathered in 4000 steps of 1/d^2 first, over which exp(-B / 4d^2) hardly changes.
    """
    quarter = 0.25 / d**2
    steps = np.minimum((quarter / quarter.max() * 4000).astype(int), 3999)
    counts = np.maximum(np.bincount(steps, minlength=4000), 1)
    mean = np.bincount(steps, quarter, 4000) / counts
    cross = np.bincount(steps, _real_product(observed, model), 4000)
    power = np.bincount(steps, _real_product(model, model), 4000)
    trials = np.arange(-500.0, 500.0, 5.0)
    damping = np.exp(-trials[:, None] * mean)
    score = (damping * cross).sum(axis=1) / np.sqrt((damping**2 * power).sum(axis=1))
    return float(trials[np.argmax(score)])


def assess_model(
    observed: np.ndarray, model: np.ndarray, model_b0: np.ndarray, spacings: Reflections
) -> Resolutions:
    """All of mtriage's map-model figures.

    Args:
        observed: the map's coefficients (n,), masked or not.
        model: the model's.
        model_b0: those of the model with every B = 0 (see `without_b_factors`).
        spacings: their reflections.
    """
    d = spacings.d
    curve = shell_correlation(model, observed, d)
    limit = resolution_at(curve, 0.0)
    # The reference takes this one for a limit when the curve stays above 0: all reflections.
    first = int(np.searchsorted(d, limit, side="left")) if limit else 0
    b_overall = overall_b(observed[first:], model_b0[first:], d[first:])
    scaled = model_b0[first:] * np.exp(-b_overall / 4 / d[first:] ** 2)
    return Resolutions(
        d99=d99(observed, spacings),
        d_model=best_model_cut(observed[first:], scaled, d[first:]),
        d_model_b0=best_model_cut(observed, model_b0, d),
        b_overall=b_overall,
        d_fsc_model_0=limit,
        d_fsc_model_0143=resolution_at(curve, 0.143),
        d_fsc_model_05=resolution_at(curve, 0.5),
        curve=curve,
    )


def without_b_factors(model: AtomicModel) -> AtomicModel:
    """The model with every B = 0."""
    return replace(model, b_factors=np.zeros(len(model)))


def _real_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Re(F1 F2*), float64."""
    return first.real.astype(np.float64) * second.real + first.imag.astype(np.float64) * second.imag
