"""Contour levels: a sensible one for a map, the noise, and the level that encloses a given volume."""

from __future__ import annotations

import numpy as np

from .background import half_sample_mode, masked_value, mean_and_deviation, sorted_sample

RIPPLE = 1e-3
NOISE_SIGMAS = 5.0
DENSITY_SHARE, DENSITY_VOLUME = 0.01, 2e4  # of the box; A^3


def default_contour(values: np.ndarray) -> float:
    """Mean + 1.5 standard deviations, for a map that came without a contour.

    On the 17 maps with models that this was chosen on, it enclosed 0.4 to 2 times the volume of the atoms; the
    level of the top 1 % of voxels, the other custom, only 0.07 to 0.9, since it depends on how tight the box is.
    """
    mean, deviation = mean_and_deviation(values)
    return mean + 1.5 * deviation


def noise_ceiling(values: np.ndarray, voxel_volume: float, least: int = 4_000_000) -> float:
    """The value that solvent noise doesn't exceed.

    Where a tenth of the voxels share one value the solvent was masked, and the ceiling is a thousandth of the
    range above that value, since a spline makes ripples about a mask's edge. Else the solvent is the peak of the
    histogram, its standard deviation that of the values below the peak (density has no part there), and 5 of
    them above the peak is the ceiling: 3 in 10^7 noise voxels exceed it.

    A tight box has little solvent, and its peak is density. So the ceiling is lowered until at least 1 % of the
    box, or 20,000 A^3 (a protein of 16 kDa) if that is less, is above it.

    Args:
        values: (z, y, x).
        voxel_volume: A^3.
        least: how many voxels to look at, see `sorted_sample`.
    """
    sample = sorted_sample(values, least)
    solvent = masked_value(sample)
    if solvent is not None:
        return solvent + RIPPLE * (float(sample[-1]) - solvent)
    # Going on to the very peak would follow its noise.
    mode = half_sample_mode(sample, sample.size // 16 + 2)
    below = sample[sample < mode]
    sigma = float(np.sqrt(np.mean((below - mode) ** 2, dtype=np.float64))) if below.size else 0.0
    share = min(DENSITY_SHARE, DENSITY_VOLUME / (values.size * voxel_volume))
    return min(mode + NOISE_SIGMAS * sigma, float(sample[int((1 - share) * (sample.size - 1))]))


def enclosed_volume(values: np.ndarray, level: float, voxel_volume: float) -> float:
    """Volume (A^3) of the voxels at or above a level."""
    return float(np.count_nonzero(values >= level)) * voxel_volume


def level_for_volume(values: np.ndarray, volume: float, voxel_volume: float) -> float:
    """The level at which voxels of the given volume (A^3) are at or above it; always above 0.

    Returns:
        The smallest positive value if the volume is more than the positive voxels fill; 0 if there are none.
    """
    positive = values[values > 0]
    if positive.size == 0:
        return 0.0
    count = min(positive.size, max(1, round(volume / voxel_volume)))
    return float(np.partition(positive, positive.size - count)[positive.size - count])
