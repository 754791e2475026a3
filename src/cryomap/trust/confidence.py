"""Confidence: the probability that an atom of the molecule lies near, calibrated on real maps with models.

How dense the network's own result is tells right from wrong as well as anything that can be had there; what a density
is worth in a map depends on how much detail the result has as a whole. Both make a logistic regression, whose
coefficients belong to the weights (scripts/calibrate_confidence.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..density import DensityMap
from ..errors import InputError

NEAR = 1.5  # A; an atom within it is what the confidence is about
REACH = 4.0  # A of the molecule, where it was calibrated: farther away it is an extrapolation
KNEES = (-2.0, -1.0, 0.0)  # of the logarithm of density, where its slope may change
TERMS = 3 + len(KNEES)  # coefficients
LEAST = 1e-3  # of the density's scale
BLUR = 2.0  # A, standard deviation of the blur that takes detail away


def confidence(result: DensityMap, coefficients: Sequence[float]) -> DensityMap:
    """The probability, 0..1, that a heavy atom lies within 1.5 A of each voxel, on the result's grid.

    Args:
        result: the network's own, nothing given back or filtered.
        coefficients: of the weights that made it, see `terms`.

    Raises:
        InputError: nothing of the result is above 0.
    """
    scale, kept = _scale_and_detail(result)
    wanted, values = np.asarray(coefficients, np.float32), np.empty(result.grid.shape, np.float32)
    # A section at a time: the terms of all would take six maps' memory.
    for section, density in zip(values, result.values, strict=True):
        section[:] = probability(_terms(density, scale, kept), wanted)
    return DensityMap(values, result.grid, f"{result.name} confidence")


def probability(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Of terms (..., 6): (...), 0..1."""
    return 1 / (1 + np.exp(-(x @ coefficients)))


def terms(result: DensityMap, where: np.ndarray | None = None) -> np.ndarray:
    """What the regression takes, float32 (..., 6).

    They are 1; the logarithm of the density over its scale, and by how much it is above each of the knees; and the
    logarithm of the share of the density that a blur leaves. The scale is the mean density, each voxel weighted by its
    density, so neither the box nor the unit matters.

    Args:
        result: a map.
        where: bool (z, y, x), the voxels that are wanted; None: all.
    """
    return _terms(result.values if where is None else result.values[where], *_scale_and_detail(result))


def _scale_and_detail(result: DensityMap) -> tuple[float, float]:
    """The density's scale, and the share of the density that a blur leaves."""
    positive = result.values.clip(0)
    power = float(np.einsum("zyx,zyx->", positive, positive, dtype=np.float64))
    if not power:
        raise InputError(f"{result.name}: nothing in it is above 0")
    blurred = ndimage.gaussian_filter(positive, BLUR / np.array(result.grid.step)[::-1], mode="constant")
    kept = float(np.einsum("zyx,zyx->", positive, blurred, dtype=np.float64)) / power
    return power / float(positive.sum(dtype=np.float64)), kept


def _terms(values: np.ndarray, scale: float, kept: float) -> np.ndarray:
    density = np.log((values.clip(0) / np.float32(scale)).clip(LEAST))
    columns = [np.ones_like(density), density, *((density - knee).clip(0) for knee in KNEES)]
    return np.stack([*columns, np.full_like(density, np.log(kept))], axis=-1)
