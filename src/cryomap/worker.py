"""The worker process: enhances the maps of a job file and reports in JSON lines on standard output.

`PYTHON -m cryomap.worker JOB.json`, started by the ChimeraX side, which has no torch of its own. The job:

    {"maps": [{"name": ..., "values": "x.npy" (z, y, x), "step", "origin", "cell_angles", "rotation": as in Grid,
               "output": "y.npy", "level": number or null, "resolution": A or null,
               "mask": "m.npy" (same grid) or null, "sites": "s.npy" or null}, ...],
     "method": "superem", "cryosamu" or null, "weights": path or null, "device": "auto", "cpu", "cuda" or "mps",
     "grid_spacing": A or null, "keep_lost": true or false (default), "samples": N (default 1),
     "agreement": "a.npy" or null (default)}

"sites" are the x, y, z in A (n, 3) of atoms of ligands and ions, where a loss is looked for first.

A map of the job may name three more files: "support" for the local correlation with the input (on the input's grid),
"deviation" for the standard deviation of the samples (on the result's grid), and "regions" for the voxels of what was
lost or invented: int32 (n, 4), the number of the region in the report's list, from 1, negative for an invented
one, and z, y, x on the input's grid.

With "agreement" the maps are two half maps and their mean; the event "halves" tells how far the enhanced halves
agree, after the file with their local correlation (on the first result's grid) was written.

Each line is one object whose "event" is log, device, progress, result, halves, error or, last, done. The exit code is 0
if every map worked, 2 for bad input, 1 otherwise. A signal ends it at once: outputs appear by renaming only.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .density import DensityMap
from .errors import InputError
from .grid import Grid
from .replacing import replacing

if TYPE_CHECKING:
    from .enhancement.trusted import Enhanced

OK, FAILED, BAD_INPUT = 0, 1, 2


def main(job_path: str) -> int:
    """Run the job file; returns the exit code."""
    # Whatever a library prints must not get between the lines: they alone go to the real standard output.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(event: str, **content: Any) -> None:
        print(json.dumps({"event": event, **content}), file=lines, flush=True)

    handler = _LineHandler(emit)
    # The report says it better.
    handler.addFilter(lambda record: not record.name.endswith(".trusted.lost"))
    logger = logging.getLogger(__package__)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        job = _read_job(job_path)
        halves: list[Enhanced] | None = [] if job.get("agreement") else None
        codes = [_run_map(job, index, emit, halves) for index in range(len(job["maps"]))]
        code = max(codes, key=(OK, BAD_INPUT, FAILED).index)
        if halves and code == OK:
            _compare_halves(job, halves, emit)
    except Exception as error:
        code = _report_failure(error, None, emit)
    finally:
        logger.removeHandler(handler)
    emit("done")
    return code


class _LineHandler(logging.Handler):
    """Turns log records into log events."""

    def __init__(self, emit):
        super().__init__(logging.INFO)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit("log", message=record.getMessage())


def _read_job(path: str) -> dict[str, Any]:
    try:
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        if not job["maps"]:
            raise InputError(f"{path}: no maps in the job")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a job file ({error!r})") from None
    return job


def _run_map(job: dict[str, Any], index: int, emit, keep: list[Enhanced] | None) -> int:
    """Enhance a map; what came out is appended to `keep` if that is a list."""
    try:
        done = _enhance_map(job, index, emit)
    except Exception as error:
        return _report_failure(error, index, emit)
    if keep is not None:
        keep.append(done)
    return OK


def _report_failure(error: Exception, index: int | None, emit) -> int:
    kind = {InputError: "input", MemoryError: "memory"}.get(type(error), "internal")
    if kind == "internal":
        traceback.print_exc()
    emit("error", map=index, message=str(error) or repr(error), kind=kind)
    return BAD_INPUT if kind == "input" else FAILED


def _enhance_map(job: dict[str, Any], index: int, emit) -> Enhanced:
    from .enhancement.trusted import enhance_trusted

    task = job["maps"][index]
    density = _read_values(task, "values")
    mask = _read_values(task, "mask") if task.get("mask") else None
    sites = np.load(task["sites"]) if task.get("sites") else None
    method = _method(job, task.get("resolution"), emit)

    def progress(done: int, total: int, seconds_left: float) -> None:
        emit("progress", map=index, done=done, total=total, seconds_left=round(seconds_left, 1))

    done = enhance_trusted(
        density,
        method,
        task.get("level"),
        mask,
        job.get("grid_spacing"),
        progress,
        resolution=task.get("resolution"),
        keep=bool(job.get("keep_lost")),
        samples=job.get("samples") or 1,
        sites=sites,
    )
    _save(task["output"], done.result.values)
    more = {"deviation": done.deviation and done.deviation.values}
    if done.trust is not None:
        more |= {"support": done.trust.support.values, "regions": done.trust.region_voxels()}
    for key, extra in more.items():
        if extra is not None and task.get(key):
            _save(task[key], extra)
    grid, facts = vars(done.result.grid), done.to_dict()
    emit("result", map=index, output=task["output"], grid=grid, report=facts)
    return done


def _compare_halves(job: dict[str, Any], done: list[Enhanced], emit) -> None:
    from .trust.halves import compare_halves

    first, second, together = done
    inputs = tuple(_read_values(task, "values") for task in job["maps"][:2])
    found = compare_halves(inputs, (first.result, second.result), level=together.report.contour_out)
    _save(job["agreement"], found.agreement.values)
    emit("halves", output=job["agreement"], grid=vars(found.agreement.grid), report=found.to_dict())


def _read_values(task: dict[str, Any], key: str) -> DensityMap:
    try:
        values = np.load(task[key], mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{task['name']}: {task[key]} can't be read ({error})") from None
    if values.ndim != 3:
        raise InputError(f"{task['name']}: an array of {values.ndim} dimensions, not a map")
    grid = Grid(
        values.shape,
        tuple(task["step"]),
        tuple(task["origin"]),
        tuple(task["cell_angles"]),
        tuple(map(tuple, task["rotation"])),
    )
    name = task["name"] if key == "values" else f"mask of {task['name']}"
    return DensityMap(np.asarray(values, np.float32), grid, name)


_methods: dict[str | None, Any] = {}


def _method(job: dict[str, Any], resolution: float | None, emit):
    """The method for a map of that resolution; each one's weights are loaded once."""
    from .enhancement.check import require_resolution
    from .enhancement.methods import choose_method, load_method

    name, weights = job.get("method"), job.get("weights")
    if resolution is not None:
        require_resolution(resolution)
    if name is None and weights is None:
        name, reason = choose_method(resolution)
        emit("log", message=reason)
    if name not in _methods:
        method = _methods[name] = load_method(name, weights, job.get("device") or "auto")
        predictor = method.predictor
        precision = str(predictor.precision).removeprefix("torch.")
        emit("device", device=predictor.device.type, precision=precision)
    return _methods[name]


def _save(path: str, values: np.ndarray) -> None:
    with replacing(Path(path)) as temporary, open(temporary, "wb") as out:
        np.save(out, values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
