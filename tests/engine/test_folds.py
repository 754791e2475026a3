"""Cross-validation: specimens, and those that share chains, are in one fold."""

import json

import pytest

from cryomap.errors import InputError
from pairs.entries import Entry
from training.folds import held_out, write_folds

CHAIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKR"


def entries(*specimens):
    return [Entry(f"map{i}", "", "", 4.0, "train", specimen=s) for i, s in enumerate(specimens)]


def test_every_map_is_held_out_once_with_its_specimen():
    maps = entries("a", "b", "a", "c", "d", "e", "f")
    folds = held_out(maps, {}, 3)
    assert sorted(name for names in folds.values() for name in names) == sorted(e.name for e in maps)
    assert any({"map0", "map2"} <= set(names) for names in folds.values())
    assert max(map(len, folds.values())) - min(map(len, folds.values())) <= 1
    assert folds == held_out(maps[::-1], {}, 3)


def test_specimens_that_share_a_chain_are_together_also_through_a_third():
    maps = entries("a", "b", "c", "d", "e")
    half, other = CHAIN[:40] + "W" * 40, CHAIN[::-1]
    chains = {
        "map0": [CHAIN],
        "map3": [half],
        "map4": [half[::-1], other[:30] + half[40:70]],
        "map1": [other],
    }
    for folds in (2, 3):
        found = held_out(maps, chains, folds)
        assert any({"map0", "map3"} <= set(names) for names in found.values())
        assert any({"map1", "map4"} <= set(names) for names in found.values())


def test_more_folds_than_specimens_are_refused():
    for folds in (1, 4):
        with pytest.raises(InputError, match="give 2 to 3"):
            held_out(entries("a", "b", "c", "c"), {}, folds)


def test_folds_are_written_once(tmp_path):
    folds = {0: ["map0"], 1: ["map1"]}
    write_folds(tmp_path / "new", folds)
    write_folds(tmp_path / "new", folds)
    assert json.loads((tmp_path / "new" / "folds.json").read_text()) == {
        "fold-0": ["map0"],
        "fold-1": ["map1"],
    }
    with pytest.raises(InputError, match=r"folds\.json: of other folds"):
        write_folds(tmp_path / "new", {0: ["map1"], 1: ["map0"]})
