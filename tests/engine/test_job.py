"""Options: said once, checked once; what goes to the worker and comes back is the same afterwards."""

import doctest
import json
import math
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs

import cryomap
from cryomap.cli import main as cli
from cryomap.density import write_map
from cryomap.enhancement.report import Report
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import (
    OPTIONS,
    Done,
    Failure,
    HalvesResult,
    Job,
    MapInput,
    Options,
    Progress,
    Result,
    event_line,
    read_event,
    read_job,
    write_job,
)
from cryomap.metrics.fourier import Curve
from cryomap.trust.halves import Disagreement, HalvesComparison
from cryomap.trust.judgement import Trust
from cryomap.trust.lost import Region
from cryomap.typed_json import from_plain, to_plain

SOURCE = Path(cryomap.__file__).resolve().parents[1]
GRID = Grid((4, 5, 6), (1.1, 1.2, 1.3), (1.0, 2.0, 3.0), (90.0, 100.0, 90.0))
REGION = Region((1.0, 2.0, 3.0), 40.0, 6.5, 0.8, "/B:301 HEM", "ligand", 0.4)
REPORT = Report(
    "superem", "a file", "cpu", "float32", 1.5, 1.0, 3, 8, GRID, GRID, 0.3, 0.2, 100.0,
    trust=Trust(0.9, 4.0, 0.01, 5.0, (REGION,), (), 1, seconds=0.5),
)  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_refuses_what_is_none_of_it(option):
    bad = [[], {}, "2" if option.kind is not str else 2]
    if option.bounds:
        low, high = option.bounds
        bad += [low - 1, high + 1, math.nan if option.kind is float else 1.5]
        assert {
            getattr(Options(**{option.name: option.kind(value)}), option.name) for value in option.bounds
        } == {
            low,
            high,
        }
    if option.choices:
        bad.append("abacus")
        assert all(Options(**{option.name: choice}) for choice in option.choices)
    for value in bad:
        with pytest.raises(InputError, match=f"^{option.name.replace('_', ' ')} "):
            Options(**{option.name: value})
    assert option.help and getattr(Options(), option.name) == option.default


def test_the_command_line_has_every_option_with_its_default_and_help(capsys):
    parser = cli._parser()
    given = vars(parser.parse_args(["enhance", "a.mrc", "-o", "b.mrc"]))
    assert {name: given[name] for name in vars(Options())} == vars(Options())
    with pytest.raises(SystemExit):
        parser.parse_args(["enhance", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for option in OPTIONS:
        assert f"--{option.name.replace('_', '-')}" in told and option.help in told
    for spelling in ("--level", "--contour"):
        assert parser.parse_args(["enhance", "a.mrc", "-o", "b.mrc", spelling, "0.3"]).level == 0.3


def test_a_job_is_the_same_after_its_file(tmp_path):
    options = Options(method="cryosamu", resolution=4, grid_spacing=1.5, keep_lost=True, samples=3)
    given = (MapInput("a", "a.npy", GRID, 0.2, "m.npy"), MapInput("b", "b.npy", GRID, sites="s.npy"))
    job = Job(given, "folder", options, support=True)
    write_job(job, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    "event",
    [
        Done(),
        Progress(1, 2, 3, 4.5),
        Failure("no", "input"),
        Result(0, REPORT, "r.npy", support="s.npy"),
        HalvesResult(
            HalvesComparison(
                None,
                3.5,
                {"after": Curve(np.array([4.0, 3.0]), np.array([0.9, 0.1]))},
                (Disagreement((0.0, 1.0, 2.0), 50.0),),
                "!",
            ),
            GRID,
            "a.npy",
        ),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_is_the_same_after_its_line(event):
    read = read_event(event_line(event))
    assert type(read) is type(event) and to_plain(read) == to_plain(event)


@pytest.mark.parametrize("name", ["mask", "model", "weights", "preserve"])
def test_an_empty_name_is_no_option_left_out(name):
    with pytest.raises(InputError, match=f"{name} is empty"):
        Options(**{name: ""})


def test_a_job_nested_without_measure_is_refused(tmp_path):
    (tmp_path / "job.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match=r"job\.json: not a job file"):
        read_job(tmp_path / "job.json")


def test_a_line_that_is_no_event_is_none():
    assert [read_event(line) for line in ("", "garbage", "3", "[]", '{"event": "tea"}')] == [None] * 5
    with pytest.raises(InputError, match=r"Progress.*total is missing"):
        read_event('{"event": "Progress", "map": 0, "done": 1, "seconds_left": 0}')


def test_a_report_keeps_the_keys_that_people_read():
    content = json.loads(json.dumps(to_plain(REPORT)))
    assert list(content) == [field.name for field in fields(Report)] and content["contour_out"] == 0.2
    assert content["input_grid"]["step"] == [1.1, 1.2, 1.3]
    assert list(content["trust"]) == [
        "support", "resolution", "noise", "threshold_sigma",
        "lost", "invented", "restored", "molecules", "seconds",
    ]  # fmt: skip
    region = {"center", "volume", "peak_sigma", "share", "nearest", "kind", "distance", "confidence"}
    assert set(content["trust"]["lost"][0]) == region
    assert from_plain(Report, content, "report") == REPORT


def test_options_and_answers_need_no_torch():
    code = "import sys, cryomap.job; cryomap.read_map; cryomap.assess; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_public_functions_do_what_their_example_says(tmp_path, sharpener_weights, monkeypatch):
    grid = Grid((30, 30, 30), (1.2,) * 3)
    write_map(blobs(grid, grid.center[None], 3.0), tmp_path / "map.mrc")
    x, y, z = grid.center
    (tmp_path / "model.pdb").write_text(
        f"ATOM      1  CA  ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C\n", encoding="ascii"
    )
    monkeypatch.setattr("cryomap.networks.checkpoint.BUNDLED", sharpener_weights.parent)
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(cryomap)
    assert found.attempted >= 7 and found.failed == 0
    assert (tmp_path / "enhanced.mrc").is_file()


def test_what_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="enhence"):
        _ = cryomap.enhence
