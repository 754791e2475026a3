"""Data consistency: the result brought back to the input's resolution and local scale, and compared with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from ..metrics.correlation import nth_largest
from .noise import Solvent, noise_level
from .spectrum import Spectrum, low_pass

WINDOW = 2.0  # full width at half maximum of the local correlation's window, in resolutions
SCALE_WINDOW = 5.0  # the same of the local scale's, at least LEAST_WINDOW
LEAST_WINDOW = 16.0  # A
TRUNCATE = 3.0  # standard deviations, where a window ends
SLAB = 64  # sections
RIDGE = 0.1  # of the mean power where the input is dense
SHARED = 1e-6  # of the input's amplitude, less of which the result shares not at all
LEAST_SCALE = 0.5
CLASSES = 12  # of density, over which the spread is fitted
MAD_TO_SIGMA = 1.4826
FSC_LIMIT = 0.5  # where input and result part, for maps that come without a resolution
RESOLUTION_RANGE = (1.5, 15.0)  # A, of that estimate


@dataclass(frozen=True)
class Comparison:
    """Input and result on the input's grid, at one resolution and one scale; float32 arrays (z, y, x).

    Attributes:
        grid: the input's.
        resolution: in A.
        observed: the input less its background, at its resolution.
        explained: the result brought back: radial filter, then local scale.
        inside: bool, where the input was not masked away.
        dense: bool, where the input is above its contour level and its noise.
        level: the contour level above the background.
        noise: the input's standard deviation in the solvent, at its resolution.
        spread: of observed - explained, see `expected_spread`.
        agreement: correlation of the two where either is dense at the map's own level, whatever the contour.
    """

    grid: Grid
    resolution: float
    observed: np.ndarray
    explained: np.ndarray
    inside: np.ndarray
    dense: np.ndarray
    level: float
    noise: float
    spread: tuple[float, float]
    agreement: float


def compare(
    before: DensityMap,
    after: DensityMap,
    solvent: Solvent,
    levels: tuple[float, float],
    resolution: float | None = None,
) -> Comparison:
    """Bring the result back to the input.

    The radial filter is the one that makes the result most like the input where the result has density, shell by
    shell of reciprocal space: it takes the sharpening back. Both are then weighted by their Fourier shell correlation,
    so that shells which are noise don't count, and the result is scaled locally (`local_scale`).

    Args:
        before: the input.
        after: the result, on any grid.
        solvent: the input's, see `find_solvent`.
        levels: the map's own contour level, which scales and noise are taken from, so that they are the same
            whatever the contour; and the one at which people look at it.
        resolution: of the input in A; None takes where input and result part in reciprocal space.

    Raises:
        InputError: the two do not overlap, have nothing in common, or one of them is constant.
    """
    result = bring_to_grid(after, before.grid)
    if not (result.values > 0).any():
        raise InputError(f"{after.name}: has no density where {before.name} lies; check its position")

    # Made anew each time: of a large map every array counts, and none is kept in vain.
    def values() -> np.ndarray:
        return np.where(solvent.inside, before.values - np.float32(solvent.background), np.float32(0))

    spectrum = Spectrum(before.grid, margin=4 * (resolution or 6.0))
    near = surroundings(result, resolution or 6.0)
    shared = spectrum.transform(values() * near)
    near = near > 0
    given = spectrum.transform(result.values)
    shells = spectrum.shells(shared, given)
    del shared
    if resolution is None:
        resolution = parting_resolution(shells.frequency, shells.correlation, before.grid)
    low_passed = spectrum.values(spectrum.transform(values()), low_pass(resolution))
    counts = [_count_above(low_passed, values, cut - solvent.background, before.name) for cut in levels]
    amplitude = max(low_passed.max(), -low_passed.min())
    del low_passed
    weights = low_pass(resolution), shells.filter(shells.correlation.clip(0))
    explained = spectrum.values(given, shells.filter(shells.regression), *weights)
    del given
    observed = spectrum.values(spectrum.transform(values()), *weights)
    observed[~solvent.inside] = 0
    if max(observed.max(), -observed.min()) < SHARED * amplitude:
        raise InputError(f"{after.name}: has nothing in common with {before.name} at any resolution")
    own, level = (nth_largest(observed, count - 1) for count in counts)
    noise = noise_level(observed, solvent.inside & near & (observed < own))
    always = _dense(observed, own, noise)
    explained *= local_scale(observed, explained, always, before.grid, resolution)
    dense = _dense(observed, level, noise)
    spread = expected_spread(observed, explained, dense, noise)
    region = always | (explained > own)
    agreement = float(np.corrcoef(observed[region], explained[region])[0, 1])
    return Comparison(
        before.grid,
        resolution,
        observed,
        explained,
        solvent.inside,
        dense,
        level,
        noise,
        spread,
        agreement,
    )


def _count_above(low_passed: np.ndarray, values: Callable[[], np.ndarray], cut: float, name: str) -> int:
    """So many voxels of the map at its resolution `cut` encloses: the weighted map's contour is to do as well.

    Where noise beyond the resolution alone reached the contour, they are the whole input's.
    """
    count = np.count_nonzero(low_passed > cut) or np.count_nonzero(values() > cut)
    if count == 0:
        raise InputError(f"{name}: no density above contour level {cut:g}; give a lower one")
    return int(count)


def _dense(observed: np.ndarray, level: float, noise: float) -> np.ndarray:
    dense = observed > max(level, 3 * noise)
    return dense if dense.any() else observed >= level


def expected_spread(
    observed: np.ndarray, explained: np.ndarray, dense: np.ndarray, noise: float
) -> tuple[float, float]:
    """a and g of the variance a + g explained^2 that observed - explained has where nothing is lost.

    a, at least the noise's variance, is what noise does; g what the network's own contrast does, which errs the
    more the denser the place. Both come from the robust spread of the difference in twelfths of the dense voxels
    by explained density.
    """
    difference, density = observed[dense] - explained[dense], explained[dense].clip(0)
    edges = np.quantile(density, np.linspace(0, 1, CLASSES + 1)[1:-1])
    owner = np.searchsorted(edges, density)
    powers, variances = [], []
    for index in range(CLASSES):
        one = difference[owner == index]
        if len(one):
            powers.append(np.mean(density[owner == index] ** 2, dtype=np.float64))
            variances.append((MAD_TO_SIGMA * np.median(np.abs(one - np.median(one)))) ** 2)
    least = 1e-12 * observed[dense].var() or noise**2 or 1.0  # a single dense voxel has no variance
    spread = np.maximum(variances, least)
    design = np.stack([np.ones(len(powers)), np.array(powers)], axis=1) / spread[:, None]
    a, g = np.linalg.lstsq(design, np.ones_like(spread), rcond=None)[0]
    least = max(noise**2, spread.min() / 2)
    if a < least:
        a = least
        g = np.median((spread - a) / np.maximum(powers, 1e-30))
    return float(a), float(max(g, 0.0))


def surroundings(result: DensityMap, resolution: float) -> np.ndarray:
    """1 within about a resolution of the result's density, falling to 0 beyond it, float32 (z, y, x)."""
    shown = result.values > 0.1 * np.percentile(result.values[result.values > 0], 99)
    spread = window_mean(shown.astype(np.float32), result.grid, 1.5 * resolution)
    return (spread / 0.1).clip(0, 1)


def bring_to_grid(density: DensityMap, grid: Grid) -> DensityMap:
    """The density on another grid (cubic spline); what a coarser grid cannot carry is filtered away first."""
    if density.grid == grid:
        return density
    limit = 2 * max(grid.step)
    if limit > 2.1 * min(density.grid.step):
        spectrum = Spectrum(density.grid, margin=4 * limit)
        smooth = spectrum.values(spectrum.transform(density.values), low_pass(limit))
        density = replace(density, values=smooth)
    return resample(density, grid, order=3)


def parting_resolution(frequency: np.ndarray, curve: np.ndarray, grid: Grid) -> float:
    """d (A) where the Fourier shell correlation of input and result falls below 0.5 for good."""
    carried = frequency < 0.5 / max(grid.step)
    above = np.flatnonzero(carried & (curve >= FSC_LIMIT))
    if not len(above):
        return RESOLUTION_RANGE[1]
    return float(np.clip(1 / frequency[above[-1]], *RESOLUTION_RANGE))


def local_scale(
    observed: np.ndarray, explained: np.ndarray, dense: np.ndarray, grid: Grid, resolution: float
) -> np.ndarray:
    """The factor (z, y, x) that fits the result to the input about each point.

    A regression through the origin in a Gaussian window: it is weighted by the result, so that what vanished doesn't
    pull on it. A ridge holds it near 1 where the result has little density, so that what nearly vanished isn't
    scaled up again. At least 0.5, so that what was invented far from all density isn't scaled away.
    """
    width = max(SCALE_WINDOW * resolution, LEAST_WINDOW)
    ridge = np.float32(RIDGE * np.mean(explained[dense] ** 2, dtype=np.float64))
    scale, power = observed * explained, explained**2
    for values in (scale, power):
        window_mean(values, grid, width, out=values)
        values += ridge
    scale /= power
    return np.maximum(scale, LEAST_SCALE, out=scale)


def local_correlation(comparison: Comparison) -> np.ndarray:
    """Pearson correlation of input and result in a Gaussian window two resolutions wide, float32 (z, y, x).

    Only what was not masked away counts. Where the result varies much less than the input's noise, correlation
    with it would be chance: a quarter of the noise's variance is added to the result's (and a hundredth to the
    input's, which has its noise already), so that empty solvent gives about 0.
    """
    c = comparison
    found, reach = np.empty_like(c.observed), _reach(WINDOW * c.resolution, c.grid)
    for start in range(0, len(found), SLAB):
        first, stop = max(0, start - reach), min(len(found), start + SLAB)
        found[start:stop] = _correlation_in(c, slice(first, stop + reach))[start - first : stop - first]
    return found


def _correlation_in(c: Comparison, part: slice) -> np.ndarray:
    """Of some sections; it takes several arrays of their size."""
    width, inside = WINDOW * c.resolution, c.inside[part]
    weight = window_mean(inside.astype(np.float32), c.grid, width).clip(1e-3)

    def mean(values: np.ndarray) -> np.ndarray:
        return window_mean(values, c.grid, width) / weight

    noise = np.float32(max(c.noise, 1e-3 * c.level, 1e-30)) ** 2
    floors = float(0.01 * noise), float(0.25 * noise)
    return np.where(inside, windowed_correlation(c.observed[part], c.explained[part], mean, floors), 0)


def windowed_correlation(
    first: np.ndarray,
    second: np.ndarray,
    mean: Callable[[np.ndarray], np.ndarray],
    floors: tuple[float, float],
) -> np.ndarray:
    """Pearson correlation about each point, float32 (z, y, x), -1..1.

    Args:
        first, second: maps on one grid.
        mean: of a map in a window about each point.
        floors: added to the two variances, so that where a map is all but constant there is no correlation.
    """
    a, b = mean(first), mean(second)
    covariance = mean(first * second)
    covariance -= a * b
    spread = np.ones_like(covariance)
    for values, centre, floor in ((first, a, floors[0]), (second, b, floors[1])):
        variance = mean(values**2)
        variance -= centre * centre
        spread *= variance.clip(0) + floor
    return (covariance / np.sqrt(spread)).clip(-1, 1).astype(np.float32)


def window_mean(values: np.ndarray, grid: Grid, width: float, out: np.ndarray | None = None) -> np.ndarray:
    """Mean in a Gaussian window of full width `width` A at half maximum; zeros beyond the box.

    `out` may be `values`.
    """
    sigmas = width / 2.3548 / np.array(grid.step)[::-1]
    return ndimage.gaussian_filter(values, sigmas, output=out, mode="constant", truncate=TRUNCATE)


def _reach(width: float, grid: Grid) -> int:
    """So many sections beyond one its window reaches."""
    return int(np.ceil(TRUNCATE * width / 2.3548 / grid.step[2])) + 1
