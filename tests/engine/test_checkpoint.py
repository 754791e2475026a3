"""Weights files and model cards: what goes in comes out, and what can't be used is refused by name."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cryomap.enhancement.methods import load_method
from cryomap.errors import InputError
from cryomap.networks.card import BUNDLED, METHODS, Card, read_card
from cryomap.networks.checkpoint import load_weights, save_weights, update_card, without_untrained_attention
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.networks.superem import Generator

SMALL = {"channels": 4, "blocks": 2, "norm": "none"}
CARD = Card("superem", "test", {"name": "superem", "arguments": SMALL}, tile=16, margin=2, stride=12)


@pytest.fixture
def weights(tmp_path):
    save_weights(Generator(**SMALL), CARD, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def change_card(weights, **changes):
    card = weights.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def test_a_saved_network_comes_back_in_eval_mode(tmp_path):
    network = Generator(**SMALL).eval()
    save_weights(network, CARD, tmp_path / "w.safetensors")
    loaded, card = load_weights("superem", tmp_path / "w.safetensors")
    x = torch.rand(1, 1, 8, 8, 8)
    assert card == CARD and not loaded.training and torch.equal(loaded(x), network(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.json", "w.safetensors"]


def test_results_can_be_added_to_a_card(weights):
    update_card(weights, results={"cc": 0.7})
    assert read_card(weights.with_suffix(".json")).results == {"cc": 0.7}


def test_the_file_names_the_method_where_none_is_asked_for(weights):
    assert load_weights(None, weights)[1].method == "superem"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architecture": {"name": "resnet"}}, "resnet"),
        ({"architecture": {"name": "superem", "arguments": {"depth": 3}}}, "depth"),
        ({"architecture": {"name": "superem", "arguments": {**SMALL, "blocks": 3}}}, "do not fit"),
        ({"method": "emready"}, "emready"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_cards_that_cannot_be_used(weights, changes, says):
    change_card(weights, **changes)
    with pytest.raises(InputError, match=says):
        load_weights(None, weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"test_time_rotations": 5},
        {"test_time_rotations": "two"},
        {"sharpen": -600},
        {"low_pass": "3 A"},
        {"input_weight": 1.5},
    ],
)
def test_a_run_that_no_card_can_ask_for(weights, changes):
    change_card(weights, normalization={"name": "superem"}, **changes)
    ((name, value),) = changes.items()
    with pytest.raises(InputError, match=rf"w\.json: not a model card \({name} {value!r}"):
        load_method(None, weights, "cpu")


def test_cards_of_format_1_are_still_read(tmp_path):
    """They said fold, finest, turns and input_share."""
    network = Generator(**SMALL, space_to_depth=2).eval()
    architecture = {"name": "superem", "arguments": {**SMALL, "space_to_depth": 2}}
    said = {"low_pass": 2.8, "test_time_rotations": 4, "input_weight": 0.15}
    card = replace(CARD, architecture=architecture, **said)
    save_weights(network, card, tmp_path / "w.safetensors")
    content = json.loads((tmp_path / "w.json").read_text())
    old = {"low_pass": "finest", "test_time_rotations": "turns", "input_weight": "input_share"}
    old = {old.get(key, key): value for key, value in content.items() if key != "format"}
    old["architecture"] = {"name": "superem", "arguments": {**SMALL, "fold": 2}}
    (tmp_path / "w.json").write_text(json.dumps(old))
    loaded, read = load_weights(None, tmp_path / "w.safetensors")
    x = torch.rand(1, 1, 8, 8, 8)
    assert read == card and torch.equal(loaded(x), network(x))


@pytest.mark.parametrize("number", [3, 0, "2.0", None])
def test_a_card_of_a_format_to_come(weights, number):
    change_card(weights, format=number)
    with pytest.raises(InputError, match=r"w\.json: not a model card \(format .*a newer version"):
        load_weights(None, weights)


def test_weights_of_the_other_method(weights):
    with pytest.raises(InputError, match="weights of superem, not of cryosamu"):
        load_weights("cryosamu", weights)


def test_missing_and_corrupted_files(weights, tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        load_weights("superem", tmp_path / "none.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="corrupted"):
        load_weights("superem", weights)
    weights.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="model card is missing"):
        load_weights("superem", weights)


def test_a_pickle_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    torch.save(Evil(), tmp_path / "evil.pth")
    with pytest.raises(InputError, match="not a plain PyTorch state dict") as error:
        load_weights(None, tmp_path / "evil.pth")
    assert "weights_only" not in str(error.value) and "option" not in str(error.value)  # PyTorch's advice
    assert not (tmp_path / "touched").exists()


def test_another_network_s_state_dict_is_refused(tmp_path):
    torch.save(nn.Conv3d(1, 1, 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match="do not fit"):
        load_weights(None, tmp_path / "other.pth")


@pytest.mark.parametrize("method", METHODS)
def test_bundled_weights_load_and_their_card_tells_the_training(method):
    card = load_weights(method)[1]
    assert card.method == method and card.training["steps"] > 0 and card.training["revision"] and card.notes


def of_before(weights, folder):
    """The same weights as older trainers saved them: with a cross-attention nothing taught, unsaid in the card."""
    network, card = load_weights("cryosamu", weights)
    arguments = {key: value for key, value in card.architecture["arguments"].items() if key != "context"}
    old = CryoSAMU(**arguments)
    old.load_state_dict({**old.state_dict(), **network.state_dict()})
    card = replace(card, architecture={"name": "cryosamu", "arguments": arguments})
    save_weights(old.half(), card, folder / "old.safetensors")
    return folder / "old.safetensors"


def test_the_bundled_cryosamu_has_no_layer_that_was_never_trained():
    network, card = load_weights("cryosamu")
    stored = load_file(BUNDLED / "cryosamu.safetensors").keys()
    assert card.architecture["arguments"]["context"] == 0 and stored == network.state_dict().keys()
    assert not [name for name in stored if name.startswith(("cross.attention", "cross.norm"))]


def test_files_of_before_with_an_untrained_cross_attention_give_the_same(tmp_path):
    old = load_weights("cryosamu", of_before(BUNDLED / "cryosamu.safetensors", tmp_path))
    new, bare = load_weights("cryosamu"), without_untrained_attention(*old)
    x = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(old[0](x), new[0](x)) and torch.equal(bare[0](x), new[0](x))
    assert "context" not in old[1].architecture["arguments"] and bare[1] == new[1]
    assert bare[0].state_dict().keys() == new[0].state_dict().keys() < old[0].state_dict().keys()


def test_a_cross_attention_that_was_trained_stays():
    network = CryoSAMU(base=8, groups=4, context=16)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.rand(1, 1, 16, 16, 16), torch.rand(1, 5, 16)).square().sum().backward()
    arguments = {"base": 8, "groups": 4, "context": 16}
    card = replace(CARD, method="cryosamu", architecture={"name": "cryosamu", "arguments": arguments})
    assert without_untrained_attention(network, card)[1].architecture["arguments"]["context"] == 0
    optimiser.step()
    assert without_untrained_attention(network, card) == (network, card)


BEYOND = {
    "tile": ["64", 8.5, 10**12, -1, 0, True, None, [64], float("nan")],
    "margin": [8.5, -1, "8"],
    "stride": [0, "40", 2.5],
    "largest_tile": [10**12, "96", -1],
    "interpolation": [6, "3", 0, 2.5],
    "grid_step": [float("inf"), 0, -1, float("nan"), "1"],
    "sharpen": [1e9, "15", float("inf"), []],
    "low_pass": [-1, float("nan")],
    "input_weight": [2, None],
    "test_time_rotations": [0, 1.5, 10**9],
    "blend": ["hard", None, ["smooth"]],
    "resolution": [5, "3 to 8", [3], [8, 3], [None, 8], [1, 2, 3], {"low": 3}],
    "version": [9, None],
    "method": [None, ["superem"], 3],
    "notes": [["a"], None],
    "training": [None, 5, []],
    "results": ["good"],
    "architecture": [
        None, 5, [], {"name": ["a"]}, {"name": {}}, {"arguments": {}}, {"name": "superem", "arguments": 5},
    ],
    "normalization": [
        None, [], {}, {"name": "superem", "x": 1}, {"name": ["a"]}, {"name": "equalized", "most": "5"},
        {"name": "cryosamu", "percentile": -1e9}, {"name": "equalized", "most": None},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in BEYOND for value in BEYOND[field]])
def test_a_field_that_can_not_be_is_refused_by_name(weights, field, value):
    change_card(weights, **{"normalization": {"name": "superem"}, field: value})
    with pytest.raises(InputError, match=rf"w\.(json|safetensors).*{field}") as error:
        load_method(None, weights, "cpu")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    "arguments",
    [
        {"blocks": 10**9}, {"channels": 10**6}, {"channels": -4}, {"channels": "4"}, {"norm": 5},
        {"dilations": []}, {"dilations": 3}, {"space_to_depth": 0}, {"dropout": "much"}, {"dilations": [1] * 99},
    ],
)  # fmt: skip
def test_arguments_that_can_not_be_are_refused_at_once(weights, arguments):
    change_card(weights, architecture={"name": "superem", "arguments": {**SMALL, **arguments}})
    with pytest.raises(InputError, match=r"w\.(json|safetensors)"):
        load_weights(None, weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_weights_that_make_no_numbers_are_refused(tmp_path, value):
    network = Generator(**SMALL)
    with torch.no_grad():
        network.head[0].weight.fill_(value)
    save_weights(network, CARD, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"w\.safetensors: .*(NaN or infinite|finite numbers)"):
        load_weights(None, tmp_path / "w.safetensors")


def test_cards_that_are_no_cards(weights):
    card = weights.with_suffix(".json")
    for text in ("[]", "5", "null", "{", "[" * 100_000, '{"tile": ' + "9" * 5000 + "}", "\udcff"):
        card.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError, match=r"w\.json: not a model card"):
            load_weights(None, weights)
    card.unlink()
    card.mkdir()
    with pytest.raises(InputError, match=r"w\.json: a folder"):
        load_weights(None, weights)


def test_files_that_are_no_state_dict(tmp_path):
    path = tmp_path / "w.pt"
    for content in (b"", b"hello\n", b"PK\3\4" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"w\.pt: corrupted"):
            load_weights(None, path)
    torch.save({1: torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"w\.pt: not a plain state dict"):
        load_weights(None, path)
    with pytest.raises(InputError, match="a folder"):
        load_weights(None, tmp_path)
