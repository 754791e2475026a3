"""The worker process: enhances the maps of a job file and answers in lines of JSON on standard output.

`PYTHON -m cryomap.worker JOB.json`, started by the ChimeraX side, which has no torch of its own. The file holds a
`Job`, each line is an `Event`, the last one `Done`. The exit code is 0 if every map worked, 2 for bad input, 1
otherwise. A signal ends it at once: outputs appear by renaming only.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .atoms import AtomicModel, load_atoms
from .density import DensityMap
from .errors import InputError, is_out_of_memory, memory_for
from .job import (
    Device,
    Done,
    Event,
    Failure,
    HalvesResult,
    Job,
    Log,
    MapInput,
    Progress,
    Result,
    Warned,
    event_line,
    read_job,
)
from .metrics.inputs import prepare_model
from .replacing import replacing

if TYPE_CHECKING:
    from .enhancement.methods import Method
    from .enhancement.trusted import Enhanced

OK, FAILED, BAD_INPUT = 0, 1, 2

Emit = Callable[[Event], None]


def main(job_path: str) -> int:
    """Run the job file; returns the exit code."""
    # Whatever a library prints must not get between the lines: they alone go to the real standard output.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(event: Event) -> None:
        print(event_line(event), file=lines, flush=True)

    handler = _LineHandler(emit)
    # The report says it better.
    handler.addFilter(lambda record: not record.name.endswith(".trusted.lost"))
    logger = logging.getLogger(__package__)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        code = run(read_job(Path(job_path)), emit)
    except Exception as error:
        code = _report_failure(error, None, emit)
    finally:
        logger.removeHandler(handler)
    emit(Done())
    return code


class _LineHandler(logging.Handler):
    """Turns log records into log events."""

    def __init__(self, emit: Emit):
        super().__init__(logging.INFO)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit(Log(record.getMessage()))


def run(job: Job, emit: Emit) -> int:
    """Enhance the maps of a job; returns the exit code.

    Raises:
        InputError: the options can't be used, or the half maps aren't two of one reconstruction.
    """
    from .enhancement.methods import load

    method = load(job.options)
    predictor = method.predictor
    emit(Device(predictor.device.type, str(predictor.precision).removeprefix("torch.")))
    if job.options.half_maps:
        _run_halves(job, method, emit)
        return OK
    codes = [OK]
    for index, given in enumerate(job.maps):
        try:
            _enhance(_read(given, given.values, given.name), job, index, given, method, emit)
        except Exception as error:
            codes.append(_report_failure(error, index, emit))
    return max(codes, key=(OK, BAD_INPUT, FAILED).index)


def _report_failure(error: Exception, index: int | None, emit: Emit) -> int:
    message = str(error) or repr(error)
    if isinstance(error, InputError):
        emit(Failure(message, "input", index))
        return BAD_INPUT
    if is_out_of_memory(error):
        told = f"out of memory for {message}; give a larger grid spacing, or cut out the part of interest"
        emit(Failure(told, "memory", index))
    else:
        traceback.print_exc()
        emit(Failure(message, "internal", index))
    return FAILED


def _run_halves(job: Job, method: Method, emit: Emit) -> None:
    from .enhancement.halves import enhance_halves

    numbers = iter(range(3))

    def enhance(density: DensityMap) -> Enhanced:
        return _enhance(density, job, next(numbers), job.maps[0], method, emit)

    first, second = (_read(given, given.values, given.name) for given in job.maps)
    warn = lambda warning: emit(Warned(2, warning))  # noqa: E731
    _, comparison = enhance_halves(first, second, enhance, warn)
    agreement, output = comparison.agreement, str(Path(job.folder, "agreement.npy"))
    assert agreement is not None  # only what came as JSON lacks it
    _save(output, agreement.values)
    emit(HalvesResult(comparison, agreement.grid, output))


def _enhance(
    density: DensityMap, job: Job, index: int, given: MapInput, method: Method, emit: Emit
) -> Enhanced:
    """Enhance a map with the level, the mask and the sites of an input, write what came of it, and tell."""
    from .enhancement.trusted import enhance_trusted

    def progress(done: int, total: int, seconds_left: float) -> None:
        emit(Progress(index, done, total, round(seconds_left, 1)))

    level = job.options.level if given.level is None else given.level
    with memory_for(f"{density.name}, {density.grid}"):
        done = enhance_trusted(
            density,
            method,
            replace(job.options, level=level),
            mask=_read(given, given.mask, f"mask of {given.name}") if given.mask else None,
            model=_model_in(density, given, emit),
            sites=np.load(given.sites) if given.sites else None,
            preserve=_read(given, given.preserve, "preserve").values if given.preserve else None,
            progress=progress,
            warn=lambda warning: emit(Warned(index, warning)),
        )
    arrays = {"output": done.result.values}
    for name in ("deviation", "confidence"):
        if (density := getattr(done, name)) is not None:
            arrays[name] = density.values
    if (trust := done.report.trust) is not None:
        arrays["regions"] = trust.region_voxels()
        if job.support and trust.support is not None:
            arrays["support"] = trust.support.values
    files = {key: str(Path(job.folder, f"{index}_{key}.npy")) for key in arrays}
    for key, path in files.items():
        _save(path, arrays[key])
    emit(Result(index, done.report, **files))
    return done


def _model_in(density: DensityMap, given: MapInput, emit: Emit) -> AtomicModel | None:
    """The session's atoms in the map; None, and why, where they can't be used: nobody asked for them."""
    if given.model is None:
        return None
    model = load_atoms(given.model)
    try:
        prepare_model(model, (density,))
    except InputError as error:
        emit(Log(f"what becomes of ligands can't be told: {error}"))
        return None
    return model


def _read(given: MapInput, path: str, name: str) -> DensityMap:
    try:
        values = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{name}: {path} can't be read ({error})") from None
    if values.shape != given.grid.shape:
        raise InputError(
            f"{name}: an array of shape {values.shape}, not that of its grid, {given.grid.shape}"
        )
    return DensityMap(np.asarray(values, np.float32), given.grid, name)


def _save(path: str, values: np.ndarray) -> None:
    with replacing(Path(path)) as temporary, open(temporary, "wb") as out:
        np.save(out, values)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m cryomap.worker JOB.json", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.exit(main(sys.argv[1]))
