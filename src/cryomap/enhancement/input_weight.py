"""The input keeps a weight in the result, so that what a network doesn't believe in leaves a trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample
from ..grid import Grid

BRIGHT = 0.1  # of the result's largest value; from there on its density sets the input's scale


def with_input(result: DensityMap, density: DensityMap, weight: float) -> DensityMap:
    """1 - weight of the result, weight of the input.

    Only the input above its background (its median) counts, scaled to the result by least squares where that is
    bright, and cut at 1: no artefact of the input outshines the result.

    Args:
        result: scaled 0..1; it isn't changed.
        density: the input, on any grid.
        weight: 0..1.

    Returns:
        On the result's grid, 0..1.
    """
    bright = result.values > BRIGHT * result.values.max()
    if not (weight and bright.any()):
        return result
    own, _ = above_background(density, result.grid)
    scale = scale_between(own, result.values, bright)
    if scale == 0:
        return result
    own *= scale
    np.minimum(own, 1, out=own)
    own *= weight
    own += (1 - weight) * result.values
    return replace(result, values=own)


def above_background(density: DensityMap, grid: Grid) -> tuple[np.ndarray, float]:
    """What of a map is above its background, its median, on a grid (z, y, x), an array of its own; the background."""
    own = resample(density, grid, order=3).values
    background = float(np.median(own))
    own = own - np.float32(background)  # on the same grid these are the input's own values
    return np.maximum(own, 0, out=own), background


def scale_between(own: np.ndarray, values: np.ndarray, where: np.ndarray) -> float:
    """By least squares what makes values of `own` where (all z, y, x); 0 if it has nothing there."""
    own = own[where]
    power = np.square(own, dtype=np.float64).sum()
    return float(np.multiply(own, values[where], dtype=np.float64).sum() / power) if power else 0.0
