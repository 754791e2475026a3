"""Single voxels that no density can have: a detector's hot pixel, a slip of a program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse.csgraph import connected_components

from .density import DensityMap
from .grid import three_ints

MOST = 64  # voxels; more are something else
TOGETHER = 4  # voxels at most that touch one another, as where a particle grazed a detector
ABOVE_NEIGHBOURS = (
    8.0  # times the strongest of 26; the sharpest density at twice its resolution's steps has 3
)
ABOVE_SIGMA = 20.0  # of all other voxels


def hot_voxels(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Places (z, y, x) of voxels that stand alone or by a few, far above all their neighbours or far below.

    Args:
        values: (z, y, x), finite.
    """
    count = min(MOST, values.size)
    strength = np.abs(values)
    least = np.partition(strength, values.size - count, axis=None)[values.size - count]
    order = np.flatnonzero(strength >= least)
    order = order[np.argsort(strength.flat[order], kind="stable")][-count:]
    strongest = strength.flat[order]
    if count < values.size:
        strength.flat[order] = 0
    # By section: the squares of a large map at once would be several times the map.
    power = sum(float(np.square(section, dtype=np.float64).sum()) for section in strength)
    sigma = float(np.sqrt(power / (values.size - count or count)))
    strength.flat[order] = strongest
    order = order[strongest > ABOVE_SIGMA * sigma]
    places = np.stack(np.unravel_index(order, values.shape), axis=1)
    touching = abs(places[:, None] - places).max(axis=2, initial=0) <= 1
    _, groups = connected_components(touching)
    found: list[tuple[int, int, int]] = []
    for group in np.unique(groups):
        together = order[groups == group]
        if len(together) <= TOGETHER and _stand_out(strength, together):
            found += [three_ints(place) for place in places[groups == group]]
    return found


def _stand_out(strength: np.ndarray, together: np.ndarray) -> bool:
    """Whether each of these voxels (flat indices) is far above all neighbours of theirs; `strength` stays the same."""
    values = strength.flat[together]
    strength.flat[together] = 0
    places = np.stack(np.unravel_index(together, strength.shape), axis=1)
    around = max(
        float(strength[tuple(slice(max(0, i - 1), i + 2) for i in place)].max()) for place in places.tolist()
    )
    strength.flat[together] = values
    return bool(values.min() > ABOVE_NEIGHBOURS * around)


def without_hot_voxels(density: DensityMap) -> tuple[DensityMap, str]:
    """The map with the median of the neighbours in such voxels, and which they are in words; itself and "" if none."""
    places = hot_voxels(density.values)
    if not places:
        return density, ""
    told = f"{_described(density, places)}; the median of the neighbours is taken"
    return replace(density, values=_tamed(density.values, places)), told


def _tamed(values: np.ndarray, places: list[tuple[int, int, int]]) -> np.ndarray:
    result = values.copy()
    for place in places:
        box = tuple(slice(max(0, i - 1), i + 2) for i in place)
        around = np.delete(values[box].ravel(), np.abs(values[box]).argmax())
        result[place] = np.median(around)
    return result


def _described(density: DensityMap, places: list[tuple[int, int, int]]) -> str:
    told = [f"{x}, {y}, {z} ({density.values[z, y, x]:.4g})" for z, y, x in places[:3]]
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    plural = "s" if len(places) > 1 else ""
    return f"{density.name}: the voxel{plural} x, y, z = {'; '.join(told)}{more} can't be density"
