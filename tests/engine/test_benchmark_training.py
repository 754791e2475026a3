"""The benchmark measures each feed and a step; its arithmetic is that of the convolutions, counted by hand."""

import pytest
import torch
from real_maps import write_table
from test_real_cubes import REAL
from training_runs import make

import benchmark_training
from training.recipe import read_recipe


def test_feeds_and_steps_are_timed(tmp_path, capsys):
    made = make(tmp_path)
    (made / "real.toml").write_text(REAL)
    words = [
        str(made / "real.toml"),
        "--structures",
        str(made / "made.npz"),
        "--pairs",
        str(write_table(tmp_path)),
    ]
    assert benchmark_training.main([*words, "--seconds", "0.5", "--accelerator", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "simulated cubes of 16^3" in out and "real cubes of 16^3" in out and "% of the" in out
    assert benchmark_training.main([str(made / "none.toml")]) == 2


def test_a_steps_arithmetic_is_counted(tmp_path, monkeypatch):
    """REAL's network: 3^3 kernels, 1 -> 4, twice 4 -> 4, 4 -> 4, 4 -> 1; backward costs twice forward, but for the
    first one's input."""
    (tmp_path / "real.toml").write_text(REAL)
    counted = {}
    monkeypatch.setattr(benchmark_training, "seconds", lambda work, least, device: 1.0)
    counted = benchmark_training.step_figures(
        read_recipe(tmp_path / "real.toml"), 2, 1.0, torch.device("cpu")
    )
    each = 2 * 2 * 16**3 * 27
    forward = each * (1 * 4 + 3 * 4 * 4 + 4 * 1)
    assert counted["tflops"] * 1e12 == pytest.approx(3 * forward - each * 4, rel=0.02)
