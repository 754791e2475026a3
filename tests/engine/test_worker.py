"""The worker process as the ChimeraX side runs it: JSON lines, exit codes, and an end at any time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs, save_as

import cryomap
from cryomap import worker
from cryomap.enhancement import trusted
from cryomap.grid import Grid
from cryomap.networks.superem import Generator

SOURCE = Path(cryomap.__file__).resolve().parents[1]
GRID = Grid(
    (30, 32, 34),
    (1.3,) * 3,
    (10.0, -20.0, 30.0),
    rotation=((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
)


def task(folder: Path, name: str = "a map", grid: Grid = GRID, **changes) -> dict:
    density = blobs(grid, grid.center[None], 3.0)
    values = folder / f"{name}.npy"
    np.save(values, density.values)
    place = {key: getattr(grid, key) for key in ("step", "origin", "cell_angles", "rotation")}
    output = str(folder / f"{name} out.npy")
    facts = {"name": name, "values": str(values), **place, "output": output}
    return {**facts, "level": 0.3, "resolution": None, "mask": None, **changes}


def start(folder: Path, weights_file: Path, *tasks: dict, **changes) -> subprocess.Popen:
    job = {"maps": tasks, "method": None, "weights": str(weights_file), "device": "cpu", "grid_spacing": None}
    path = folder / "job.json"
    path.write_text(json.dumps({**job, **changes}))
    return subprocess.Popen(
        [sys.executable, "-m", "cryomap.worker", str(path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[list[dict], int]:
    out, error = process.communicate(timeout=120)
    events = [json.loads(line) for line in out.splitlines()]
    assert events and events[-1] == {"event": "done"}, error
    return events, process.returncode


def of_kind(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["event"] == kind]


def test_two_maps_in_one_job(tmp_path, sharpener_weights):
    coarse = Grid((20, 21, 22), (2.0,) * 3)
    mask = np.zeros(coarse.shape, np.float32)
    mask[:, :, 8:] = 1
    np.save(tmp_path / "mask.npy", mask)
    second = task(tmp_path, "second", coarse, mask=str(tmp_path / "mask.npy"), level=None)
    events, code = finish(start(tmp_path, sharpener_weights, task(tmp_path), second))
    assert code == 0 and not of_kind(events, "error")
    (device,) = of_kind(events, "device")
    assert device["device"] == "cpu" and device["precision"] in ("float32", "bfloat16")
    for index, grid in enumerate((GRID, coarse)):
        ticks = [event for event in of_kind(events, "progress") if event["map"] == index]
        assert ticks[-1]["done"] == ticks[-1]["total"] and ticks[-1]["seconds_left"] == 0
        result = of_kind(events, "result")[index]
        values = np.load(result["output"])
        assert list(values.shape) == result["grid"]["shape"] and values.dtype == np.float32
        place = result["grid"]
        found = Grid(
            tuple(place["shape"]), *(tuple(place[k]) for k in ("step", "origin", "cell_angles")),
            tuple(map(tuple, place["rotation"])),
        )  # fmt: skip
        assert found == grid.cubic(1.0)
        # The middle of the summit: in bfloat16 several voxels of it are equally high.
        summit = np.argwhere(values > 0.95 * values.max()).mean(axis=0)[::-1]
        assert np.linalg.norm(found.to_xyz(summit) - grid.center) < 0.5
        report = result["report"]
        assert report["method"] == "superem" and report["tiles_run"] > 0 and report["contour_out"] > 0
    assert not values[:, :, :14].any() and report["contour_in"] > 0
    assert any("no contour level" in event["message"] for event in of_kind(events, "log"))
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_sites_reach_the_judgement(tmp_path, sharpener_weights, monkeypatch):
    wanted = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.save(tmp_path / "sites.npy", wanted)
    told = []
    monkeypatch.setattr(trusted, "judge", lambda *_, **how: told.append(how["sites"]))
    job = {"method": None, "weights": str(sharpener_weights), "device": "cpu"}
    for sites in (str(tmp_path / "sites.npy"), None):
        item = task(tmp_path, sites=sites)
        worker._enhance_map({**job, "maps": [item]}, 0, lambda *_, **__: None)
    assert np.array_equal(told[0], wanted) and told[1] is None


def test_a_bad_map_does_not_stop_the_others(tmp_path, sharpener_weights):
    bad = task(tmp_path, "bad")
    np.save(bad["values"], np.full(GRID.shape, np.nan, np.float32))
    events, code = finish(start(tmp_path, sharpener_weights, bad, task(tmp_path, "good")))
    (error,) = of_kind(events, "error")
    assert code == 2 and error["map"] == 0 and error["kind"] == "input" and "bad: " in error["message"]
    assert [event["map"] for event in of_kind(events, "result")] == [1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"device": "tpu"}, "tpu"),
        ({"weights": "no.safetensors"}, "no such"),
        ({"method": "cryosamu"}, "superem"),
    ],
)
def test_bad_options_are_input_errors(tmp_path, sharpener_weights, changes, word):
    events, code = finish(start(tmp_path, sharpener_weights, task(tmp_path), **changes))
    (error,) = of_kind(events, "error")
    assert code == 2 and error["kind"] == "input" and word in error["message"]


def test_a_broken_job_file(tmp_path, sharpener_weights):
    process = start(tmp_path, sharpener_weights)
    events, code = finish(process)
    assert code == 2 and of_kind(events, "error")[0]["map"] is None


def test_a_missing_output_folder(tmp_path, sharpener_weights):
    gone = task(tmp_path, output=str(tmp_path / "no" / "out.npy"))
    events, code = finish(start(tmp_path, sharpener_weights, gone))
    assert code == 2 and "No such file" in of_kind(events, "error")[0]["message"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_terminating_it_leaves_nothing_behind(tmp_path):
    arguments = {"channels": 16, "blocks": 6}
    architecture = {"name": "superem", "arguments": arguments}
    weights = save_as(Generator(**arguments), tmp_path, architecture=architecture, tile=24, stride=4)
    before = task(tmp_path, grid=Grid((90, 90, 90)), level=0.001)
    process = start(tmp_path, weights, before)
    for line in process.stdout:
        if json.loads(line)["event"] == "progress":
            break
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert time.monotonic() - begun < 5
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a map.npy", "job.json", weights.name, weights.with_suffix(".json").name}
    process.stdout.close()
    process.stderr.close()
