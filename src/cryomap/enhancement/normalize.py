"""How each method scales a map before its network sees it: small pure functions.

They take and return numpy arrays or torch tensors alike, so that inference and training share them. Each raises
ValueError where there is nothing to scale by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .equalize import equalized
from .moments import Array, moments


def superem(values: Array) -> Array:
    """Negative density to 0, then minimum to 0 and maximum to 1 (SuperEM, "Datasets").

    Raises:
        ValueError: no density above 0, or a constant.
    """
    values = values.clip(0)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ValueError("no density above 0")
    values -= low  # in place from here: it is a copy by now, and maps can be large
    values /= high - low
    return values


def contour(values: Array, level: float) -> Array:
    """The contour level to 0, the maximum to 1, what is below to 0: what the released SuperEM program does.

    Raises:
        ValueError: no density above the level.
    """
    high = float(values.max())
    if not high > level:
        raise ValueError(f"no density above the contour level {level:g}")
    values = values - level
    values /= high - level
    return values.clip(0)


def cryosamu(values: Array, percentile: float = 99.9) -> Array:
    """Divide by a percentile of the non-zero voxels, clip to 0..1 (CryoSAMU, "Resampling 3D maps").

    The paper takes the percentile "of each map"; that voxels of exactly 0 (masked solvent, padding) don't count
    is our choice, so that the scale doesn't depend on how much of them there is.

    Raises:
        ValueError: the percentile isn't above 0.
    """
    scale = _percentile(values[values != 0], percentile)
    if not scale > 0:
        raise ValueError(f"the {percentile:g}th percentile of the density isn't above 0")
    return (values / scale).clip(0, 1)


def _percentile(values: Array, percentile: float) -> float:
    """Nearest-rank percentile of a 1D array; 0 of an empty one. (torch.quantile refuses 16 M values.)"""
    rank = math.ceil(percentile * len(values) / 100 - 1e-6)  # 99.9 % of 1000 is rank 999, whatever floats say
    if rank < 1:
        return 0.0
    if isinstance(values, np.ndarray):
        return float(np.partition(values, rank - 1)[rank - 1])
    return float(values.kthvalue(rank).values)


NORMALIZATIONS: dict[str, Callable] = {
    "superem": superem,
    "contour": contour,
    "cryosamu": cryosamu,
    "moments": moments,
    "equalized": equalized,
}


def normalize(values: Array, how: Mapping[str, Any]) -> Array:
    """Scale by the function of `NORMALIZATIONS` that `how` names, with its arguments, as model cards give it.

    Raises:
        ValueError: there is nothing to scale by.
    """
    arguments = dict(how)
    return NORMALIZATIONS[arguments.pop("name")](values, **arguments)
