"""The input keeps a weight in the result, so that what a network doesn't believe in leaves a trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample

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
    own = resample(density, result.grid, order=3).values
    own = own - np.median(own)
    np.maximum(own, 0, out=own)
    power = np.square(own[bright], dtype=np.float64).sum()
    if power == 0:
        return result
    own *= np.multiply(own[bright], result.values[bright], dtype=np.float64).sum() / power
    np.minimum(own, 1, out=own)
    own *= weight
    own += (1 - weight) * result.values
    return replace(result, values=own)
