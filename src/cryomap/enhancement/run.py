"""Enhance one map: resample, normalise, run the tiles, blend, and put the result where the input is."""

from __future__ import annotations

import logging
import time

import numpy as np

from ..contour import default_contour, noise_ceiling
from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from .finer_detail import CROSSING, draws, with_finer_detail
from .input_weight import with_input
from .methods import Method
from .over_rotations import over_rotations
from .prepare import Prepared, prepare
from .report import Report
from .sharpen import sharpened
from .tiles import Progress, blend
from .undrawn import bare, with_undrawn

log = logging.getLogger(__name__)


def enhance(
    density: DensityMap,
    method: Method,
    level: float | None = None,
    mask: DensityMap | None = None,
    grid_spacing: float | None = None,
    progress: Progress | None = None,
    resolution: float | None = None,
) -> tuple[DensityMap, Report]:
    """Enhance a map, without judging the result.

    Args:
        density, level, mask, grid_spacing, resolution: as in `prepare`.
        method: see `load_method`.
        progress: told after each batch of tiles; it may raise `Cancelled`.

    Returns:
        The enhanced map, scaled 0..1, in the input's frame, and what was done.

    Raises:
        InputError: the map, the mask, the level or the spacing can't be used.
        MemoryError: not even one tile fits.
    """
    return enhance_prepared(prepare(density, level, mask, grid_spacing, resolution), method, progress)


def enhance_prepared(
    prepared: Prepared, method: Method, progress: Progress | None = None
) -> tuple[DensityMap, Report]:
    """The same for a map that is ready."""
    density = prepared.density
    cpu_seconds = method.predictor.cpu_seconds
    values, tiles_run, tiles_total = _run_network(prepared, method, progress)
    result = _on_grid(values, density, method, prepared.grid)
    del values
    nothing = bare(result.values) if method.card.input_weight else None
    result = with_input(result, density, method.card.input_weight)
    result, detail = add_detail(result, prepared, method)
    undrawn = 0.0
    if nothing is not None:
        # Whatever the contour that the map is shown at: the same map gives the same result.
        contour = max(
            default_contour(density.values), noise_ceiling(density.values, density.grid.voxel_volume)
        )
        result, undrawn = with_undrawn(result, nothing, density, contour)
    result = prepared.masked(result)
    return result, Report(
        method=method.card.method,
        weights=method.weights,
        device=method.predictor.device.type,
        precision=str(method.predictor.precision).removeprefix("torch."),
        seconds=round(time.monotonic() - prepared.begun, 3),
        network_cpu_seconds=round(method.predictor.cpu_seconds - cpu_seconds, 3),
        tiles_run=tiles_run,
        tiles_total=tiles_total,
        input_grid=density.grid,
        output_grid=result.grid,
        detail_from_input=detail,
        undrawn=round(undrawn, 1),
        **prepared.contours(result),
    )


def add_detail(result: DensityMap, prepared: Prepared, method: Method) -> tuple[DensityMap, float | None]:
    """The result with what is finer than the weights draw from the input, and where that begins (A), if it does."""
    finest = draws(method.card.low_pass, method.card.resolution)
    if method.is_released:
        return result, None
    finer = with_finer_detail(result, prepared.density, finest, prepared.resolution)
    return finer, None if finer is result else round(CROSSING * finest, 2)


def _run_network(
    prepared: Prepared, method: Method, progress: Progress | None
) -> tuple[np.ndarray, int, int]:
    """The network's output on its own grid (z, y, x), tiles run, and tiles of the whole box."""
    density, card, noise, level = prepared.density, method.card, prepared.noise, prepared.level
    values = resample(density, density.grid.cubic(card.grid_step), card.interpolation).values
    placed = method.place_tiles(values, noise, level)
    count = len(placed.starts)
    if count == 0:
        raise InputError(
            f"{density.name}: no density above {prepared.as_given(noise):.4g}, the noise of this map; give the level "
            "at which you look at it"
        )
    expected = method.predictor.seconds_for(placed.voxels * card.test_time_rotations)
    duration = f"{expected:.0f} s" if expected < 100 else f"{expected / 60:.0f} minutes"
    log.info("%s: %d of %d tiles hold density; about %s", density.name, count, placed.total, duration)
    try:
        values = method.normalize(values, level)
    except ValueError as error:
        raise InputError(f"{density.name}: {error}") from None
    predict = over_rotations(method.predictor, card.test_time_rotations)
    values = blend(values, placed, predict, method.predictor.batch, progress)
    return values, count, placed.total


def _on_grid(values: np.ndarray, density: DensityMap, method: Method, grid: Grid) -> DensityMap:
    """The network's output, as sharp as the card asks, scaled 0..1 on the output grid."""
    values = sharpened(values, method.card.sharpen, method.card.low_pass)
    np.maximum(values, 0, out=values)
    high = float(values.max())
    if not high > 0:
        raise InputError(
            f"{density.name}: the network ({method.weights}) makes no density of it; try other weights"
        )
    if not method.is_released:  # the released program's output is left as it is, within 0..1
        values /= high
    network_grid = density.grid.cubic(method.card.grid_step)
    name = f"{density.name} {method.card.method}"
    # A cubic spline here: trilinear interpolation would blur the detail that the network just made.
    result = resample(DensityMap(values, network_grid, name), grid, order=3)
    np.clip(result.values, 0, 1, out=result.values)
    return result
