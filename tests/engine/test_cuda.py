"""On a CUDA GPU: the same results as on the CPU, the precision it is fast at, full memory, neighbours, training.

Nothing but the checkout is needed: `pytest tests/engine/test_cuda.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_as, sharpener
from safetensors.torch import load_file
from training_runs import make

import benchmark_enhance
from cryomap.density import DensityMap, read_map, write_map
from cryomap.enhancement.device import Predictor, choose_device, choose_precision
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid
from sample.experiment import experiment, sample_grid
from sample.model import sample_model

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason=f"PyTorch {torch.__version__} finds no CUDA GPU here"
)
ROOT = Path(__file__).resolve().parents[2]
METHODS = ("superem", "cryosamu")


@pytest.fixture(scope="module")
def density():
    """The demo's map, at 4 A."""
    model = sample_model()
    return experiment(model, sample_grid(model), 4.0)


@pytest.mark.parametrize("method", METHODS)
def test_it_gives_what_the_cpu_gives(method, density):
    """To the precision it takes, 2e-3 of the largest value; to 1e-4 in float32."""
    on_cpu, _ = enhance(density, load_method(method, None, "cpu"))
    chosen = load_method(method, None, "cuda")
    result, report = enhance(density, chosen)
    assert report.device == "cuda" and on_cpu.values.std() > 0.01
    assert np.sqrt(np.mean((result.values - on_cpu.values) ** 2)) < 2e-3
    assert np.corrcoef(result.values.ravel(), on_cpu.values.ravel())[0, 1] > 0.9995
    chosen.predictor.precision = torch.float32
    exact, _ = enhance(density, chosen)
    np.testing.assert_allclose(exact.values, on_cpu.values, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_deterministic(method, density):
    chosen = load_method(method, None, "cuda")
    once, again = (enhance(density, chosen)[0].values for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_the_precision_is_that_of_its_generation():
    generation = torch.cuda.get_device_capability()[0]
    wanted = torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else torch.float32
    assert choose_precision(choose_device("cuda")) == wanted
    assert choose_device("auto").type == "cuda"


@pytest.fixture
def little_memory():
    """All but 1 GB of the GPU's memory is taken away from this process."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1e9 / total))
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_full_memory_halves_the_batch_and_changes_nothing(little_memory, caplog):
    wide = torch.nn.Sequential(
        torch.nn.Conv3d(1, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(64, 1, 3, padding=1)
    )
    tiles = np.random.default_rng(0).uniform(size=(16, 64, 64, 64)).astype(np.float32)
    predict = Predictor(wide, torch.device("cuda"), 64, torch.float32)
    predict.batch = 16
    found = predict(tiles)
    assert "out of memory" in caplog.text and predict.batch < 16 and predict.device.type == "cuda"
    alone = Predictor(wide, torch.device("cuda"), 64, torch.float32)
    alone.batch = 1
    np.testing.assert_allclose(alone(tiles), found, atol=1e-4)


def test_two_processes_share_a_gpu(density, tmp_path):
    write_map(density, tmp_path / "map.mrc")
    runs = []
    for name in ("a", "b"):
        command = [
            sys.executable,
            "-m",
            "cryomap",
            "enhance",
            str(tmp_path / "map.mrc"),
            "-o",
            str(tmp_path / f"{name}.mrc"),
        ]
        command += ["--method", "superem", "--device", "cuda", "--json"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        runs.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    for run in runs:
        out, _ = run.communicate(timeout=300)
        assert run.returncode == 0 and json.loads(out)["device"] == "cuda"
    a, b = (read_map(tmp_path / f"{name}.mrc").values for name in ("a", "b"))
    np.testing.assert_array_equal(a, b)


def test_training_goes_on_from_its_checkpoint(tmp_path):
    """Steps on the GPU change the weights; a run that was stopped goes on where it was."""
    make(tmp_path)

    def run(steps):
        command = [
            sys.executable,
            str(ROOT / "scripts" / "train.py"),
            "superem",
            "--accelerator",
            "cuda",
            "--workers",
            "0",
        ]
        command += ["--recipe", str(tmp_path / "tiny.toml"), "--structures", str(tmp_path / "made.npz")]
        command += ["--out", str(tmp_path / "run"), "--steps", str(steps), "--validate-every", "999"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        card = json.loads((tmp_path / "run" / "superem.json").read_text())
        return load_file(tmp_path / "run" / "superem.safetensors"), card["training"]["steps"]

    first, steps = run(4)
    then, more = run(8)
    assert (steps, more) == (4, 8)
    assert all(torch.isfinite(v).all() for v in then.values())
    assert any(not torch.equal(first[key], then[key]) for key in first)


def test_the_benchmark_runs(tmp_path):
    grid = Grid((40, 40, 40))
    values = np.random.default_rng(0).uniform(size=grid.shape).astype(np.float32)
    write_map(DensityMap(values, grid), tmp_path / "map.mrc")
    architecture = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}
    weights = save_as(sharpener(), tmp_path, architecture=architecture)
    arguments = [
        "--map",
        tmp_path / "map.mrc",
        "--edges",
        "40",
        "--device",
        "cuda",
        "--out",
        tmp_path / "out",
    ]
    arguments += ["--methods", "none", "--also", f"small={weights}"]
    assert benchmark_enhance.main(list(map(str, arguments))) == 0
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert found["machines"][0]["processor"] == torch.cuda.get_device_name()
