"""Half maps enhanced alone and together, and how far the results agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..density import DensityMap
from ..trust.halves import HalvesComparison, compare_halves, mean_map, warn_of_halves
from ..trust.input_verdict import InputWarning
from .trusted import Enhanced, log_warning


def enhance_halves(
    first: DensityMap,
    second: DensityMap,
    enhance: Callable[[DensityMap], Enhanced],
    warn: Callable[[InputWarning], None] = log_warning,
) -> tuple[list[Enhanced], HalvesComparison]:
    """Enhance both half maps and their mean, and compare the enhanced halves.

    Args:
        first, second: the half maps, on one grid.
        enhance: makes a result of a map.
        warn: told what is wrong with the two as half maps, before the network runs; by default the log is.

    Returns:
        What became of the first, the second and the mean, and how far the first two agree.

    Raises:
        InputError, MemoryError: the half maps are on different grids, or as `enhance`.
    """
    mean, warning = mean_map(first, second), warn_of_halves(first, second)
    if warning is not None:
        warn(warning)
    done = [enhance(density) for density in (first, second, mean)]
    if warning is not None:
        report = done[2].report
        done[2] = replace(done[2], report=replace(report, warnings=(warning, *report.warnings)))
    level = done[2].report.contour_out
    return done, compare_halves((first, second), (done[0].result, done[1].result), level=level)
