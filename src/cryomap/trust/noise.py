"""The noise of a map, from the map itself, and how far from it something must stand to be no noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

from ..background import half_sample_mode, masked_value, sorted_sample

CUT_OFF = 0.6
ALL_BUT_ONE = 3e-3  # of the mean deviation; a fiftieth of an unmasked map's voxels lie so near to each other
BELOW_SHARE = 0.1  # of solvent lying below the background, at least, where both halves of the noise are there


@dataclass(frozen=True)
class Solvent:
    """What is not molecule.

    Attributes:
        background: the mean of the solvent.
        inside: bool (z, y, x), where the map was not masked away.
        masked: whether it was, somewhere.
    """

    background: float
    inside: np.ndarray
    masked: bool


def find_solvent(values: np.ndarray) -> Solvent:
    """The background of a map (z, y, x), and where it was masked away.

    Where a tenth of the voxels have one value, or all but one since the map was filtered or turned after that, the
    solvent was masked away to that value. Else the peak of the histogram is the solvent.
    """
    sample = sorted_sample(values)
    within = ALL_BUT_ONE * float(np.abs(sample - np.median(sample)).mean(dtype=np.float64))
    constant = masked_value(sample)
    if constant is None:
        constant = masked_value(sample, within)
    if constant is None:
        return Solvent(half_sample_mode(sample.astype(np.float64)), np.ones(values.shape, bool), False)
    apart = (values > constant + within) | (values < constant - within)
    inside = ndimage.binary_closing(np.pad(apart, 1))[1:-1, 1:-1, 1:-1]
    return Solvent(constant, inside, True)


def noise_level(values: np.ndarray, shell: np.ndarray) -> float:
    """Standard deviation of the noise where there is no density, from what lies below the background.

    Density has no part in that half. Where less than a tenth of the voxels are below, the map's negative half was cut
    off: then the lower quartile of the absolute values tells, which half a Gaussian has at 0.3186 sigma. Density
    that reaches into the shell makes this 1.6 to 2.1 times too large (11 simulated maps), so 0.6 of it is taken.

    Args:
        values: (z, y, x), less the background.
        shell: bool (z, y, x), voxels about the molecule: near it, since masks damp the noise farther away.
    """
    found = values[shell]
    below = found[found < 0]
    if len(below) <= BELOW_SHARE * len(found):
        return CUT_OFF * float(np.quantile(np.abs(found), 0.25)) / 0.3186 if len(found) else 0.0
    return float(np.sqrt(np.mean(below**2, dtype=np.float64)))


def significance(volume: float, width: float, expected: float = 0.1) -> float:
    """How many sigma noise exceeds in `expected` places on average, in a volume of smooth Gaussian noise.

    The expected Euler characteristic of the excursions above t of a Gaussian field in 3D:
    V (4 ln 2)^(3/2) / w^3 (2 pi)^-2 (t^2 - 1) exp(-t^2 / 2) (Worsley et al. 1992, equation 1).

    Args:
        volume: A^3 searched.
        width: full width at half maximum, in A, of the Gaussian that would make such noise from white noise.
        expected: false alarms allowed, on average.
    """
    cells = max(volume / width**3, 1.0) * (4 * np.log(2)) ** 1.5 / (2 * np.pi) ** 2

    def excess(t: float) -> float:
        return np.log(cells * (t * t - 1)) - t * t / 2 - np.log(expected)

    return float(optimize.brentq(excess, 2.0, 40.0)) if excess(2.0) > 0 else 2.0
