"""Local resolution of half maps: up to which detail they agree about each voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import fft, ndimage

from ..density import DensityMap, in_range
from ..errors import InputError
from ..reciprocal import fft_positions, inverse_d_squared, largest_indices

CUTOFF = 0.5
BAND = 0.02  # 1/A; width of a frequency shell
WINDOW = 1.5  # standard deviation of the Gaussian window, in units of the shell's d
COARSEST = 20.0  # A; nothing is called worse


def local_resolution(
    first: DensityMap, second: DensityMap, cutoff: float = CUTOFF, mask: np.ndarray | None = None
) -> DensityMap:
    """The d (A) of the shell in which the local correlation of two half maps first falls below a cutoff.

    Both maps are cut into shells of frequency; in each, their correlation within a Gaussian window about every voxel
    stands for the FSC there (as blocres does it in boxes, Cardone et al. 2013). The window grows with d, so that it
    holds the same number of waves in every shell. Between two shells the crossing is interpolated in 1/d.

    Args:
        first, second: the half maps, on one grid.
        cutoff: 0.5, the usual one for local figures.
        mask: (z, y, x), above 0.5 where the answer is wanted; elsewhere it is `COARSEST`.

    Returns:
        On the same grid; from the grid's own limit to `COARSEST`.

    Raises:
        InputError: other grids, or a cutoff that is none.
    """
    if first.grid != second.grid:
        raise InputError(
            f"{second.name} isn't on the grid of {first.name}; half maps of one reconstruction are"
        )
    if not 0 < cutoff < 1:
        raise InputError(f"cutoff {cutoff:g}: give 0 to 1")
    grid = first.grid
    limits = largest_indices(grid)
    positions = fft_positions(limits, grid.shape)
    s = np.sqrt(inverse_d_squared(grid, limits)).astype(np.float32)
    coefficients = [
        fft.rfftn(in_range(m)[0].values.astype(np.float32, copy=False), workers=-1)[positions]
        for m in (first, second)
    ]
    finest = min((n - 1) // 2 / (n * step) for n, step in zip(grid.size, grid.step, strict=True))

    found = np.full(grid.shape, 1 / COARSEST, np.float32)  # 1/d of the crossing
    open_, previous, last = np.ones(grid.shape, bool), np.ones(grid.shape, np.float32), 1 / COARSEST
    for centre in np.arange(1 / COARSEST, finest, BAND):
        shell = np.exp(-0.5 * ((s - centre) / (BAND / 2)) ** 2)
        bands = []
        for block in coefficients:
            whole = np.zeros((*grid.shape[:2], grid.shape[2] // 2 + 1), np.complex64)
            whole[positions] = block * shell
            bands.append(fft.irfftn(whole, grid.shape, workers=-1).astype(np.float32))
        sigma = WINDOW / centre / np.array(grid.step)[::-1]
        cross, power, other = (
            ndimage.gaussian_filter(product, sigma, truncate=3)
            for product in (bands[0] * bands[1], bands[0] ** 2, bands[1] ** 2)
        )
        now = cross / np.maximum(np.sqrt(np.maximum(power * other, 0)), 1e-30)
        crossed = open_ & (now < cutoff)
        share = (previous - cutoff) / np.maximum(previous - now, 1e-6)
        found[crossed] = (last + np.clip(share, 0, 1) * (centre - last))[crossed]
        open_ &= ~crossed
        previous, last = now, centre
    found[open_] = last
    if mask is not None:
        found[mask <= 0.5] = 1 / COARSEST
    return replace(first, values=1 / found, name=f"{first.name} local resolution")
