"""Give lost density back: the input, sharpened and scaled like the result, blended into what was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample
from .consistency import bring_to_grid, surroundings, window_mean
from .judgement import Trust
from .noise import find_solvent
from .preserved import REACH, soft_edge
from .spectrum import Spectrum

SCALE_WINDOW = 16.0  # A
UNKNOWN_RESOLUTION = 4.0  # A; it only says how far about density to look


def keep_lost(before: DensityMap, after: DensityMap, trust: Trust) -> DensityMap:
    """The result with the lost regions of `trust` filled from the input.

    The input is sharpened by the radial filter that makes it most like the result, and scaled to the result's
    amplitude around the place. Inside a lost region and 2 A beyond it the larger of the two
    densities is taken, with a smooth edge; elsewhere the result is left as it is.

    Args:
        before: the input.
        after: the result, on any grid.
        trust: what `judge` found for these two maps.

    Returns:
        A map on the result's grid; `after` itself if nothing was lost.
    """
    if not trust.lost:
        return after
    lost = np.zeros(before.grid.shape, bool)
    for region in trust.lost:
        lost[tuple(region.voxels.T)] = True
    weight, own = _like_result(before, after, soft_edge(lost, before.grid, REACH), trust.resolution)
    gain = np.maximum(own - after.values, 0)
    return replace(after, values=(after.values + weight * gain).astype(np.float32), name=f"{after.name} kept")


def preserve(
    before: DensityMap, after: DensityMap, weight: np.ndarray, resolution: float | None = None
) -> DensityMap:
    """The result with the input in its place where `weight` is 1, sharpened and scaled like its surroundings.

    Args:
        before: the input.
        after: the result, on any grid.
        weight: 0..1, float32 (z, y, x) on the input's grid.
        resolution: of the input, in A, if it is known.
    """
    weight, own = _like_result(before, after, weight, resolution or UNKNOWN_RESOLUTION)
    return replace(after, values=(after.values + weight * (own - after.values)).astype(np.float32))


def _like_result(
    before: DensityMap, after: DensityMap, weight: np.ndarray, resolution: float
) -> tuple[np.ndarray, np.ndarray]:
    """On the result's grid, the weight and the input: see `sharpen_like`, 0 at least, and no denser than the result."""
    sharpened = sharpen_like(before, after, weight, resolution)
    if after.grid != before.grid:
        weight = resample(DensityMap(weight, before.grid), after.grid, order=1).values
        sharpened = bring_to_grid(DensityMap(sharpened, before.grid), after.grid).values
    return weight, sharpened.clip(0, after.values.max())


def sharpen_like(before: DensityMap, after: DensityMap, weight: np.ndarray, resolution: float) -> np.ndarray:
    """The input (z, y, x), sharpened and locally scaled to be like the result, on the input's grid.

    Where `weight` (0..1, z, y, x) is 1 the result doesn't count.
    """
    result = bring_to_grid(after, before.grid)
    solvent = find_solvent(before.values)
    values = np.where(solvent.inside, before.values - np.float32(solvent.background), np.float32(0))
    spectrum = Spectrum(before.grid, margin=4 * resolution)
    near = surroundings(result, resolution)
    shells = spectrum.shells(spectrum.transform(result.values), spectrum.transform(values * near))
    sharpened = spectrum.values(spectrum.transform(values), shells.filter(shells.regression))
    sharpened[~solvent.inside] = 0
    known = near * (1 - weight)
    if not known.any():  # all stays
        known = near
    power = window_mean(known * sharpened**2, before.grid, SCALE_WINDOW)
    target = window_mean(known * result.values**2, before.grid, SCALE_WINDOW)
    total, total_target = float((known * sharpened**2).mean()), float((known * result.values**2).mean())
    ridge = 0.1
    return sharpened * np.sqrt((target + ridge * total_target) / (power + ridge * total))
