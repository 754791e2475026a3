"""Model against model: what a built model has right, on models whose differences are known."""

import argparse
import json
from dataclasses import replace

import gemmi
import numpy as np
import pytest
from made_models import model_at
from pair_entries import protein, write_model

from cryomap.atoms import Residue, read_model
from cryomap.cli.mapcc import add_parser
from cryomap.errors import InputError
from cryomap.metrics.backbone import compare_models


def chain(n, names=None):
    residues = tuple(Residue("A", i + 1, "", names[i] if names else "ALA", "protein") for i in range(n))
    return model_at(np.arange(n)[:, None] * np.array([3.8, 0, 0]), residues=residues)


def test_a_model_is_itself():
    found = compare_models(chain(20), chain(20))
    assert (found.coverage, found.precision, found.same_name, found.rmsd, found.fragment) == (1, 1, 1, 0, 20)


def test_what_is_left_out_and_what_is_too_much():
    """Eight of ten residues built, in two stretches, and four built where there is nothing."""
    true = chain(10)
    kept = [0, 1, 2, 3, 5, 6, 7, 9]
    far = np.array([[0, 50, 0], [4, 50, 0], [8, 50, 0], [12, 50, 0]], float)
    built = model_at(np.concatenate([true.positions[kept] + [0, 0.6, 0.8], far]))
    found = compare_models(built, true)
    assert (found.residues, found.built, found.matched) == (10, 12, 8)
    assert (found.coverage, found.precision) == (0.8, pytest.approx(8 / 12))
    assert found.rmsd == pytest.approx(1.0) and found.fragment == pytest.approx(8 / 3)


def test_a_residue_is_matched_once_the_nearest_first():
    true = model_at([[0, 0, 0], [2.0, 0, 0]])
    found = compare_models(model_at([[0.9, 0, 0]]), true)
    assert found.matched == 1 and found.rmsd == pytest.approx(0.9)


def test_three_angstrom_are_the_limit():
    true = chain(4)
    for distance, coverage in ((2.99, 1), (3.01, 0)):
        moved = replace(true, positions=true.positions + np.array([0, distance, 0]))
        assert compare_models(moved, true).coverage == coverage


def test_types_are_compared_and_a_chain_built_backwards_counts():
    names = ["ALA", "GLY", "SER", "VAL"]
    true = chain(4, names)
    assert compare_models(chain(4, ["ALA", "GLY", "SER", "LEU"]), true).same_name == 0.75
    backwards = model_at(true.positions[::-1])
    assert compare_models(backwards, true).fragment == 4


def test_a_model_without_a_chain_is_refused():
    water = model_at([[0, 0, 0]], names="O", residues=[Residue("A", 1, "", "HOH", "water")])
    with pytest.raises(InputError, match="no C alpha of protein and no P"):
        compare_models(water, chain(3))


def test_mapcc_compares_models(tmp_path, capsys):
    """A built model in place of a map: the same structure a little off, without its last three residues."""
    structure = protein(3)
    write_model(structure, tmp_path / "true.cif")
    for residue in structure[0][0]:
        for atom in residue:
            atom.pos += gemmi.Position(0.5, 0, 0)
    del structure[0][0][-3:]
    write_model(structure, tmp_path / "built.cif.gz")
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    words = ["mapcc", tmp_path / "built.cif.gz", "--to", tmp_path / "true.cif"]
    options = parser.parse_args([*map(str, words), "--json", "-"])
    options.run(options)
    (found,) = json.loads(capsys.readouterr().out)["models"]
    expected = compare_models(read_model(tmp_path / "built.cif.gz"), read_model(tmp_path / "true.cif"))
    assert found["model"] == "built.cif.gz" and found["coverage"] == pytest.approx(expected.coverage)
    assert found["rmsd"] == pytest.approx(0.5, abs=0.01) and found["matched"] == found["residues"] - 3
    options = parser.parse_args(list(map(str, words)))
    options.run(options)
    assert "coverage" in capsys.readouterr().out
    for wrong, told in (
        ([*words[:2], tmp_path / "a.mrc", *words[2:]], "models or maps, not both"),
        ([*words, "--csv", tmp_path / "a.csv"], "--csv is about maps"),
    ):
        options = parser.parse_args(list(map(str, wrong)))
        with pytest.raises(InputError, match=told):
            options.run(options)
