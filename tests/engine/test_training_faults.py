"""A run that can't go on says why in a line, with exit status 2, and loses nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training_runs import SCRIPT, TINY, make, run, words

import train as script
from cryomap.errors import WriteError
from training import checkpoints, loop
from training.recipe import Recipe


@pytest.fixture
def made(tmp_path):
    return make(tmp_path)


def refused(made, capsys, *more, **which):
    capsys.readouterr()
    assert script.main([*words(made, "run", **which), "--steps", "2", *more]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return [line for line in lines if "step/s" not in line][-1]


def test_a_damaged_or_foreign_checkpoint_is_refused(made, capsys):
    run(made, "run", 1)
    path = made / "run" / "last.ckpt"
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"nonsense"):
        path.write_bytes(broken)
        assert "last.ckpt: a damaged checkpoint" in refused(made, capsys)
    path.write_bytes(whole)
    torch.save([1, 2], path)
    assert "last.ckpt: a damaged checkpoint" in refused(made, capsys)
    path.write_bytes(whole)
    for change, told in (
        ("blocks = 2", "blocks"),
        ("learning_rate = 3e-3", "learning_rate"),
        ('"superem"', "method"),
    ):
        other = TINY.replace(
            change, {"blocks": "blocks = 3", "method": '"cryosamu"'}.get(told, "learning_rate = 1e-3")
        )
        if told == "method":
            other = other.replace('channels = 4, blocks = 2, norm = "none",', "base = 8, groups = 4,")
        (made / "other.toml").write_text(other)
        method = "cryosamu" if told == "method" else "superem"
        line = refused(made, capsys, recipe="other.toml", method=method)
        assert "last.ckpt: a checkpoint of another recipe" in line and "another --out" in line
    content = torch.load(path, weights_only=True)
    next(v for v in content["optimiser"]["state"][0].values() if v.ndim)[0] = float("nan")
    torch.save(content, path)
    assert "optimiser.state.0" in refused(made, capsys) and "aren't numbers" in refused(made, capsys)
    path.write_bytes(whole)
    run(made, "run", 2)  # and the whole one goes on


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--seed", "-1"], "--seed -1"),
        (["--fold", "2"], "--fold 2: of how many"),
        (["--minutes", "-2"], "--minutes"),
        (["--workers", "-1"], "--workers"),
        (["--threads", "0"], "--threads 0"),
        (["--out", "{made}/tiny.toml"], "tiny.toml"),
        (["--structures", "{made}/tiny.toml"], "tiny.toml"),
        (["--recipe", "{made}/made.npz"], "made.npz"),
        (["--start-from", "{made}/none.safetensors"], "none.safetensors"),
        (["--pairs", "{made}"], "index.tsv"),
        (["--folds", "3"], "--folds"),
    ],
)
def test_what_can_not_be_used_is_named(made, capsys, more, told):
    assert told in refused(made, capsys, *(word.format(made=made) for word in more))


def test_without_structures_or_pairs_there_is_nothing_to_train_on(made, capsys):
    line = words(made, "run")
    at = line.index("--structures")
    assert script.main([*line[:at], *line[at + 2 :], "--steps", "1"]) == 2
    assert "give --structures" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    network = torch.nn.Conv3d(1, 1, 1)
    state = loop.State(network, torch.optim.Adam(network.parameters()), None, step=5)
    recipe = Recipe("superem", 16)
    checkpoints.save_checkpoint(state, recipe, tmp_path / "last.ckpt")

    for error in (
        OSError(28, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed: No space"),
    ):

        def full(content, path, error=error):
            Path(path).write_bytes(b"half")
            raise error

        monkeypatch.setattr(checkpoints.torch, "save", full)
        state.step = 6
        with pytest.raises(WriteError, match=r"last.ckpt: can.t be written .*No space"):
            checkpoints.save_checkpoint(state, recipe, tmp_path / "last.ckpt")
        monkeypatch.undo()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 5
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_is_told_where_weights_are_written_too(made, capsys):
    """For real: the process may write no file larger than some kilobytes."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); import signal;"
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.path[:0] = {1!r}; import train;"
    limited += "sys.exit(train.main(sys.argv[1:]))"
    code = limited.format(9000, [str(SCRIPT.parent), str(SCRIPT.parents[1] / "src")])
    line = [*words(made, "full"), "--steps", "1", "--threads", "1"]
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True)
    assert done.returncode == 2 and "can't be written" in done.stderr and "Traceback" not in done.stderr


def test_an_overflow_does_not_reach_the_weights():
    from lightning_fabric import Fabric

    from training.recipe import Loss, Optimisation

    network = torch.nn.Conv3d(1, 1, 1)
    before = network.weight.detach().clone()
    state = loop.State(network, torch.optim.Adam(network.parameters()), None)
    batch = (torch.full((1, 1, 4, 4, 4), float("inf")), torch.zeros(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4))
    fabric = Fabric(accelerator="cpu", devices=1)
    state.network, state.optimiser = fabric.setup(network, state.optimiser)
    loop.train_step(fabric, state, [batch], Loss(), Optimisation())
    assert torch.equal(network.weight, before)


def test_a_run_told_twice_to_stop_ends_with_a_checkpoint(made):
    """A scheduler's second SIGTERM comes while the run winds up; the loader's process gets both, too."""
    command = [sys.executable, SCRIPT, *words(made, "ended"), "--threads", "1", "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    how = {"stderr": subprocess.PIPE, "text": True, "env": environment, "start_new_session": True}
    with subprocess.Popen(command, **how) as process:
        while " 0/" not in (line := process.stderr.readline()) and "step/s" not in line:
            assert process.poll() is None, line
        time.sleep(1)
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            time.sleep(0.02)
        process.stderr.read()
    assert process.returncode == 0
    assert torch.load(made / "ended" / "last.ckpt", weights_only=True)["step"] > 0
