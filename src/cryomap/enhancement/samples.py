"""Uncertainty: the same map enhanced in several orientations, their mean and their standard deviation."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import replace

import numpy as np

from ..density import DensityMap, resample
from ..grid import Grid
from .methods import Method
from .prepare import Prepared
from .report import Report
from .run import add_detail, enhance_prepared
from .tiles import Progress

log = logging.getLogger(__name__)


def enhance_samples(
    prepared: Prepared, method: Method, count: int, progress: Progress | None = None
) -> tuple[DensityMap, DensityMap, Report]:
    """Enhance a map in `count` of the cube's 24 orientations and bring the results back.

    A network that were sure of a place would say the same in every orientation. Mirror images are left out: no
    network has seen left-handed helices. The copies take the place of the half turns that the card asks for.

    Args:
        prepared, method, progress: as in `enhance_prepared`.
        count: 2 to 24.

    Returns:
        Mean and standard deviation of the results on the grid that `enhance` would give, and what was done: seconds
        and tiles of all copies together, and the mean volume that they don't draw.

    Raises:
        InputError, MemoryError: as `enhance`.
    """
    density = prepared.density
    method = replace(method, card=replace(method.card, test_time_rotations=1))
    # On the network's own grid a turned copy has the same points, so that nothing but the network differs.
    whole = resample(density, density.grid.cubic(method.card.grid_step), method.card.interpolation)
    mean, squares, reports = np.zeros(whole.grid.shape), np.zeros(whole.grid.shape), []
    for index, (axes, flips) in enumerate(orientations()[:count]):
        log.info("%s: copy %d of %d", density.name, index + 1, count)
        turned = np.ascontiguousarray(np.flip(whole.values.transpose(axes), flips))
        copy = DensityMap(turned, Grid(turned.shape, (method.card.grid_step,) * 3), density.name)
        shifted = _shifted(progress, index, count)
        # Detail from the input is no matter of chance, nor is the mask: the mean gets them.
        ready = replace(prepared, density=copy, mask=None, grid=copy.grid, resolution=np.inf)
        result, report = enhance_prepared(ready, method, shifted)
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
    outputs = [_on_grid(m, prepared.grid) for m in maps]
    outputs[0], detail = add_detail(outputs[0], prepared, method)
    outputs = [prepared.masked(m) for m in outputs]
    report = replace(
        reports[0],
        seconds=round(time.monotonic() - prepared.begun, 3),
        network_cpu_seconds=sum(r.network_cpu_seconds for r in reports),
        tiles_run=sum(r.tiles_run for r in reports),
        tiles_total=sum(r.tiles_total for r in reports),
        input_grid=density.grid,
        output_grid=prepared.grid,
        detail_from_input=detail,
        undrawn=round(float(np.mean([r.undrawn for r in reports])), 1),
        **prepared.contours(outputs[0]),
    )
    return outputs[0], outputs[1], report


def orientations() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
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


def _on_grid(density: DensityMap, grid: Grid) -> DensityMap:
    result = resample(density, grid, order=3)
    return replace(result, values=result.values.clip(0, 1))


def _shifted(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Progress of one copy as a part of all."""
    if progress is None:
        return None

    def report(done: int, total: int, seconds_left: float) -> None:
        each = total and seconds_left / max(1, total - done)
        progress(index * total + done, count * total, each * (total - done + (count - 1 - index) * total))

    return report
