"""Entries too much alike are told by MMseqs2, and the first of them is kept."""

from __future__ import annotations

import shutil

import gemmi
import numpy as np
import pytest

import prepare_pairs
from cryomap.atoms import read_model
from pairs.identity import Relative, parse_hits, redundant, relatives, sequences


def test_hits_of_mmseqs2_become_relatives():
    rows = [
        "0 0 1.000 1.000 1.000",
        "0 1 0.310 0.200 0.900",
        "1 0 0.330 0.900 0.200",
        "0 2 0.900 0.300 0.400",
    ]
    table = "\n".join(rows).replace(" ", "\t")
    assert parse_hits(table, ["a", "b", "c"]) == [Relative("a", "b", 33.0)]


def test_of_related_entries_the_first_is_kept():
    found = [Relative("a", "b", 40.0), Relative("b", "c", 90.0), Relative("c", "d", 24.0)]
    assert set(redundant(["a", "b", "c", "d"], found, 25.0)) == {"b"}
    assert set(redundant(["b", "a", "c", "d"], found, 25.0)) == {"a", "c"}
    assert redundant(["a", "b", "c", "d"], found, 95.0) == {}


def test_without_mmseqs2_the_message_says_what_to_do(monkeypatch, pair_folder, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code = prepare_pairs.main(
        ["superem", "--out", str(tmp_path / "p"), "--list", str(pair_folder / "list.tsv")]
    )
    assert code == 2 and "--max-identity 100" in capsys.readouterr().err
    assert not (tmp_path / "p" / "records").exists()  # said before the work


@pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 (mmseqs) is not on the PATH")
def test_related_proteins_are_found_by_mmseqs2(tmp_path, pair_folder):
    rng = np.random.default_rng(5)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    first, other = ("".join(rng.choice(letters, 120)) for _ in range(2))
    changed = "".join(rng.choice(letters) if rng.random() < 0.4 else c for c in first)
    same = 100 * np.mean([a == b for a, b in zip(first, changed, strict=True)])
    found = relatives({"a": {"A": first, "B": first}, "b": {"A": changed}, "c": {"X": other}})
    assert [(r.first, r.second) for r in found] == [("a", "b")]
    assert found[0].identity == pytest.approx(same, abs=6)
    model = read_model(pair_folder / "entry1.cif.gz")
    assert sequences(model)["A"] == "".join(
        gemmi.find_tabulated_residue(r.name).one_letter_code for r in model.residues
    )
