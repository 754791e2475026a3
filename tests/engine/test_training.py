"""Training: it learns, it resumes, several processes equal one, and nothing is lost when it goes wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_data import made_structure

import train as script
from cryomap.density import DensityMap, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.networks.checkpoint import load_weights
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.networks.superem import Generator
from simulation.experiment import Experiment
from simulation.structures import pack, pack_folder, split, unpack
from training import loop
from training.recipe import RECIPES, Optimisation, read_recipe
from training.validation import validate
from training.widen import widen

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
TINY = """
method = "superem"
cube = 16
network = { channels = 4, blocks = 2, norm = "none", dropout = 0.1 }
[data]
box = 32
resolution = [3.0, 4.0]
[loss]
correlation = 0.1
[optimise]
learning_rate = 3e-3
ema_decay = 0.9
batch = 2
cubes_per_box = 2
"""


@pytest.fixture
def made(tmp_path):
    pack([made_structure(seed=i, pdb_id=f"M{i:03}") for i in range(12)], tmp_path / "made.npz")
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def words(made, out, recipe="tiny.toml", method="superem"):
    line = (
        f"{method} --recipe {made / recipe} --structures {made / 'made.npz'} --out {made / out} --workers 0"
    )
    return f"{line} --precision 32-true --accelerator cpu --validate-every 999".split()


def run(made, out, steps, **which):
    assert script.main([*words(made, out, **which), "--steps", str(steps)]) == 0
    return load_file(made / out / f"{which.get('method', 'superem')}.safetensors")


def test_training_lowers_the_loss_and_writes_weights_that_run(made, monkeypatch):
    losses = []
    step = loop.train_step
    monkeypatch.setattr(script, "train_step", lambda *a: losses.append(step(*a)) or losses[-1])
    run(made, "run", 40)
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])
    network, card = load_weights("superem", made / "run" / "superem.safetensors")
    assert card.training["steps"] == 40 and card.results["validation"]["simulated"]["loss"] > 0
    assert network(torch.rand(1, 1, 16, 16, 16)).shape == (1, 1, 16, 16, 16)


@pytest.mark.parametrize(("fast", "name"), [(torch.bfloat16, "bf16-mixed"), (torch.float32, "32-true")])
def test_training_takes_the_precision_that_the_device_is_fast_at(fast, name, monkeypatch):
    monkeypatch.setattr(script, "choose_precision", lambda device: fast)
    line = "superem --structures none.npz --out none --accelerator cpu"
    assert script.make_fabric(script.parse(line.split())).strategy.precision.precision == name
    line += " --precision 64-true"
    assert script.make_fabric(script.parse(line.split())).strategy.precision.precision == "64-true"


def test_real_maps_are_validated_on_too(made):
    atoms = made_structure(atoms=100)
    lines = [
        f"ATOM  {i:5d}  CA  ALA A{i:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C  "
        for i, (x, y, z) in enumerate(atoms.positions.tolist(), 1)
    ]
    (made / "real.pdb").write_text("\n".join([*lines, "END"]))
    values = torch.rand(20, 21, 30).numpy()
    write_map(DensityMap(values, Grid(values.shape, origin=(-3.0, -3.0, -3.0))), made / "real.mrc")
    (made / "real.tsv").write_text("emdb_id\tmap_file\tmodel_file\tresolution_A\n1\treal.mrc\treal.pdb\t4\n")
    assert script.main([*words(made, "real"), "--steps", "1", "--real-maps", str(made / "real.tsv")]) == 0
    card = load_weights(None, made / "real" / "superem.safetensors")[1]
    assert -1 < card.results["validation"]["real"]["box"] < 1


def test_maps_of_any_size_can_be_validated_on_by_a_folded_unet():
    network = CryoSAMU(base=8, groups=0, context=4, space_to_depth=2)
    volume = torch.rand(33, 40, 47)
    scores = validate(network, [Experiment(volume, volume, 4.0, "", made_structure())])
    assert -1 <= scores.box <= 1


def test_a_resumed_run_equals_an_uninterrupted_one(made):
    whole = run(made, "whole", 4)
    run(made, "parts", 2)
    parts = run(made, "parts", 4)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_can_start_from_weights(made, capsys):
    first = run(made, "first", 2)
    start = ["--start-from", str(made / "first" / "superem.safetensors")]
    assert script.main([*words(made, "second"), *start, "--minutes", "0"]) == 0
    second = load_file(made / "second" / "superem.safetensors")
    assert max(float((first[key] - second[key]).abs().max()) for key in first) < 0.01
    for other in ("blocks = 3", "blocks = 2, space_to_depth = 2", "channels = 3, blocks = 2"):
        (made / "tiny.toml").write_text(
            TINY.replace(f"{'channels = 4, ' * ('ch' in other)}blocks = 2", other)
        )
        assert script.main([*words(made, "third"), *start]) == 2
        assert str(made / "first" / "superem.safetensors") in capsys.readouterr().err


def test_a_wider_network_goes_on_where_the_narrow_one_was():
    narrow = Generator(channels=4, blocks=2, norm="none", dropout=0.0, space_to_depth=2)
    for p in narrow.parameters():  # as training would, move what begins at zero
        p.data += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    wide = Generator(channels=6, blocks=2, norm="none", dropout=0.0, space_to_depth=2)
    widen(wide, narrow)
    volume = torch.rand(1, 1, 16, 16, 16)
    before = narrow(volume)
    assert before.detach().std() > 1e-4
    torch.testing.assert_close(wide(volume), before)
    optimiser = torch.optim.SGD(wide.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        wide(volume).square().mean().backward()
        optimiser.step()
    assert wide.tail[0].weight[:, 4:].detach().abs().max() > 0  # the new channels are heard by now
    with pytest.raises(ValueError, match=r"head.0.weight \(6,"):
        widen(narrow, wide)


def test_training_may_start_from_a_narrower_network(made):
    run(made, "narrow", 1)
    start = ["--start-from", str(made / "narrow" / "superem.safetensors")]
    (made / "tiny.toml").write_text(TINY.replace("channels = 4", "channels = 6"))
    assert script.main([*words(made, "wide"), *start, "--steps", "2"]) == 0
    assert load_file(made / "wide" / "superem.safetensors")["head.0.weight"].shape[0] == 6


def test_two_processes_equal_one(made):
    (made / "tiny.toml").write_text(TINY.replace("dropout = 0.1", "dropout = 0.0"))
    run(made, "one", 3)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29513"]
    command = [*launch, SCRIPT, *words(made, "two"), "--steps", "3", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    # What they give, not their weights: Adam makes a whole step of a gradient that only rounding tells from 0.
    assert script.main([*words(made, "other"), "--steps", "3", "--seed", "1"]) == 0
    one, two, other = (answer(made / run / "superem.safetensors") for run in ("one", "two", "other"))
    assert float((one - two).abs().max()) < 0.02 * float((one - other).abs().max())


def answer(weights):
    network, _ = load_weights("superem", weights)
    with torch.no_grad():
        return network(torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(5)))


def test_a_terminated_run_ends_with_a_checkpoint(made):
    command = [sys.executable, SCRIPT, *words(made, "ended"), "--threads", "1", "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    how = {"stderr": subprocess.PIPE, "text": True, "env": environment, "start_new_session": True}
    with subprocess.Popen(command, **how) as process:
        while " 0/" not in (line := process.stderr.readline()) and "step/s" not in line:
            assert process.poll() is None, line
        time.sleep(1)
        os.killpg(process.pid, signal.SIGTERM)  # as schedulers do: the loader's process gets it too
        process.stderr.read()
    assert process.returncode == 0
    assert torch.load(made / "ended" / "last.ckpt", weights_only=True)["step"] > 0


def test_adversarial_training_trains_both_networks(made):
    (made / "gan.toml").write_text(TINY.replace("correlation = 0.1", "adversarial = 1e-3"))
    run(made, "gan", 1, recipe="gan.toml")
    first = torch.load(made / "gan" / "last.ckpt", weights_only=True)["discriminator"]
    run(made, "gan", 2, recipe="gan.toml")
    second = torch.load(made / "gan" / "last.ckpt", weights_only=True)["discriminator"]
    assert not all(torch.equal(first[key], second[key]) for key in first)


def test_cryosamu_trains(made):
    samu = TINY.replace('"superem"', '"cryosamu"').replace(
        'channels = 4, blocks = 2, norm = "none",', "base = 8, groups = 4,"
    )
    (made / "samu.toml").write_text(samu)
    weights = run(made, "samu", 1, recipe="samu.toml", method="cryosamu")
    assert "cross.attention.q_proj_weight" in weights


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    network = torch.nn.Conv3d(1, 1, 1)
    state = loop.State(network, torch.optim.Adam(network.parameters()), None, step=5)
    loop.save_checkpoint(state, tmp_path / "last.ckpt")

    def full(content, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop.torch, "save", full)
    state.step = 6
    with pytest.raises(InputError, match=r"last.ckpt: can.t be written .No space"):
        loop.save_checkpoint(state, tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 5
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_an_overflow_does_not_reach_the_weights():
    from lightning_fabric import Fabric

    from training.recipe import Loss

    network = torch.nn.Conv3d(1, 1, 1)
    before = network.weight.detach().clone()
    state = loop.State(network, torch.optim.Adam(network.parameters()), None)
    batch = (torch.full((1, 1, 4, 4, 4), float("inf")), torch.zeros(1, 1, 4, 4, 4))
    loop.train_step(Fabric(accelerator="cpu", devices=1), state, batch, Loss(), Optimisation())
    assert torch.equal(network.weight, before)


def test_bad_structures_are_left_out_by_name(tmp_path):
    folder = tmp_path / "structures"
    folder.mkdir()
    (folder / "good.pdb").write_text(
        "ATOM      1  CA  ALA A   1      11.000  12.000  13.000  1.00 20.00           C  \nEND\n"
    )
    (folder / "broken.cif").write_text("data_x\nloop_\n_atom_site.id\n")
    left_out = pack_folder(folder, tmp_path / "out.npz")
    assert len(unpack(tmp_path / "out.npz")) == 1
    assert len(left_out) == 1 and "broken.cif" in left_out[0]
    (folder / "good.pdb").unlink()
    with pytest.raises(InputError, match="no structures"):
        pack_folder(folder, tmp_path / "none.npz")


def test_packing_keeps_atoms_and_split_keeps_entries(made):
    structures = unpack(made / "made.npz")
    original = made_structure(seed=0)
    moved = original.positions - original.positions.mean(0)
    assert torch.allclose(structures[0].positions, moved, atol=0.006)
    for column in ("kinds", "chains", "residues", "depths", "charges"):
        assert torch.equal(getattr(structures[0], column), getattr(original, column)), column
    training, held_out = split(structures, 0.3)
    assert {s.pdb_id for s in training}.isdisjoint(s.pdb_id for s in held_out)
    assert len(training) + len(held_out) == 12 and held_out


@pytest.mark.parametrize("name", sorted(p.stem for p in RECIPES.glob("*.toml")))
def test_every_recipe_reads(name):
    assert read_recipe(RECIPES / f"{name}.toml").method == name.split("-")[0]


@pytest.mark.parametrize("wrong", ["foo = 1", '[data]\ntarget_weights = "foo"'])
def test_a_recipe_with_a_wrong_key_or_value_is_refused(tmp_path, wrong):
    (tmp_path / "wrong.toml").write_text(f'method = "superem"\ncube = 16\n{wrong}\n')
    with pytest.raises(InputError, match=r"wrong\.toml.*foo"):
        read_recipe(tmp_path / "wrong.toml")
