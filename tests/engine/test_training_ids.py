"""Which maps weights have seen: the list beside them, and what is said of a map that is in it."""

import logging

import numpy as np
import pytest
from trust_maps import RESOLUTION, chain, experiment

from cryomap.density import read_map, write_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.errors import InputError
from cryomap.job import Options
from cryomap.networks.training_ids import ids_path, seen, training_ids, write_training_ids


def test_a_list_comes_back(tmp_path):
    weights = tmp_path / "w.safetensors"
    assert training_ids(weights) == frozenset()
    write_training_ids((), weights)
    assert not ids_path(weights).exists()
    write_training_ids(["3MFP", "EMD-5168", "1ABC", "EMD-5168"], weights)
    assert (tmp_path / "w-training.txt").read_text() == "EMD-5168\n1ABC\n3MFP\n"
    assert training_ids(weights) == {"EMD-5168", "3MFP", "1ABC"}


def test_a_damaged_list_is_named(tmp_path):
    (tmp_path / "w-training.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"w-training\.txt: not a list"):
        training_ids(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("emd_5168.map.gz", "EMD-5168"),
        ("EMD-5168", "EMD-5168"),
        ("my emd 5168 zone.mrc", "EMD-5168"),
        ("emdb-5168.mrc", "EMD-5168"),
        ("emd_51689.map", ""),
        ("emd_516.map", ""),
        ("emd_5169.map", ""),
        ("5168.mrc", ""),
    ],
)
def test_names_that_say_an_id(name, found):
    assert seen([name], frozenset({"EMD-5168"})) == found


def test_it_is_said_of_a_map_that_was_trained_on(tmp_path, sharpener_weights, caplog):
    for path in (sharpener_weights, sharpener_weights.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_training_ids(["EMD-5168"], tmp_path / sharpener_weights.name)
    method = load_method(None, tmp_path / sharpener_weights.name, "cpu")
    for name, known in (("emd_5168_box.mrc", "EMD-5168"), ("emd_1234.mrc", "")):
        write_map(experiment(np.random.default_rng(7), chain(np.random.default_rng(3))), tmp_path / name)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            report = enhance_trusted(
                read_map(tmp_path / name), method, Options(level=0.012, resolution=RESOLUTION)
            ).report
        assert report.trained_on == known
        assert ("was trained on EMD-5168" in caplog.text) == bool(known)
