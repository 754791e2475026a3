"""Helices and strands of ideal geometry are found, and only they; real files agree with their own records."""

import gemmi
import numpy as np
import pytest
from conftest import shared
from made_models import model_at

from cryomap.atoms import Residue, read_model
from cryomap.metrics.secondary_structure import secondary_structure


def helix(n):
    """C alphas of an ideal alpha helix: 1.5 A and 100 degrees a residue, radius 2.3 A."""
    i = np.arange(n)
    return np.stack([2.3 * np.cos(np.radians(100 * i)), 2.3 * np.sin(np.radians(100 * i)), 1.5 * i], 1)


def strand(n):
    """C alphas of a pleated strand: 3.3 A a residue, .95 A to either side."""
    i = np.arange(n)
    return np.stack([np.where(i % 2, 0.95, -0.95), np.zeros(n), 3.3 * i], 1)


def kinds(positions, chains=None):
    residues = None
    if chains is not None:
        residues = tuple(Residue(c, i, "", "ALA", "protein") for i, c in enumerate(chains))
    return "".join(secondary_structure(model_at(positions, residues=residues)))


def test_ideal_helices_and_strands():
    assert kinds(helix(12)) == "H" * 12
    assert kinds(strand(8)) == "E" * 8
    assert kinds(helix(4)) == "----" and kinds(strand(3)) == "---"


def test_chains_and_breaks_end_them():
    assert kinds(helix(8), "AAAABBBB") == "-" * 8
    apart = helix(8)
    apart[4:, 2] += 10
    assert kinds(apart) == "-" * 8


def test_a_random_coil_is_mostly_neither(rng):
    steps = rng.normal(size=(200, 3))
    walk = np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    assert "H" not in kinds(walk) and kinds(walk).count("-") > 140  # some of it happens to be extended


def test_what_is_no_protein_has_none():
    residues = (Residue("A", 1, "", "DA", "nucleic"), Residue("A", 2, "", "ALA", "protein"))
    found = secondary_structure(model_at([[0, 0, 0], [5, 0, 0]], names=["P", "CA"], residues=residues))
    assert found.tolist() == ["", "-"]


@pytest.mark.parametrize("name", ["1A3C", "1A4I", "1A62"])
def test_it_agrees_with_a_files_own_records(name):
    path = shared("data", "structures", f"{name}.pdb.gz")
    structure, model = gemmi.read_structure(str(path)), read_model(path)
    number = {(r.chain_id, r.number): i for i, r in enumerate(model.residues)}
    recorded = np.full(len(model.residues), "", "<U1")
    for start, end, kind in [(h.start, h.end, "H") for h in structure.helices] + [
        (s.start, s.end, "E") for sheet in structure.sheets for s in sheet.strands
    ]:
        for n in range(start.res_id.seqid.num, end.res_id.seqid.num + 1):
            if (start.chain_name, n) in number:
                recorded[number[start.chain_name, n]] = kind
    ours = secondary_structure(model)
    for kind in "HE":
        if (recorded == kind).sum() > 10:
            assert (ours[recorded == kind] == kind).mean() > 0.7
