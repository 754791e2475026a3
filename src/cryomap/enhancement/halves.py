"""Half maps enhanced alone and together, and how far the results agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..density import DensityMap
from ..trust.halves import HalvesComparison, compare_halves, mean_map
from .trusted import Enhanced, enhance_trusted


@dataclass(frozen=True)
class EnhancedHalves:
    """What became of two half maps.

    Attributes:
        halves: each enhanced alone.
        together: their mean enhanced.
        comparison: how far the enhanced halves agree.
    """

    halves: tuple[Enhanced, Enhanced]
    together: Enhanced
    comparison: HalvesComparison

    def to_dict(self) -> dict[str, Any]:
        """The report of the mean, with the halves' comparison under "halves"."""
        return {**self.together.to_dict(), "halves": self.comparison.to_dict()}


def enhance_halves(first: DensityMap, second: DensityMap, *how: Any, **more: Any) -> EnhancedHalves:
    """Enhance both half maps and their mean, and compare the enhanced halves.

    Args:
        first, second: the half maps, on one grid.
        *how, **more: what `enhance_trusted` takes after the map.

    Raises:
        InputError, MemoryError: the half maps are on different grids, or as `enhance_trusted`.
    """
    mean = mean_map(first, second)
    a, b, together = (enhance_trusted(density, *how, **more) for density in (first, second, mean))
    level = together.report.contour_out
    comparison = compare_halves((first, second), (a.result, b.result), level=level)
    return EnhancedHalves((a, b), together, comparison)
