"""Baseline: the best global B-factor sharpening there is for a map, found by search against its model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import fft, optimize

from cryomap.density import DensityMap
from cryomap.metrics.correlation import ModelMap, pearson
from cryomap.reciprocal import fft_positions, inverse_d_squared, largest_indices

LOWEST, HIGHEST = -400.0, 400.0  # A^2


def sharpened(density: DensityMap, b_factor: float, resolution: float) -> DensityMap:
    """A map with its Fourier coefficients multiplied by exp(-B / 4d^2) and cut softly beyond the resolution.

    Args:
        density: the map.
        b_factor: B in A^2; below 0 it sharpens (Rosenthal and Henderson 2003), above 0 it blurs.
        resolution: in A; a raised cosine takes the coefficients to 0 between it and 0.85 of it.
    """
    factors = fft.rfftn(density.values, workers=-1)
    limits = largest_indices(density.grid)
    inverse_d = np.sqrt(inverse_d_squared(density.grid, limits))
    fall = np.clip((inverse_d * resolution - 1) / (1 / 0.85 - 1), 0, 1)
    filtered = np.zeros_like(factors)
    positions = fft_positions(limits, density.grid.shape)
    weights = np.exp(-b_factor / 4 * np.minimum(inverse_d, 1 / (0.85 * resolution)) ** 2)
    filtered[positions] = factors[positions] * weights * (0.5 + 0.5 * np.cos(np.pi * fall))
    return replace(density, values=fft.irfftn(filtered, density.grid.shape, workers=-1).astype(np.float32))


def best_sharpening(density: DensityMap, computed: ModelMap, resolution: float) -> tuple[DensityMap, float]:
    """The sharpened or blurred map that agrees best with the model, and its B.

    The correlation with `computed` inside its mask decides: an advantage that no user without a model has.
    Only the part of the map about the model is searched on.
    """
    shape = computed.density.grid.shape
    part = DensityMap(
        np.ascontiguousarray(computed.part_of(density.values)), density.grid.cropped(computed.start, shape)
    )
    wanted = computed.density.values[computed.mask]

    def loss(b_factor: float) -> float:
        agreement = pearson(sharpened(part, b_factor, resolution).values[computed.mask], wanted)
        return -agreement if np.isfinite(agreement) else 0.0

    coarse = np.linspace(LOWEST, HIGHEST, 17)
    losses = [loss(b) for b in coarse]
    best = int(np.argmin(losses))
    low, high = coarse[max(0, best - 1)], coarse[min(len(coarse) - 1, best + 1)]
    found = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1.0})
    b_factor = float(found.x) if found.fun < losses[best] else float(coarse[best])
    return sharpened(density, b_factor, resolution), b_factor
