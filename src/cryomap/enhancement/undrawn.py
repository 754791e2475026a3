"""What a map shows and a network doesn't draw, a ligand or a lipid, stays in the result as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..density import DensityMap
from .input_weight import BRIGHT, above_background, scale_between

SLAB = 32  # planes worked on at a time: a map of 512^3 has no room for more copies


def bare(drawn: np.ndarray) -> np.ndarray:
    """Where a network draws nothing, of its result (z, y, x): float16, 1 there, 0 from `BRIGHT` of the largest on."""
    share = np.empty(drawn.shape, np.float16)
    bright = BRIGHT * float(drawn.max()) or 1.0
    for z in range(0, len(drawn), SLAB):
        share[z : z + SLAB] = (1 - drawn[z : z + SLAB] / bright).clip(0, 1)
    return share


def with_undrawn(
    result: DensityMap, bare: np.ndarray, density: DensityMap, level: float
) -> tuple[DensityMap, float]:
    """The input in the place of the result, where nothing was drawn and the input stands above its contour.

    The input above its background (its median) is scaled to the result by least squares where that was drawn, and cut
    at 1: no artefact of the input outshines the result.

    Args:
        result: scaled 0..1; it isn't changed.
        bare: see there, on the result's grid.
        density: the input, on any grid.
        level: the input's contour.

    Returns:
        On the result's grid, 0..1, and the volume (A^3) above the contour that is the input's.
    """
    own, background = above_background(density, result.grid)
    scale = scale_between(own, result.values, bare == 0)
    if scale == 0 or level <= background:
        return result, 0.0
    contour, volume = scale * (level - background), 0
    for z in range(0, len(own), SLAB):
        made, given = result.values[z : z + SLAB], own[z : z + SLAB]
        given *= scale
        # From half the contour to one and a half, so that no surface at the contour is torn.
        share = (given / contour - 0.5).clip(0, 1) * bare[z : z + SLAB]
        volume += int(np.count_nonzero((share > 0.5) & (given > contour)))
        np.minimum(given, 1, out=given)
        given -= made
        given *= share
        given += made
    return replace(result, values=own), volume * result.grid.voxel_volume
