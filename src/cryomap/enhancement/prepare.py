"""Make a map ready for a network: checked, masked, with its contour level and the grid of its result."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from ..contour import default_contour, enclosed_volume, level_for_volume, noise_ceiling
from ..density import DensityMap, in_range, mask_on, resample
from ..errors import InputError
from ..grid import Grid
from ..hot_voxels import without_hot_voxels
from .check import require_enhanceable, require_holdable, require_level

FINE_STEP = 1.25  # A; an input whose voxels are larger gets its result on a grid of OUTPUT_STEP
OUTPUT_STEP = 1.0  # A

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A map ready for a network.

    Attributes:
        density: the map, 0 outside the mask.
        mask: 0..1 on the map's grid, or None.
        level: the contour level.
        noise: what is not above this is no density.
        grid: of the result.
        begun: when the preparation began, by `time.monotonic`.
        resolution: of the map in A, if it is known.
        unit: what the values were divided by, so that they are neither tiny nor huge; levels are, too.
        constant: what was subtracted from all values before that, and from levels.
    """

    density: DensityMap
    mask: DensityMap | None
    level: float
    noise: float
    grid: Grid
    begun: float
    resolution: float | None = None
    unit: float = 1.0
    constant: float = 0.0

    def as_given(self, level: float) -> float:
        """A level or value in the unit of the map as it came."""
        return level * self.unit + self.constant

    def masked(self, result: DensityMap) -> DensityMap:
        """A result, 0 outside the mask; changed in place."""
        if self.mask is not None:
            result.values[...] *= resample(self.mask, self.grid, order=1).values
        return result

    def contours(self, result: DensityMap) -> dict[str, Any]:
        """What a report says of contours: the input's level, that of the result, and the volume both enclose."""
        volume = enclosed_volume(self.density.values, self.level, self.density.grid.voxel_volume)
        level = level_for_volume(result.values, volume, result.grid.voxel_volume)
        return {"contour_in": self.as_given(self.level), "contour_out": level, "volume": volume}


def prepare(
    density: DensityMap,
    level: float | None = None,
    mask: DensityMap | None = None,
    grid_spacing: float | None = None,
    resolution: float | None = None,
    constant: float = 0.0,
) -> Prepared:
    """Make a map ready.

    Args:
        density: the map; it isn't changed.
        level: the contour level at which one looks at it; None takes mean + 1.5 standard deviations.
        mask: 0 (leave out) to its maximum (keep), on any grid; density outside is neither seen nor shown.
        grid_spacing: of the result, in A; None takes the input's own grid if its step is at most 1.25 A, else a
            1 A grid over the same box.
        resolution: of the map in A, if it is known.
        constant: that was subtracted from the map; the level is of the map as it came.

    Raises:
        InputError: the map, the mask, the level or the spacing can't be used.
    """
    begun = time.monotonic()
    require_enhanceable(density)
    density, hot = without_hot_voxels(density)
    if hot:
        log.warning(hot)
        require_enhanceable(density)
    density, unit = in_range(density)
    grid = _output_grid(density, grid_spacing)
    if level is not None:
        level = (level - constant) / unit
        require_level(density, level, unit, constant)
    if mask is not None:
        mask = _unit_mask(mask, density)
        masked = density.values * mask.values
        if masked.max() <= 0 or masked.max() == masked.min():
            raise InputError(f"{mask.name}: leaves no density of {density.name}; check what it covers")
        density = replace(density, values=masked)
    # What one looks at is density, even if it is weaker than the noise.
    noise = noise_ceiling(density.values, density.grid.voxel_volume)
    noise = noise if level is None else min(noise, level)
    if level is None:
        level = default_contour(density.values)
        taken = level * unit + constant
        log.info("%s: no contour level given; taking %.4g (mean + 1.5 sigma)", density.name, taken)
    return Prepared(density, mask, level, noise, grid, begun, resolution, unit, constant)


def _output_grid(density: DensityMap, spacing: float | None) -> Grid:
    if spacing is not None:
        require_holdable(density, spacing)
        return density.grid.cubic(spacing)
    return density.grid if max(density.grid.step) <= FINE_STEP else density.grid.cubic(OUTPUT_STEP)


def _unit_mask(mask: DensityMap, density: DensityMap) -> DensityMap:
    """The mask on the density's grid, 0..1."""
    on_grid = mask_on(mask, density)
    return replace(on_grid, values=(on_grid.values / float(mask.values.max())).clip(0, 1))
