"""A verdict on a map before the network runs: what it is, if it is no map that the method was made for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..density import LABEL, DensityMap, in_range
from ..grid import Grid, three_ints
from ..metrics.correlation import pearson
from ..metrics.fourier import d99, reflections
from .noise import Solvent, find_solvent

# The limits lie between what 43 deposited maps and crops of such show and what each kind of nonsense shows.
LOOKED_AT = 192  # voxels a side, about the middle of the box
SMOOTH = 2.0  # A, sigma of the Gaussian that takes away noise which stands alone
SKEWED, SMOOTH_SKEWED = 0.7, 0.5  # skewness as it is and smoothed; every real map has 0.85 or more of the first
EVEN = 0.3  # skewness: a difference map's is nearer to 0; a real map turned round has -0.46 or less of both
WHITE = 0.1  # correlation of neighbours; 0.45 and more in every real map
WHITE_SMOOTH_SKEWED = 1.0  # white noise on a molecule has more
INVENTED = "Whatever the result shows is invented"
HEAVY_TAILS = 1.0  # excess kurtosis; noise has 0
PLATEAU = 0.2  # of the voxels within a tenth of the largest: a mask's; density has 0.01
NOISELESS_SKEW = 2.5  # of a map without any negative voxel; what was cut out of a real map has 1.3 at most
NOTHING = 1e-3  # of the standard deviation, by which the solvent's own value may be off
WEDGE = 0.15  # of the mean power about an axis; 0.45 and more in every real map
MASKED_OFFSET, OFFSET = 0.05, 1.0  # of the standard deviation; 0.6 in crops whose neighbours are density
BEYOND_SPECTRUM = 0.55  # of d99; 0.6 and more in every real map

_RESULT_NAME = re.compile(r" (superem|cryosamu)( mean| kept)*$|_enhanced\.(mrc|map|mrc\.gz|map\.gz)$")


@dataclass(frozen=True)
class InputWarning:
    """Something that makes a result doubtful.

    Attributes:
        kind: one of `KINDS`.
        message: what was seen, with the figure, and what to do.
        value: the figure, if there is one.
    """

    kind: str
    message: str
    value: float | None = None

    @property
    def is_grave(self) -> bool:
        """Whether the result is worthless."""
        return self.kind in WORTHLESS


# The first make any result worthless.
WORTHLESS = ("noise", "contrast", "difference", "mask", "tomogram", "halves")
MEANINGLESS = "for an input like this that means nothing"  # said of the judgement then
KINDS = (*WORTHLESS, "masked halves", "enhanced", "range", "nyquist", "spectrum", "offset")


def examine(
    density: DensityMap,
    constant: float,
    *,
    trained: tuple[float, float],
    method: str,
    resolution: float | None = None,
) -> tuple[InputWarning, ...]:
    """What is wrong with a map as the input of a method; nothing, for almost every map.

    Args:
        density: the map as it came, one that `require_enhanceable` lets pass.
        constant: that was added to it, see `without_offset`.
        trained: the resolutions (A) that the method's weights were trained on, lowest first.
        method: its name, for messages.
        resolution: of the map in A, if it is known.
    """
    found = [_offset(density.name, constant), _enhanced(density)]
    part, _ = in_range(_middle(density))
    solvent = find_solvent(part.values)
    values = np.where(solvent.inside, part.values - np.float32(solvent.background), np.float32(0))
    mask = _mask(part.name, values)
    found.append(mask)
    if mask is None:
        tomogram = _tomogram(part.name, values, part.grid)
        found.append(tomogram)
        if tomogram is None:
            found.append(_density_kind(part, values, solvent) or _noiseless(part.name, values, solvent))
    if resolution is not None:
        found += [_range(density.name, resolution, trained, method), _nyquist(density, resolution)]
        found.append(_spectrum(part, values, resolution))
    kinds: dict[str, InputWarning] = {}
    for warning in found:
        if warning is not None:
            kinds.setdefault(warning.kind, warning)
    if "noise" in kinds:
        kinds.pop("offset", None)  # where all is noise, a solvent's value means nothing
    return tuple(sorted(kinds.values(), key=lambda warning: KINDS.index(warning.kind)))


def without_offset(density: DensityMap) -> tuple[DensityMap, float]:
    """The map less the constant that was added to it, and that constant; the map itself if none is to be seen.

    It is the solvent's value, if that is far from 0: whoever scales a map to 0..1 or to 16 bit adds one. Of a map
    that wasn't masked a small one may be a crop's dense surroundings, and is left alone, as is a map with NaN or
    infinite voxels.
    """
    if not np.isfinite(density.values).all():
        return density, 0.0
    solvent = find_solvent(density.values)
    spread = float(density.values[solvent.inside].std()) if solvent.inside.any() else np.inf
    limit = MASKED_OFFSET if solvent.masked else OFFSET
    if not abs(solvent.background) > limit * spread:
        return density, 0.0
    return replace(density, values=density.values - np.float32(solvent.background)), solvent.background


def _offset(name: str, constant: float) -> InputWarning | None:
    if constant == 0:
        return None
    text = f"its solvent lies at {constant:.4g}, not at 0; this constant was subtracted before anything else"
    return InputWarning("offset", f"{name}: {text}", constant)


def _enhanced(density: DensityMap) -> InputWarning | None:
    labelled = any(LABEL in label for label in density.labels)
    if not labelled and not _RESULT_NAME.search(density.name):
        return None
    seen = "its header" if labelled else "its name"
    return InputWarning(
        "enhanced",
        f"{density.name}: {seen} says that it was enhanced already; a network takes its own inventions for data. "
        "Enhance the deposited map",
    )


def _middle(density: DensityMap) -> DensityMap:
    """The middle of the box, at most LOOKED_AT voxels a side."""
    start = three_ints(max(0, (n - LOOKED_AT) // 2) for n in density.grid.shape)
    shape = three_ints(min(n, LOOKED_AT) for n in density.grid.shape)
    box = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    return replace(density, values=density.values[box], grid=density.grid.cropped(start, shape))


def _mask(name: str, values: np.ndarray) -> InputWarning | None:
    used = values[values != 0]
    if not used.size:
        return None
    top = float(np.quantile(used, 0.999))
    share = float(np.mean(used > 0.9 * top)) if top > 0 else 0.0
    if share < PLATEAU:
        return None
    text = f"{100 * share:.0f} % of its voxels have nearly the largest value, as in a mask or a segmentation"
    return InputWarning("mask", f"{name}: {text}; give the map itself", share)


def _tomogram(name: str, values: np.ndarray, grid: Grid) -> InputWarning | None:
    """A wedge of Fourier space about an axis without any power."""
    power = np.abs(np.fft.rfftn(values)) ** 2
    step = grid.step[::-1]
    z, y, x = (np.fft.fftfreq(n, s).astype(np.float32) for n, s in zip(grid.shape, step, strict=True))
    x = np.abs(x[: power.shape[2]])
    axes = np.meshgrid(z, y, x, indexing="ij", sparse=True)
    frequency = np.sqrt(sum(axis**2 for axis in axes))
    band = (frequency > 0.02) & (frequency < min(0.2, 0.4 / max(step)))
    cones = [band & (np.abs(axis) > 0.9 * frequency) for axis in axes]
    mean = float(power[band].mean()) if band.any() else 0.0
    shares = [float(power[cone].mean()) / mean for cone in cones if cone.any() and mean > 0]
    if not shares or min(shares) > WEDGE:
        return None
    text = f"about one axis it has {100 * min(shares):.0f} % of the mean power: a missing wedge"
    return InputWarning(
        "tomogram",
        f"{name}: {text}, as in a tomogram; the methods are for single-particle maps",
        min(shares),
    )


def _density_kind(part: DensityMap, values: np.ndarray, solvent: Solvent) -> InputWarning | None:
    """Noise, inverted contrast and differences: density of a molecule is skewed, noise and differences are not."""
    inside, sigmas = solvent.inside, SMOOTH / np.array(part.grid.step)[::-1]
    shared = _shared_by_neighbours(values, inside)
    if shared < WHITE:
        apart = np.where(inside, values - values[inside].mean(), np.float32(0))  # no edge of a mask is to be seen
        if _moments(ndimage.gaussian_filter(apart, sigmas)[inside], False)[0] < WHITE_SMOOTH_SKEWED:
            text = f"neighbouring voxels have nothing in common (correlation {shared:.2f}; in a map 0.4 or more)"
            return InputWarning("noise", f"{part.name}: {text}. {INVENTED}", shared)
    smooth = ndimage.gaussian_filter(values, sigmas)
    moments = [_moments(field[inside], solvent.masked) for field in (values, smooth)]
    skew, smooth_skew = (skew for skew, _ in moments)
    if max(skew / SKEWED, smooth_skew / SMOOTH_SKEWED) > 1:
        return None
    if skew < -EVEN and smooth_skew < -EVEN:
        text = f"its density lies below the solvent (skewness {skew:.2f}): the contrast is inverted"
        return InputWarning("contrast", f"{part.name}: {text}. Multiply it by -1", skew)
    if abs(skew) < EVEN and moments[0][1] > HEAVY_TAILS:
        text = f"it has as much density below 0 as above (skewness {skew:.2f}), as a difference map"
        return InputWarning(
            "difference", f"{part.name}: {text}; the methods are for maps of a molecule", skew
        )
    text = f"nothing in it stands out from its noise (skewness {skew:.2f}; a molecule's is above {SKEWED:g})"
    return InputWarning("noise", f"{part.name}: {text}. {INVENTED}", skew)


def _shared_by_neighbours(values: np.ndarray, inside: np.ndarray) -> float:
    """Correlation of neighbouring voxels inside, along the axis where it is largest."""
    found = []
    for axis in range(3):
        first, second = (np.moveaxis(array, axis, 0) for array in (values, inside))
        both = second[1:] & second[:-1]
        found.append(pearson(first[1:][both], first[:-1][both]))
    return max(found)


def _moments(values: np.ndarray, masked: bool) -> tuple[float, float]:
    """Skewness, about the solvent where a mask tells exactly what that is, and excess kurtosis."""
    values = values.astype(np.float64)
    deviation = values - values.mean()
    squares = deviation**2
    second = np.mean(squares)
    if second == 0:
        return 0.0, 0.0
    return _skewness(values if masked else deviation), float(np.mean(squares**2) / second**2 - 3)


def _skewness(values: np.ndarray) -> float:
    squares = values**2  # numpy takes ten times as long for any other power
    return float(np.mean(squares * values) / np.mean(squares) ** 1.5)


def _noiseless(name: str, values: np.ndarray, solvent: Solvent) -> InputWarning | None:
    """Solvent without noise that nobody masked: what networks and other programs make."""
    used = values[solvent.inside]
    if (used < -NOTHING * used.std()).any():
        return None
    skew = _skewness(used - used.mean())
    if skew < NOISELESS_SKEW:
        return None
    text = (
        f"its solvent has neither noise nor negative values (skewness {skew:.1f}): it was processed by a network, "
        "or cut off"
    )
    return InputWarning("enhanced", f"{name}: {text}. Enhance the map as it was reconstructed", skew)


def _range(name: str, resolution: float, trained: tuple[float, float], method: str) -> InputWarning | None:
    low, high = trained
    if low <= resolution <= high:
        return None
    what = (
        "it draws nothing finer; what the map shows beyond that comes from the map itself"
        if resolution < low
        else "what it adds is then mostly guessed"
    )
    text = f"{resolution:g} A is outside the {low:g} to {high:g} A that {method} was trained on: {what}"
    return InputWarning("range", f"{name}: {text}", resolution)


def _nyquist(density: DensityMap, resolution: float) -> InputWarning | None:
    nyquist = 2 * max(density.grid.step)
    if resolution > 0.99 * nyquist:
        return None
    text = f"{resolution:g} A is finer than its voxels can hold ({nyquist:.2f} A); check the resolution and the header"
    return InputWarning("nyquist", f"{density.name}: {text}", nyquist)


def _spectrum(part: DensityMap, values: np.ndarray, resolution: float) -> InputWarning | None:
    spacings = reflections(part.grid)
    finest = d99(spacings.of_map(values), spacings)
    if resolution > BEYOND_SPECTRUM * finest:
        return None
    text = f"99 % of its amplitudes lie below {finest:.1f} A; it does not show {resolution:g} A. Check the resolution"
    return InputWarning("spectrum", f"{part.name}: {text}", finest)
