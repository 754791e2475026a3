"""The worker process as the ChimeraX side runs it: JSON lines, exit codes, and an end at any time."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs, save_as
from made_models import model_at

import cryomap
from cryomap import worker
from cryomap.atoms import save_atoms
from cryomap.enhancement import trusted
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import (
    Device,
    Done,
    Event,
    Failure,
    Job,
    Log,
    MapInput,
    Options,
    Progress,
    Result,
    read_event,
    read_job,
    write_job,
)
from cryomap.networks.superem import Generator
from cryomap.typed_json import to_plain

SOURCE = Path(cryomap.__file__).resolve().parents[1]
GRID = Grid(
    (30, 32, 34),
    (1.3,) * 3,
    (10.0, -20.0, 30.0),
    rotation=((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
)


def task(folder: Path, name: str = "a map", grid: Grid = GRID, **changes) -> MapInput:
    values = folder / f"{name}.npy"
    np.save(values, blobs(grid, grid.center[None], 3.0).values)
    return MapInput(**{"name": name, "values": str(values), "grid": grid, "level": 0.3, **changes})


def start(folder: Path, weights_file: Path, *tasks: MapInput, support=False, **changes) -> subprocess.Popen:
    options = {"weights": str(weights_file), "device": "cpu", **changes}
    path = folder / "job.json"
    write_job(Job(tasks, str(folder), Options(**options), support), path)
    return start_file(path)


def start_file(path: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "cryomap.worker", str(path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[list[Event], int]:
    out, error = process.communicate(timeout=120)
    events = [read_event(line) for line in out.splitlines()]
    assert events and events[-1] == Done(), error
    return events, process.returncode


def of_kind(events: list[Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_two_maps_in_one_job(tmp_path, sharpener_weights):
    coarse = Grid((20, 21, 22), (2.0,) * 3)
    mask = np.zeros(coarse.shape, np.float32)
    mask[:, :, 8:] = 1
    np.save(tmp_path / "mask.npy", mask)
    second = task(tmp_path, "second", coarse, mask=str(tmp_path / "mask.npy"), level=None)
    events, code = finish(start(tmp_path, sharpener_weights, task(tmp_path), second))
    assert code == 0 and not of_kind(events, Failure)
    (device,) = of_kind(events, Device)
    assert device.device == "cpu" and device.precision in ("float32", "bfloat16")
    for index, grid in enumerate((GRID, coarse)):
        ticks = [event for event in of_kind(events, Progress) if event.map == index]
        assert ticks[-1].done == ticks[-1].total and ticks[-1].seconds_left == 0
        result = of_kind(events, Result)[index]
        values = np.load(result.output)
        assert values.shape == result.report.output_grid.shape and values.dtype == np.float32
        place = result.report.output_grid
        assert place == grid.cubic(1.0)
        # The middle of the summit: in bfloat16 several voxels of it are equally high.
        summit = np.argwhere(values > 0.95 * values.max()).mean(axis=0)[::-1]
        assert np.linalg.norm(place.to_xyz(summit) - grid.center) < 0.5
        report = result.report
        assert report.method == "superem" and report.tiles_run > 0 and report.contour_out > 0
        assert report.input_grid == grid and report.trust.mean_support > 0.4
    assert not values[:, :, :14].any() and report.contour_in > 0
    assert any("no contour level" in event.message for event in of_kind(events, Log))
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_out_of_memory_names_the_map_in_whatever_words_it_comes(tmp_path, sharpener_weights, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(trusted, "enhance_trusted", fail)
    events = []
    job = Job((task(tmp_path),), str(tmp_path), Options(weights=str(sharpener_weights), device="cpu"))
    assert worker.run(job, events.append) == worker.FAILED
    (failure,) = of_kind(events, Failure)
    assert failure.kind == "memory" and "out of memory for a map, 34 x 32 x 30 voxels" in failure.message


def test_a_model_that_can_not_be_is_told_and_stops_nothing(tmp_path, sharpener_weights):
    """It came from the session; the user gave no model."""
    save_atoms(model_at(GRID.center[None], b_factors=-5), tmp_path / "m.npz")
    given = task(tmp_path, model=str(tmp_path / "m.npz"))
    events = []
    job = Job((given,), str(tmp_path), Options(weights=str(sharpener_weights), device="cpu"))
    assert worker.run(job, events.append) == worker.OK and not of_kind(events, Failure)
    assert any("has the B factor -5" in event.message for event in of_kind(events, Log))


def test_sites_reach_the_judgement(tmp_path, sharpener_weights, monkeypatch):
    wanted = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.save(tmp_path / "sites.npy", wanted)
    told = []
    original = trusted.judge
    monkeypatch.setattr(trusted, "judge", lambda *_, **how: told.append(how["sites"]) or original(*_, **how))
    for sites in (str(tmp_path / "sites.npy"), None):
        job = Job((task(tmp_path, sites=sites),), str(tmp_path), Options(weights=str(sharpener_weights)))
        worker.run(job, lambda _: None)
    assert np.array_equal(told[0], wanted) and told[1] is None


def test_a_bad_map_does_not_stop_the_others(tmp_path, sharpener_weights):
    bad = task(tmp_path, "bad")
    np.save(bad.values, np.full(GRID.shape, np.nan, np.float32))
    events, code = finish(start(tmp_path, sharpener_weights, bad, task(tmp_path, "good")))
    (error,) = of_kind(events, Failure)
    assert code == 2 and error.map == 0 and error.kind == "input" and "bad: " in error.message
    assert [event.map for event in of_kind(events, Result)] == [1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"weights": "no.safetensors"}, "no such"),
        ({"method": "cryosamu"}, "superem"),
    ],
)
def test_bad_options_are_input_errors(tmp_path, sharpener_weights, changes, word):
    events, code = finish(start(tmp_path, sharpener_weights, task(tmp_path), **changes))
    (error,) = of_kind(events, Failure)
    assert code == 2 and error.kind == "input" and word in error.message


def broken(folder: Path) -> dict[str, tuple[object, str]]:
    """Content of a job file with something wrong, and a word on it."""
    good = to_plain(Job((task(folder),), str(folder)))
    (given,) = good["maps"]
    return {
        "no maps": ({**good, "maps": []}, "no maps"),
        "unknown option": ({**good, "options": {"keep": True}}, "keep is unknown"),
        "device": ({**good, "options": {"device": "tpu"}}, "'tpu'"),
        "samples": ({**good, "options": {"samples": 25}}, "samples 25: give 1 to 24"),
        "wrong type": ({**good, "options": {"keep_lost": "yes"}}, "'yes': not true or false"),
        "no values": (
            {**good, "maps": [{k: v for k, v in given.items() if k != "values"}]},
            "values is missing",
        ),
        "grid": ({**good, "maps": [{**given, "grid": {"shape": [1, 2]}}]}, "not a list of 3"),
        "not an object": ([], "not an object"),
    }


def test_a_broken_job_file_says_what_is_wrong(tmp_path):
    for what, (content, word) in broken(tmp_path).items():
        path = tmp_path / "job.json"
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=re.escape(word)) as error:
            read_job(path)
        assert (
            str(path) in str(error.value) or "option" in what or what in ("no maps", "device", "samples")
        ), what
    path.write_text("{")
    events, code = finish(start_file(path))
    assert code == 2 and of_kind(events, Failure)[0].map is None
    assert str(path) in of_kind(events, Failure)[0].message


def test_a_missing_folder(tmp_path, sharpener_weights):
    job = Job((task(tmp_path),), str(tmp_path / "no"), Options(weights=str(sharpener_weights), device="cpu"))
    write_job(job, tmp_path / "job.json")
    events, code = finish(start_file(tmp_path / "job.json"))
    assert code == 2 and "No such file" in of_kind(events, Failure)[0].message


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_terminating_it_leaves_nothing_behind(tmp_path):
    arguments = {"channels": 16, "blocks": 6}
    architecture = {"name": "superem", "arguments": arguments}
    weights = save_as(Generator(**arguments), tmp_path, architecture=architecture, tile=24, stride=4)
    before = task(tmp_path, grid=Grid((90, 90, 90)), level=0.001)
    process = start(tmp_path, weights, before)
    for line in process.stdout:
        if isinstance(read_event(line), Progress):
            break
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert time.monotonic() - begun < 5
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a map.npy", "job.json", weights.name, weights.with_suffix(".json").name}
    process.stdout.close()
    process.stderr.close()
