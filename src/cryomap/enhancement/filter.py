"""The result as sharp or as smooth as its user wants it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import fft

from ..density import DensityMap
from ..reciprocal import fft_positions, inverse_d_squared, largest_indices
from .sharpen import ORDER


def filtered(density: DensityMap, b_factor: float, low_pass: float | None) -> DensityMap:
    """Multiply the Fourier coefficients by exp(-B / 4 d^2), and fade what is finer than `low_pass`.

    Args:
        density: a map on any grid; it isn't changed.
        b_factor: B in A^2; below 0 it sharpens (Rosenthal & Henderson 2003).
        low_pass: in A, where a Butterworth filter has fallen to 0.71; None keeps all.

    Returns:
        Scaled to 1 at most, negative values 0, as every result.
    """
    shape = density.grid.shape
    limits = largest_indices(density.grid)
    positions = fft_positions(limits, shape)
    s2 = inverse_d_squared(density.grid, limits).astype(np.float32)
    factors = np.exp(-b_factor / 4 * s2)
    if low_pass is not None:
        factors /= np.sqrt(1 + (low_pass**2 * s2) ** ORDER)
    coefficients = fft.rfftn(np.asarray(density.values, np.float32), workers=-1)
    kept = np.zeros_like(coefficients)  # without the Nyquist terms of even axes, which have no d of their own
    kept[positions] = coefficients[positions] * factors
    values = np.maximum(fft.irfftn(kept, shape, workers=-1), 0)
    return replace(density, values=values / max(float(values.max()), 1e-30))
