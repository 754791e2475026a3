"""Half maps on the command line and in the worker: files, figures, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import blobs
from test_worker import GRID as WORKER_GRID
from test_worker import finish, of_kind, start, task

from cryomap.cli import main as cli
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import HalvesResult, Job, Log, Options, Result

GRID = Grid((28, 30, 32), (1.1,) * 3, (5.0, -6.0, 7.0))
CENTERS = np.array([[20.0, 9.0, 20.0], [25.0, 5.0, 24.0]])


@pytest.fixture
def half_maps(tmp_path):
    """Two half maps of two blobs: one noise each."""
    paths = []
    for number in (1, 2):
        clean = blobs(GRID, CENTERS, 3.0)
        noise = np.random.default_rng(number).normal(0, 0.02, GRID.shape)
        path = tmp_path / f"half{number}.mrc"
        write_map(DensityMap((clean.values + noise).astype(np.float32), GRID), path)
        paths.append(path)
    return paths


def run(*arguments) -> int:
    return cli.main([str(a) for a in arguments])


def test_half_maps_in_four_maps_out(tmp_path, half_maps, sharpener_weights, capsys):
    out = tmp_path / "out.mrc.gz"
    options = ("--half-maps", "-o", out, "--weights", sharpener_weights, "--contour", 0.3, "--json")
    assert run("enhance", *half_maps, *options) == 0
    facts = json.loads(capsys.readouterr().out)
    names = ["out.mrc.gz", *(f"out_{part}.mrc.gz" for part in ("half1", "half2", "agreement"))]
    assert facts["outputs"] == [str(tmp_path / name) for name in names]
    together, one, two, agreement = (read_map(tmp_path / name) for name in names)
    assert together.grid == one.grid == two.grid == agreement.grid == GRID
    assert not np.array_equal(one.values, two.values)
    dense = together.values > 0.5
    assert agreement.values[dense].min() > 0.9 and agreement.values[0, 0, 0] == 0
    halves = facts["halves"]
    assert halves["disagreements"] == [] and "must not be quoted" in halves["warning"]
    assert len(halves["fsc"]["after"]["d"]) > 5 and facts["trust"]["support"] > 0.5
    mean = (read_map(half_maps[0]).values + read_map(half_maps[1]).values) / 2
    write_map(DensityMap(mean, GRID), tmp_path / "mean.mrc")
    alone = tmp_path / "alone.mrc"
    rest = ("-o", alone, "--weights", sharpener_weights, "--contour", 0.3)
    assert run("enhance", tmp_path / "mean.mrc", *rest) == 0
    assert np.allclose(read_map(alone).values, together.values, atol=1e-5)


def test_words_without_json(tmp_path, half_maps, sharpener_weights, capsys):
    options = ("--half-maps", "-o", tmp_path / "out.mrc", "--weights", sharpener_weights, "--contour", 0.3)
    assert run("enhance", *half_maps, *options) == 0
    told = capsys.readouterr().out
    assert "of the half maps falls below 0.143 at" in told and "must not be quoted" in told


def test_halves_that_are_none_are_told_and_compared(tmp_path, half_maps, sharpener_weights, capsys):
    options = ("--half-maps", "-o", tmp_path / "out.mrc", "--weights", sharpener_weights, "--contour", 0.3)
    assert run("enhance", half_maps[0], half_maps[0], *options) == 0
    told = capsys.readouterr()
    assert "half maps falls below 0.143 nowhere down to 1." in told.out
    assert "warning: half1.mrc and half1.mrc are the same map" in told.err
    inverted = tmp_path / "inverted.mrc"
    second = read_map(half_maps[1])
    write_map(replace(second, values=-second.values), inverted)
    options = (*options[:-2], "--json")
    assert run("enhance", half_maps[0], inverted, *options) == 0
    told = capsys.readouterr()
    assert "warning: half1.mrc and inverted.mrc anticorrelate (-" in told.err
    halves = json.loads(told.out)["halves"]
    assert halves["d_before"] == halves["fsc"]["before"]["d"][0]


def test_a_note_on_several_maps_is_told_once(tmp_path, half_maps, sharpener_weights, capfd):
    for path in half_maps:
        path.rename(path.with_suffix(".map"))
    maps = [path.with_suffix(".map") for path in half_maps]
    assert run("enhance", *maps, "-o", tmp_path / "out", "--weights", sharpener_weights) == 0
    assert capfd.readouterr().err.count("note: half1.map: placed by ORIGIN") == 1


@pytest.mark.parametrize("count", [1, 3])
def test_not_two_maps(tmp_path, half_maps, count, capsys):
    maps = (half_maps * 2)[:count]
    assert run("enhance", *maps, "--half-maps", "-o", tmp_path / "out.mrc") == 2
    assert f"not {count}" in capsys.readouterr().err


def test_other_grids_are_refused_before_any_work(tmp_path, half_maps, capsys):
    write_map(blobs(Grid(GRID.shape, GRID.step, (0, 0, 0)), CENTERS, 3.0), half_maps[1])
    assert run("enhance", *half_maps, "--half-maps", "-o", tmp_path / "out.mrc") == 2
    told = capsys.readouterr().err
    assert "half2.mrc: half maps of one reconstruction have one grid" in told and "5, -6, 7" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half1.mrc", "half2.mrc"]


def test_an_input_is_not_overwritten(tmp_path, half_maps, capsys):
    half_maps[0].rename(tmp_path / "x_half1.mrc")
    maps = (tmp_path / "x_half1.mrc", half_maps[1])
    assert run("enhance", *maps, "--half-maps", "-o", tmp_path / "x.mrc") == 2
    assert "is the same file as" in capsys.readouterr().err


def test_the_worker_compares_halves(tmp_path, sharpener_weights):
    halves = [task(tmp_path, name) for name in ("one", "two")]
    np.save(halves[1].values, np.load(halves[1].values) * np.float32(1.0000001))  # not one and the same
    events, code = finish(start(tmp_path, sharpener_weights, *halves, half_maps=True))
    assert code == 0 and [event.map for event in of_kind(events, Result)] == [0, 1, 2]
    (told,) = of_kind(events, HalvesResult)
    values = np.load(told.output)
    assert values.shape == told.grid.shape and values.max() > 0.99
    assert told.report.disagreements == () and told.report.d_after is None
    assert len(told.report.fsc["after"].d) > 5
    mean = np.load(of_kind(events, Result)[2].output)  # the two are alike, and so is their mean
    assert np.allclose(mean, np.load(of_kind(events, Result)[0].output), atol=1e-4)


def test_a_job_of_one_half_map_is_refused(tmp_path):
    with pytest.raises(InputError, match="not 1"):
        Job((task(tmp_path),), str(tmp_path), Options(half_maps=True))


def test_the_worker_writes_support_and_regions(tmp_path, sharpener_weights):
    job = task(tmp_path, level=0.1)
    noise = np.random.default_rng(1).normal(0, 0.004, WORKER_GRID.shape)
    weak = WORKER_GRID.center + np.array([0, 0, 13])  # the sharpener leaves nothing of it
    values = blobs(WORKER_GRID, WORKER_GRID.center[None], 3.0).values
    np.save(
        job.values, (values + 0.3 * blobs(WORKER_GRID, weak[None], 3.0).values + noise).astype(np.float32)
    )
    events, code = finish(start(tmp_path, sharpener_weights, job, support=True, resolution=6.0))
    assert code == 0
    (result,) = of_kind(events, Result)
    (lost,) = result.report.trust.lost
    numbers, *places = np.load(result.regions).T
    assert set(numbers.tolist()) == {1}
    assert np.linalg.norm(WORKER_GRID.to_xyz(np.array(places[::-1]).T).mean(axis=0) - weak) < 2
    assert len(numbers) * 1.3**3 == pytest.approx(lost.volume, rel=0.001)
    assert not [event for event in of_kind(events, Log) if "lost" in event.message]
    assert np.load(result.support).shape == WORKER_GRID.shape
