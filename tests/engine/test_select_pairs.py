"""The paper's selection of training maps, on candidates made on the spot."""

import numpy as np
import pytest
from real_maps import HEADER, density, positions, write_pair

import select_pairs
from pairs.entries import read_list
from pairs.identity import Relative


@pytest.fixture
def candidates(tmp_path, monkeypatch):
    """Six maps: one too fine, one of noise, two related; MMseqs2 is told what it would find."""
    rng = np.random.default_rng(0)
    rows = []
    for i, resolution in enumerate((2.5, 4.0, 4.0, 4.0, 5.0, 5.5)):
        atoms = positions(i)
        noise = 2.0 if i == 3 else 0.02
        values = density(atoms, 1.8) * (i != 1) + noise * rng.standard_normal((48, 50, 52))
        rows.append(write_pair(tmp_path, f"map{i}", values, atoms, i) + f"\t{resolution}\ts{i}\tyes")
    (tmp_path / "all.tsv").write_text(HEADER + "\n".join(rows) + "\n")
    asked = []

    def relatives(entries):
        asked.append(set(entries))
        return [Relative("map3", "map4", 90.0), Relative("map4", "map5", 24.0)]

    monkeypatch.setattr(select_pairs, "relatives", relatives)
    monkeypatch.setattr(select_pairs, "mmseqs", lambda: "mmseqs")
    return tmp_path, asked


def test_the_rules_leave_what_the_paper_says(candidates, capsys):
    folder, asked = candidates
    assert select_pairs.main([str(folder / "all.tsv"), str(folder / "chosen.tsv")]) == 0
    told = capsys.readouterr().out
    assert (
        "5 of 6 are of 3 to 6 A, 4 of them correlate" in told and "3 are unrelated: 2 to train on, 1" in told
    )
    assert asked == [{"map2", "map3", "map4", "map5"}]
    chosen = read_list(folder / "chosen.tsv")
    assert {e.name for e in chosen} == {"map2", "map4", "map5"}  # map3 is noisier than its relative
    assert sorted(e.split for e in chosen) == ["test", "train", "train"]
    lines = (folder / "chosen.tsv").read_text().splitlines()
    assert "outside 3 to 6 A" in lines[1] and "correlate" in lines[2] and "90 % identity" in lines[4]


def test_no_list_is_a_line(tmp_path, capsys):
    assert select_pairs.main([str(tmp_path / "none.tsv"), str(tmp_path / "out.tsv")]) == 2
    assert "none.tsv: no such file" in capsys.readouterr().err
