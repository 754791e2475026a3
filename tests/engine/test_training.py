"""Training: it learns, it resumes, it starts from weights, it keeps what was best."""

import pytest
import torch
from safetensors.torch import load_file
from training_data import made_structure
from training_runs import TINY, make, run, words

import train as script
from cryomap.density import DensityMap, write_map
from cryomap.grid import Grid
from cryomap.networks.checkpoint import load_weights, save_weights
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.networks.superem import Generator
from training import loop
from training.recipe import read_recipe
from training.validation import Validated, side_by_side, validate
from training.widen import widen


@pytest.fixture
def made(tmp_path):
    return make(tmp_path)


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
    scores = validate(network, [Validated(volume, volume, torch.ones_like(volume))], side_by_side(16, 0))
    assert -1 <= scores.box <= 1


@pytest.fixture
def in_float32(monkeypatch):
    """Some CPUs validate in bfloat16."""
    monkeypatch.setattr("training.validation.choose_precision", lambda device: torch.float32)


@pytest.mark.usefixtures("in_float32")
def test_a_network_with_norms_is_validated_on_the_cubes_that_it_runs_on():
    """Instance norm sees all of a cube: on 25^3 cubes side by side, the result is put together from theirs."""
    torch.manual_seed(1)
    network = Generator(channels=4, blocks=1, dropout=0.0).eval()
    volume = torch.rand(50, 25, 25)
    with torch.no_grad():
        halves = [network(half[None, None])[0, 0] for half in (volume[:25], volume[25:])]
    target, known = torch.cat(halves), torch.ones_like(volume)
    assert validate(network, [Validated(volume, target, known)], side_by_side(25, 0)).loss < 1e-10
    with torch.no_grad():
        whole = network.eval()(volume[None, None])[0, 0]
    assert float((whole - target).square().mean()) > 1e-8


@pytest.mark.usefixtures("in_float32")
def test_what_is_not_known_does_not_count_in_validation():
    network = Generator(channels=4, blocks=1, norm="none", dropout=0.0).eval()
    volume = torch.rand(16, 16, 16)
    with torch.no_grad():
        target = network(volume[None, None])[0, 0]
    known = torch.ones_like(volume)
    known[:4] = 0
    target[:4] = 9
    assert validate(network, [Validated(volume, target, known)], side_by_side(16, 0)).loss < 1e-10


def test_the_best_weights_and_those_of_every_few_steps_are_kept(made):
    line = words(made, "kept")
    line[line.index("999")] = "0"  # validate after every step
    assert script.main([*line, "--steps", "7", "--keep-every", "2", "--keep", "2"]) == 0
    folder = made / "kept"
    assert sorted(p.stem for p in folder.glob("step-*.safetensors")) == ["step-000000004", "step-000000006"]
    assert len(list(folder.glob("step-*"))) == 3 * 2  # each with its card and what it was trained on
    best = load_weights(None, folder / "best.safetensors")[1]
    last = load_weights(None, folder / "superem.safetensors")[1]
    scores = [c.results["validation"]["simulated"]["mask"] for c in (best, last)]
    assert scores[0] >= scores[1] and best.training["steps"] <= 7
    assert torch.load(folder / "last.ckpt", weights_only=True)["best_score"] == pytest.approx(scores[0])


def test_a_resumed_run_equals_an_uninterrupted_one(made):
    whole = run(made, "whole", 4)
    run(made, "parts", 2)
    parts = run(made, "parts", 4)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_cut_before_its_schedule_ends_says_how_high_the_rate_is_then(made, capsys):
    schedule = 'schedule = "cosine"\nsteps = 4\nlearning_rate'
    (made / "tiny.toml").write_text(TINY.replace("learning_rate", schedule))
    run(made, "cut", 2)  # half of a cosine's way: half of the rate
    assert "--steps 2: the learning rate will be at 50% of its highest then" in capsys.readouterr().err
    run(made, "whole", 4)
    assert "learning rate" not in capsys.readouterr().err


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
    assert "cross.feed_forward.1.weight" in weights and "cross.attention.q_proj_weight" not in weights
    card = load_weights(None, made / "samu" / "cryosamu.safetensors")[1]
    assert card.architecture["arguments"]["context"] == 0
    # A file of an older trainer, with a cross-attention that nothing taught, can be begun with.
    network = CryoSAMU(base=8, groups=4, dropout=0.1)
    old = read_recipe(made / "samu.toml").card("old", {}, {})
    save_weights(network, old, made / "old.safetensors")
    line = words(made, "on", recipe="samu.toml", method="cryosamu")
    assert script.main([*line, "--start-from", str(made / "old.safetensors"), "--minutes", "0"]) == 0
    begun = load_file(made / "on" / "cryosamu.safetensors")
    assert begun.keys() == weights.keys()
    assert max(float((begun[name] - network.state_dict()[name]).abs().max()) for name in begun) < 0.01
