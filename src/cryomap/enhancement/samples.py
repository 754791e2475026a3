"""Uncertainty: the same map enhanced in several orientations, their mean and their standard deviation."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from .contour import default_contour, enclosed_volume, level_for_volume
from .methods import Method
from .run import Report, enhance, output_grid, unit_mask
from .tiles import Progress

ORIENTATIONS = 24

log = logging.getLogger(__name__)


def enhance_samples(
    density: DensityMap,
    method: Method,
    count: int,
    level: float | None = None,
    mask: DensityMap | None = None,
    grid_spacing: float | None = None,
    progress: Progress | None = None,
) -> tuple[DensityMap, DensityMap, Report]:
    """Enhance a map in `count` of the cube's 24 orientations and bring the results back.

    A network that were sure of a place would say the same in every orientation. Mirror images are left out: no
    network has seen left-handed helices. The copies take the place of the half turns that the card asks for.

    Args:
        density, method, level, mask, grid_spacing, progress: as in `enhance`.
        count: 2 to 24.

    Returns:
        Mean and standard deviation of the results on the grid that `enhance` would give, and what was done: seconds
        and tiles of all copies together.

    Raises:
        InputError: count is not 2 to 24, or as `enhance`.
    """
    if not 2 <= count <= ORIENTATIONS:
        raise InputError(f"samples {count}: give 2 to {ORIENTATIONS}")
    begun, grid = time.monotonic(), output_grid(density, grid_spacing)
    method = replace(method, card=replace(method.card, test_time_rotations=1))
    mask = None if mask is None else unit_mask(mask, density)
    if mask is not None:
        density = replace(density, values=density.values * mask.values)
    if level is None:
        level = default_contour(density.values)
    # On the network's own grid a turned copy has the same points, so that nothing but the network differs.
    whole = resample(density, density.grid.cubic(method.card.grid_step), method.card.interpolation)
    mean, squares, reports = np.zeros(whole.grid.shape), np.zeros(whole.grid.shape), []
    for index, (axes, flips) in enumerate(orientations()[:count]):
        log.info("%s: copy %d of %d", density.name, index + 1, count)
        turned = np.ascontiguousarray(np.flip(whole.values.transpose(axes), flips))
        copy = DensityMap(turned, Grid(turned.shape, whole.grid.step), density.name)
        result, report = enhance(copy, method, level, None, None, _shifted(progress, index, count))
        back = np.flip(result.values, flips).transpose(np.argsort(axes))
        reports.append(report)
        change = back - mean
        mean += change / (index + 1)
        squares += change * (back - mean)
    deviation = np.sqrt(squares / (count - 1))
    maps = [
        DensityMap(values.astype(np.float32), whole.grid, f"{density.name} {method.card.method} {what}")
        for values, what in ((mean, "mean"), (deviation, "deviation"))
    ]
    outputs = [_on_grid(m, grid, mask) for m in maps]
    volume = enclosed_volume(density.values, level, density.grid.voxel_volume)
    report = replace(
        reports[0],
        seconds=round(time.monotonic() - begun, 3),
        network_cpu_seconds=sum(r.network_cpu_seconds for r in reports),
        tiles_run=sum(r.tiles_run for r in reports),
        tiles_total=sum(r.tiles_total for r in reports),
        input_grid=density.grid,
        output_grid=grid,
        contour_in=level,
        contour_out=level_for_volume(outputs[0].values, volume, grid.voxel_volume),
        volume=volume,
    )
    return outputs[0], outputs[1], report


def orientations() -> list[tuple[tuple[int, int, int], tuple[int, ...]]]:
    """The 24 proper rotations of a cube, each as an order of axes and the axes then flipped; identity first.

    The others follow in an order in which neighbours differ in all axes, so that few copies already look
    from all sides.
    """
    found = []
    for axes in itertools.permutations(range(3)):
        even = axes in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        for flips in itertools.chain.from_iterable(itertools.combinations(range(3), n) for n in range(4)):
            if (len(flips) % 2 == 0) == even:
                found.append((axes, flips))
    rest = found[1:]
    return [found[0], *(rest[(7 * i + 10) % len(rest)] for i in range(len(rest)))]


def _on_grid(density: DensityMap, grid: Grid, mask: DensityMap | None) -> DensityMap:
    result = resample(density, grid, order=3)
    values = result.values.clip(0, 1)
    if mask is not None:
        values *= resample(mask, grid, order=1).values
    return replace(result, values=values)


def _shifted(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Progress of one copy as a part of all."""
    if progress is None:
        return None

    def report(done: int, total: int, seconds_left: float) -> None:
        each = total and seconds_left / max(1, total - done)
        progress(index * total + done, count * total, each * (total - done + (count - 1 - index) * total))

    return report
