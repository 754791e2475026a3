"""The FSC of half maps behind a mask, freed of what the mask itself puts in (Chen et al. 2013)."""

from __future__ import annotations

import numpy as np
from scipy import fft

from ..grid import Grid
from ..reciprocal import fft_positions, inverse_d_squared, largest_indices
from .fourier import Curve, Reflections, shell_correlation

START = 0.8  # phases are random from where the unmasked FSC first falls below this (RELION's rule)
SHELLS = (
    2  # beyond that, up to which the masked FSC is taken as it is: the corrected one is undefined at the edge
)


def true_fsc(
    first: np.ndarray,
    second: np.ndarray,
    mask: np.ndarray,
    reflections: Reflections,
    unmasked: Curve,
    masked: Curve,
) -> Curve:
    """FSC_true = (FSC_masked - FSC_random) / (1 - FSC_random) beyond where phases are random, else FSC_masked.

    FSC_random is that of the half maps with random phases, behind the same mask: what is left of it the mask made.

    Args:
        first, second: the half maps (z, y, x).
        mask: 0..1, of their shape.
        reflections: of their grid.
        unmasked: their FSC without a mask.
        masked: their FSC behind it.

    Returns:
        On the shells of `masked`; the same curve if the unmasked FSC never falls so low.
    """
    low = np.flatnonzero(unmasked.fsc < START)
    if not len(low):
        return masked
    start = int(low[0])
    rng = np.random.default_rng(0)
    first_random, second_random = (
        reflections.of_map(randomized(v, reflections.grid, float(unmasked.d[start]), rng) * mask)
        for v in (first, second)
    )
    random = shell_correlation(first_random, second_random, reflections.d)
    corrected = (masked.fsc - random.fsc) / np.maximum(1 - random.fsc, 1e-6)
    kept = np.arange(len(masked.fsc)) < start + SHELLS
    return Curve(masked.d, np.where(kept, masked.fsc, corrected))


def randomized(values: np.ndarray, grid: Grid, d: float, rng: np.random.Generator) -> np.ndarray:
    """The map (z, y, x) with the phases of all coefficients finer than d (A) replaced by those of white noise."""
    limits = largest_indices(grid)
    positions = fft_positions(limits, grid.shape)
    coefficients = fft.rfftn(np.asarray(values, np.float32), workers=-1)
    noise = fft.rfftn(rng.normal(size=grid.shape).astype(np.float32), workers=-1)[positions]
    block = coefficients[positions]
    fine = inverse_d_squared(grid, limits) > 1 / d**2
    block[fine] = np.abs(block[fine]) * noise[fine] / np.maximum(np.abs(noise[fine]), 1e-30)
    coefficients[positions] = block
    return fft.irfftn(coefficients, grid.shape, workers=-1)
