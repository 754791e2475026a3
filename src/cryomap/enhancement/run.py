"""Enhance one map: resample, normalise, run the tiles, blend, and put the result where the input is."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from .check import require_enhanceable, require_grid_spacing, require_level
from .contour import default_contour, enclosed_volume, level_for_volume, noise_ceiling
from .input_weight import with_input
from .methods import Method
from .over_rotations import over_rotations
from .sharpen import sharpened
from .tiles import Progress, blend, window

FINE_STEP = 1.25  # A; an input whose voxels are larger gets its result on a grid of OUTPUT_STEP
OUTPUT_STEP = 1.0  # A

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What was done to one map.

    Attributes:
        method: "superem" or "cryosamu".
        weights: the file, or which bundled version.
        device: "cpu", "cuda" or "mps".
        precision: "bfloat16", "float16" or "float32".
        seconds: wall time of everything but reading and writing.
        network_cpu_seconds: processor time, all threads together, of the network alone.
        tiles_run: tiles sent to the network.
        tiles_total: tiles the whole box would have taken.
        input_grid: of the input.
        output_grid: of the result.
        contour_in: the input's contour level.
        contour_out: the level that encloses the same volume of the result.
        volume: that volume, A^3.
    """

    method: str
    weights: str
    device: str
    precision: str
    seconds: float
    network_cpu_seconds: float
    tiles_run: int
    tiles_total: int
    input_grid: Grid
    output_grid: Grid
    contour_in: float
    contour_out: float
    volume: float

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return asdict(self)


def enhance(
    density: DensityMap,
    method: Method,
    level: float | None = None,
    mask: DensityMap | None = None,
    grid_spacing: float | None = None,
    progress: Progress | None = None,
) -> tuple[DensityMap, Report]:
    """Enhance a map.

    Args:
        density: the map; it isn't changed.
        method: see `load_method`.
        level: the contour level at which one looks at the input; None takes mean + 1.5 standard deviations.
        mask: 0 (leave out) to its maximum (keep), on any grid; density outside is neither seen nor shown.
        grid_spacing: of the result, in A; None takes the input's own grid if its step is at most 1.25 A, else a
            1 A grid over the same box.
        progress: told after each batch of tiles; it may raise `Cancelled`.

    Returns:
        The enhanced map, scaled 0..1, in the input's frame, and what was done.

    Raises:
        InputError: the map, the mask, the level or the spacing can't be used.
        MemoryError: not even one tile fits.
    """
    begun = time.monotonic()
    require_enhanceable(density)
    result_grid = output_grid(density, grid_spacing)
    if level is not None:
        require_level(density, level)
    mask = None if mask is None else unit_mask(mask, density)
    if mask is not None:
        density = replace(density, values=density.values * mask.values)
        require_enhanceable(density)
    # What one looks at is density, even if it is weaker than the noise.
    noise = noise_ceiling(density.values, density.grid.voxel_volume)
    noise = noise if level is None else min(noise, level)
    if level is None:
        level = default_contour(density.values)
        log.info("%s: no contour level given; taking %.4g (mean + 1.5 sigma)", density.name, level)

    cpu_seconds = method.predictor.cpu_seconds
    values, tiles_run, tiles_total = _run_network(density, method, noise, level, progress)
    result = _on_grid(values, density, method, result_grid)
    result = with_input(result, density, method.card.input_weight)
    if mask is not None:
        result.values[...] *= resample(mask, result_grid, order=1).values

    volume = enclosed_volume(density.values, level, density.grid.voxel_volume)
    return result, Report(
        method=method.card.method,
        weights=method.weights,
        device=method.predictor.device.type,
        precision=str(method.predictor.precision).removeprefix("torch."),
        seconds=round(time.monotonic() - begun, 3),
        network_cpu_seconds=round(method.predictor.cpu_seconds - cpu_seconds, 3),
        tiles_run=tiles_run,
        tiles_total=tiles_total,
        input_grid=density.grid,
        output_grid=result.grid,
        contour_in=level,
        contour_out=level_for_volume(result.values, volume, result.grid.voxel_volume),
        volume=volume,
    )


def output_grid(density: DensityMap, spacing: float | None) -> Grid:
    """The grid of the result: of that spacing, else the input's own where it is fine enough, else 1 A."""
    if spacing is not None:
        require_grid_spacing(density, spacing)
        return density.grid.cubic(spacing)
    return density.grid if max(density.grid.step) <= FINE_STEP else density.grid.cubic(OUTPUT_STEP)


def unit_mask(mask: DensityMap, density: DensityMap) -> DensityMap:
    """The mask on the density's grid, 0..1."""
    high = float(mask.values.max())
    if not (np.isfinite(high) and high > 0):
        raise InputError(f"{mask.name}: a mask needs values above 0; its largest is {high:g}")
    on_grid = resample(mask, density.grid, order=1)
    values = (on_grid.values / high).clip(0, 1)
    if not values.any():
        raise InputError(f"{mask.name}: the mask doesn't overlap {density.name}; check its position")
    return replace(on_grid, values=values)


def _run_network(
    density: DensityMap, method: Method, noise: float, level: float, progress: Progress | None
) -> tuple[np.ndarray, int, int]:
    """The network's output on its own grid (z, y, x), tiles run, and tiles of the whole box."""
    card = method.card
    values = resample(density, density.grid.cubic(card.grid_step), card.interpolation).values
    placed = method.place_tiles(values, noise, level)
    count = len(placed.starts)
    if count == 0:
        log.warning("%s: no density above %.4g; the result is empty", density.name, noise)
        return np.zeros_like(values), 0, placed.total
    log.info("%s: %d of %d tiles hold density", density.name, count, placed.total)
    try:
        values = method.normalize(values, level)
    except ValueError as error:
        raise InputError(f"{density.name}: {error}") from None
    predict, weights = over_rotations(method.predictor, card.test_time_rotations), window(placed.tiling)
    values = blend(values, placed.starts, weights, predict, method.predictor.batch, progress)
    return values, count, placed.total


def _on_grid(values: np.ndarray, density: DensityMap, method: Method, grid: Grid) -> DensityMap:
    """The network's output, as sharp as the card asks, scaled 0..1 on the output grid."""
    values = sharpened(values, method.card.sharpen, method.card.low_pass)
    np.maximum(values, 0, out=values)
    high = float(values.max())
    if high > 0 and not method.is_released:  # the released program's output is left as it is, within 0..1
        values /= high
    network_grid = density.grid.cubic(method.card.grid_step)
    name = f"{density.name} {method.card.method}"
    # A cubic spline here: trilinear interpolation would blur the detail that the network just made.
    result = resample(DensityMap(values, network_grid, name), grid, order=3)
    np.clip(result.values, 0, 1, out=result.values)
    return result
