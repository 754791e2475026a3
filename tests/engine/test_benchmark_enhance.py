"""The benchmark of `enhance`: boxes of real density, and what is timed of a real run."""

import json

import numpy as np
import pytest
import torch
from conftest import save_as, sharpener

import benchmark_enhance
from cryomap.density import DensityMap, write_map
from cryomap.enhancement.device import choose_precision
from cryomap.grid import Grid

ARCHITECTURE = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}


def test_boxes_are_cut_from_the_middle_or_filled_with_copies(rng):
    density = DensityMap(rng.normal(size=(20, 30, 40)).astype(np.float32), Grid((20, 30, 40)))
    small = benchmark_enhance.box_of(density, 10)
    np.testing.assert_array_equal(small.values, density.values[5:15, 10:20, 15:25])
    large = benchmark_enhance.box_of(density, 45)
    np.testing.assert_array_equal(large.values[:20, :30, :40], density.values)
    np.testing.assert_array_equal(large.values[40:45, 30:45, 40:45], density.values[:5, :15, :5])


def test_a_run_is_timed_and_written(rng, tmp_path, capsys):
    density = DensityMap(rng.uniform(size=(24, 24, 24)).astype(np.float32), Grid((24, 24, 24)))
    write_map(density, tmp_path / "map.mrc")
    weights = save_as(sharpener(), tmp_path, architecture=ARCHITECTURE)
    np.ones(150_000_000)  # 1.2 GB that aren't the program's
    arguments = [
        "--map",
        tmp_path / "map.mrc",
        "--edges",
        "24",
        "--methods",
        "none",
        "--also",
        f"small={weights}",
    ]
    arguments += [
        "--threads",
        "1",
        "--source",
        f"again={benchmark_enhance.SOURCE}",
        "--out",
        tmp_path / "out",
    ]
    assert benchmark_enhance.main(list(map(str, arguments))) == 0
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [(t["edge"], t["source"]) for t in found["timings"]] == [
        (24, source) for source in ("this", "again")
    ]
    for timing in found["timings"]:
        assert 0 < timing["network_cpu_seconds"] < timing["cpu_seconds"]
        assert timing["seconds"] == pytest.approx(
            timing["start"] + timing["trust"] + timing["work"], abs=0.02
        )
        assert 0.1 < timing["peak_gb"] < 1 and timing["tiles"] > 0
        wanted = choose_precision(torch.device("cpu"))
        assert f"torch.{timing['precision']}" == str(wanted)
    (facts,) = found["machines"]
    assert facts["threads"] == 1 and facts["float32 GFLOP/s"] > 0.1
    text = (tmp_path / "out" / "benchmark.md").read_text()
    assert torch.backends.cpu.get_cpu_capability() in facts["instructions"].split()
    assert facts["processor"] in text and facts["instructions"] in text and text.count("| small |") == 2
    assert (tmp_path / "out" / "benchmark.png").stat().st_size > 5000


def test_what_cannot_be_run_is_said(tmp_path, capsys):
    (tmp_path / "bad.safetensors").write_text("no weights")
    fixed = ["--edges", "20", "--methods", "none", "--threads", "1", "--out", str(tmp_path)]
    for also, message in (
        (f"bad={tmp_path}/bad.safetensors", "this, bad: error: "),
        ("none=nowhere.safetensors", "nowhere.safetensors: no such file"),
        ("superem.safetensors", "give NAME=PATH"),
    ):
        assert benchmark_enhance.main([*fixed, "--also", also]) == 2
        assert message in capsys.readouterr().err
