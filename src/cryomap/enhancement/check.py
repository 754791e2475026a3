"""What a map must be to be enhanced; anything else is refused with the reason and what to do."""

from __future__ import annotations

import math

import numpy as np

from ..density import DensityMap
from ..errors import InputError
from ..job import Options

SMALLEST_BOX = 8  # voxels
STEP_RANGE = (0.4, 5.0)  # A
MOST_VOXELS = 2**31
FEWEST = 27  # voxels above a contour level
LABEL_SHARE = 0.9  # of neighbouring voxels having one value


def require_enhanceable(density: DensityMap) -> None:
    """Refuse maps that no method can enhance.

    Raises:
        InputError: a tiny box, a voxel size outside 0.4 to 5 A, NaN or infinite voxels, a constant map, no
            positive density, or labels instead of density.
    """
    name, grid, values = density.name, density.grid, density.values
    if min(grid.shape) < SMALLEST_BOX:
        raise InputError(f"{name}: a box of {grid} is too small; give at least {SMALLEST_BOX} a side")
    if not (STEP_RANGE[0] - 1e-3 <= min(grid.step) and max(grid.step) <= STEP_RANGE[1] + 1e-3):
        step = " x ".join(f"{s:g}" for s in grid.step)
        raise InputError(
            f"{name}: voxel size {step} A; the methods take {STEP_RANGE[0]:g} to {STEP_RANGE[1]:g} A. "
            "Correct the header, or resample the map"
        )
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = values.size - np.count_nonzero(np.isfinite(values))
        raise InputError(f"{name}: {bad} voxels are NaN or infinite; repair the map (set them to 0) first")
    if low == high:
        raise InputError(f"{name}: every voxel is {low:g}; there is no density in this map")
    if high <= 0:
        raise InputError(
            f"{name}: no positive density ({low:g} to {high:g}); multiply the map by -1 if its contrast is inverted"
        )
    if looks_like_labels(values):
        raise InputError(f"{name}: a mask or segmentation (large regions of one value), not a density map")


def require_level(density: DensityMap, level: float, unit: float = 1.0, constant: float = 0.0) -> None:
    """Refuse a contour level that encloses nothing, next to nothing, or everything.

    Args:
        density: the map.
        level: the level.
        unit: what the map's values and the level were divided by, after
        constant: was subtracted from them.

    Raises:
        InputError: the level is outside the map's range, or a few voxels are above it.
    """
    low, high = float(density.values.min()), float(density.values.max())
    above = int(np.count_nonzero(density.values >= level))
    told, lowest, highest = (value * unit + constant for value in (level, low, high))
    if low < level < high and above < FEWEST:
        raise InputError(
            f"{density.name}: contour level {told:g} encloses {above} voxels; the map's largest value is "
            f"{highest:g}. Give the level at which you look at this map"
        )
    if not low < level < high:
        raise InputError(
            f"{density.name}: contour level {told:g} is outside the map's range, {lowest:g} to {highest:g}; "
            "give the level at which you look at this map"
        )


def require_holdable(density: DensityMap, spacing: float) -> None:
    """Refuse a grid for the result that is too fine to hold.

    Raises:
        InputError: a spacing (A) that no result has, or one that makes more voxels than 2^31.
    """
    Options(grid_spacing=spacing)
    voxels = math.prod(density.grid.cubic(spacing).shape)
    if voxels > MOST_VOXELS:
        raise InputError(
            f"grid spacing {spacing:g} A makes {voxels:,} voxels of {density.name}; give a larger spacing"
        )


def looks_like_labels(values: np.ndarray) -> bool:
    """Whether neighbouring voxels outside the background mostly have one and the same value.

    Args:
        values: (z, y, x); the background is their median, or the value around the box's corner.
    """
    sections = values[:: max(1, len(values) // 32)]
    left, right = sections[..., :-1], sections[..., 1:]
    inside = np.ones(left.shape, bool)
    for background in (np.median(sections), values[0, 0, 0]):
        inside &= (left != background) & (right != background)
    pairs = np.count_nonzero(inside)
    if pairs == 0:
        return len(np.unique(sections)) <= 3
    return bool(np.count_nonzero(inside & (left == right)) > LABEL_SHARE * pairs)
