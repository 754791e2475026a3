"""What was done to one map, as JSON can hold it."""

from __future__ import annotations

from dataclasses import dataclass

from ..grid import Grid
from ..trust.input_verdict import InputWarning
from ..trust.judgement import Trust


@dataclass(frozen=True)
class Report:
    """What was done to one map.

    Attributes:
        method: "superem" or "cryosamu".
        weights: the file, or which bundled version.
        device: "cpu", "cuda" or "mps".
        precision: "bfloat16", "float16" or "float32".
        seconds: wall time of everything but reading, judging and writing.
        network_cpu_seconds: processor time, all threads together, of the network alone.
        tiles_run: tiles sent to the network.
        tiles_total: tiles the whole box would have taken.
        input_grid: of the input.
        output_grid: of the result.
        contour_in: the input's contour level.
        contour_out: the level that encloses the same volume of the result.
        volume: that volume, A^3.
        detail_from_input: detail finer than this (A) is the input's; None if all is the network's.
        undrawn: volume (A^3) above the input's noise and 1.5 standard deviations that the network doesn't draw, so that
            it is the input's.
        preserved: volume (A^3) in which the input was kept as it is.
        trained_on: the input's EMDB id, if the weights were trained on that map.
        warnings: what the input was told before the network ran.
        trust: the judgement of the network's result; None where there is none.
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
    detail_from_input: float | None = None
    undrawn: float = 0.0
    preserved: float = 0.0
    trained_on: str = ""
    warnings: tuple[InputWarning, ...] = ()
    trust: Trust | None = None
