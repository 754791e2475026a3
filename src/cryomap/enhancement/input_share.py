"""A share of the input stays in the result, so that what a network doesn't believe in leaves a trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample

BRIGHT = 0.1  # of the result's largest value; from there on its density sets the input's scale


def with_input(result: DensityMap, density: DensityMap, share: float) -> DensityMap:
    """1 - share of the result, share of the input.

    Only the input above its background (its median) counts, scaled to the result by least squares where that is
    bright, and cut at 1: no artefact of the input outshines the result.

    Args:
        result: scaled 0..1; it isn't changed.
        density: the input, on any grid.
        share: 0..1.

    Returns:
        On the result's grid, 0..1.
    """
    bright = result.values > BRIGHT * result.values.max()
    if not (share and bright.any()):
        return result
    own = resample(density, result.grid, order=3).values
    own = own - np.median(own)
    np.maximum(own, 0, out=own)
    power = np.square(own[bright], dtype=np.float64).sum()
    if power == 0:
        return result
    own *= np.multiply(own[bright], result.values[bright], dtype=np.float64).sum() / power
    np.minimum(own, 1, out=own)
    own *= share
    own += (1 - share) * result.values
    return replace(result, values=own)
