"""Averaging weights: the mean of every parameter, told in the card; unlike networks are refused."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from average_weights import main
from cryomap.networks.card import Card
from cryomap.networks.checkpoint import load_weights, save_weights
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.networks.superem import Generator
from pairs.checksums import digest

SMALL = {"channels": 4, "blocks": 1, "norm": "none"}
CARD = Card("superem", "test", {"name": "superem", "arguments": SMALL}, tile=16, margin=2, stride=12)


def saved(path, value, steps, arguments=SMALL):
    network = Generator(**arguments)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, value)
    card = replace(CARD, architecture={"name": "superem", "arguments": arguments}, training={"steps": steps})
    save_weights(network, card, path)
    return path


@pytest.mark.parametrize("half", [False, True])
def test_the_mean_is_weighted_and_told(tmp_path, half):
    one, two = saved(tmp_path / "1.safetensors", 1.0, 10), saved(tmp_path / "2.safetensors", 2.0, 20)
    words = [str(tmp_path / "mean.safetensors"), f"1:{one}", f"3:{two}"] + ["--half"] * half
    assert main(words) == 0
    network, card = load_weights("superem", tmp_path / "mean.safetensors")
    assert all(torch.equal(p, torch.full_like(p, 1.75)) for p in network.parameters())
    told = card.training["average of"]
    assert [(part["share"], part["steps"]) for part in told] == [(0.25, 10), (0.75, 20)]
    assert [part["sha256"] for part in told] == [digest(path, "sha256") for path in (one, two)]


def test_a_record_makes_the_same_again_or_says_what_is_another(tmp_path, capsys):
    one, two = saved(tmp_path / "1.safetensors", 1.0, 10), saved(tmp_path / "2.safetensors", 2.0, 20)
    mean = tmp_path / "mean.safetensors"
    assert main([str(mean), f"1:{one}", f"3:{two}", "--half"]) == 0
    first, record = load_file(mean), mean.with_suffix(".toml")
    mean.unlink()
    assert main([str(mean), "--by", str(record)]) == 0
    again = load_file(mean)
    assert all(torch.equal(again[key], first[key]) and first[key].dtype == torch.float16 for key in first)
    saved(two, 2.5, 30)
    assert main([str(mean), "--by", str(record)]) == 2
    assert "2.safetensors: not the weights that were averaged" in capsys.readouterr().err
    for broken in ("", "part = 4", "[[part]]\nshare = 1", "[[part]]\nshare = -1.0\nfile = 'a'", "half ="):
        record.write_text(broken)
        assert main([str(mean), "--by", str(record)]) == 2
        assert "mean.toml: not a record" in capsys.readouterr().err


def test_a_record_names_the_parts_from_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs", "means"):
        (tmp_path / folder).mkdir()
    for name, value in (("1", 1.0), ("2", 2.0)):
        saved(tmp_path / "runs" / f"{name}.safetensors", value, 10)
    assert main(["means/mean.safetensors", "1:runs/1.safetensors", f"3:{tmp_path}/runs/2.safetensors"]) == 0
    assert str(tmp_path) not in (tmp_path / "means" / "mean.toml").read_text()
    monkeypatch.chdir(tmp_path / "runs")
    assert main(["again.safetensors", "--by", "../means/mean.toml"]) == 0
    first, again = (
        load_file(tmp_path / name) for name in ("means/mean.safetensors", "runs/again.safetensors")
    )
    assert all(torch.equal(again[key], first[key]) for key in first)


def test_unlike_networks_and_shares_of_nothing_are_refused(tmp_path, capsys):
    one = saved(tmp_path / "1.safetensors", 1.0, 10)
    other = saved(tmp_path / "2.safetensors", 1.0, 10, {**SMALL, "blocks": 2})
    assert main([str(tmp_path / "mean.safetensors"), f"1:{one}", f"1:{other}"]) == 2
    assert "2.safetensors" in capsys.readouterr().err
    assert main([str(tmp_path / "mean.safetensors"), f"0:{one}", f"1:{one}"]) == 2
    assert "share" in capsys.readouterr().err
    assert not (tmp_path / "mean.safetensors").exists()


def test_what_no_embedding_taught_is_left_out(tmp_path):
    """Files of an older trainer hold a cross-attention at its initialisation; one file alone stays as it is else."""
    small = {"base": 8, "groups": 0, "attention_pool": [0, 0, 0]}
    files = []
    for name, arguments in (("old", small), ("new", {**small, "context": 0})):
        card = replace(CARD, method="cryosamu", architecture={"name": "cryosamu", "arguments": arguments})
        files.append(tmp_path / f"{name}.safetensors")
        save_weights(CryoSAMU(**arguments).half(), replace(card, training={"steps": 7}), files[-1])
    bare, mean = tmp_path / "bare.safetensors", tmp_path / "mean.safetensors"
    assert main([str(bare), f"1:{files[0]}", "--half"]) == 0
    before, after = load_file(files[0]), load_file(bare)
    left_out = {"cross.norm", "cross.attention", "cross.attention.out_proj"}
    assert {name.rpartition(".")[0] for name in before.keys() - after.keys()} == left_out
    assert all(torch.equal(after[name], before[name]) for name in after)
    assert load_weights(None, bare)[1].training == {"steps": 7}
    assert main([str(mean), f"0.5:{files[0]}", f"0.5:{files[1]}"]) == 0
    assert load_file(mean).keys() == after.keys()
