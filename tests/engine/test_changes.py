"""What became of each ligand and of the waters: the figures and flags that `assess` gives, to the last."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import blobs
from made_models import crowded_chain, model_at

from cryomap.atoms import Residue
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics.assess import assess
from cryomap.metrics.changes import MoleculeChanges, molecule_changes
from cryomap.typed_json import from_plain, to_plain

GRID = Grid((48,) * 3, (0.9,) * 3)
SMALL = [
    (Residue("C", 1, "", "HEM", "ligand"), 6),
    (Residue("C", 2, "", "ZN", "ion"), 1),
    (Residue("C", 3, "", "NAG", "glycan"), 4),
    (Residue("C", 4, "", "CLR", "lipid"), 5),
    (Residue("B", 1, "", "DA", "nucleic"), 5),
    (Residue("W", 1, "", "HOH", "water"), 1),
    (Residue("W", 2, "", "HOH", "water"), 1),
]


@pytest.fixture
def model(rng):
    chain = crowded_chain(rng, center=(21, 21, 15))
    positions, owners, residues = [chain.positions], [chain.residue_indices], [*chain.residues]
    for number, (residue, atoms) in enumerate(SMALL):
        at = np.array([8 + 4.5 * number, 21, 30])
        positions.append(at + rng.normal(size=(atoms, 3)) * (1.2 if atoms > 1 else 0))
        owners.append(np.full(atoms, len(residues), np.int32))
        residues.append(residue)
    owners = np.concatenate(owners)
    return model_at(np.concatenate(positions), residues=residues, owners=owners, b_factors=30.0)


def maps(model, rng, lost=("HEM", "CLR", "HOH")):
    names = np.array([residue.name for residue in model.residues])[model.residue_indices]
    before = blobs(GRID, model.positions, 0.9)
    after = blobs(GRID, model.positions[~np.isin(names, lost)], 0.7)
    noise = 0.05 * rng.standard_normal((2, *GRID.shape)).astype(np.float32)
    return [replace(m, values=m.values + n) for m, n in zip((before, after), noise, strict=True)]


@pytest.mark.parametrize("levels", [(None, None), (0.4, 0.3)])
@pytest.mark.parametrize("resolution", [3.0, None])
def test_the_figures_and_flags_are_those_of_assess(rng, model, levels, resolution):
    before, after = maps(model, rng)
    found = molecule_changes(before, after, model, resolution=resolution, levels=levels)
    assessed = assess([before, after], model, resolution=resolution, metrics=["classes"], levels=levels)
    first, second = (scores.ligands for scores in assessed.maps)
    by_name = {change.residue: change for change in found.molecules}
    assert {str(model.residues[i]) for i in first} == set(by_name) and len(by_name) == 4
    for index, scores in second.items():
        change = by_name[str(model.residues[index])]
        assert change.marks == scores.marks
        assert change.q == pytest.approx((first[index].q, scores.q), abs=1e-6)
        assert change.rscc == pytest.approx((first[index].rscc, scores.rscc), abs=1e-6)
    assert len(found.flagged) == sum(bool(s.marks) for s in second.values()) > 0
    waters = [scores.classes["water"].q_mean for scores in assessed.maps]
    assert found.water_q == pytest.approx(waters, abs=1e-6) and found.waters == 2
    assert [c.residue for c in found.nucleotides] == ["/B:1 DA"]


def test_what_was_erased_is_flagged_and_comes_first(rng, model):
    found = molecule_changes(*maps(model, rng), model, resolution=3.0)
    assert {change.kind for change in found.flagged} >= {"ligand", "lipid"}
    assert found.molecules[0].q[1] - found.molecules[0].q[0] < -0.3
    assert found.water_q[0] > 0.5 > found.water_q[1] and found.waters_worse
    assert found.waters_lost == ("/W:1 HOH", "/W:2 HOH") and found.waters_shown == 2
    assert from_plain(MoleculeChanges, json.loads(json.dumps(to_plain(found))), "changes") == found


def test_waters_that_stay_are_no_worse(rng, model):
    found = molecule_changes(*maps(model, rng, lost=("HEM",)), model, resolution=3.0)
    assert found.flagged and not found.waters_worse and found.waters_lost == ()
    assert not MoleculeChanges(waters=1, water_q=(0.60, 0.56)).waters_worse
    assert MoleculeChanges(waters=1, water_q=(0.60, 0.54)).waters_worse
    assert MoleculeChanges((), (), 4, (0.6, 0.6), 3, ("/W:1 HOH", "/W:2 HOH")).waters_worse
    assert not MoleculeChanges((), (), 4, (0.6, 0.6), 2, ("/W:1 HOH",)).waters_worse


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_a_water_that_fades_is_counted_though_it_shows(rng, model, constant):
    before, after = maps(model, rng, lost=())
    first = model.positions[model.atom_kinds == "water"][:1]
    peak, at = blobs(GRID, first, 0.7), tuple(np.rint(GRID.to_indices(first)[0]).astype(int)[::-1])
    after = replace(after, values=after.values - 0.65 * after.values[at] / peak.values[at] * peak.values)
    before = replace(before, values=before.values + np.float32(constant))
    levels = 0.2 + constant, 0.2
    found = molecule_changes(before, after, model, resolution=3.0, levels=levels, background=constant)
    assert found.waters_lost == ("/W:1 HOH",) and found.waters_shown == 2


def test_a_model_of_protein_alone_has_none(rng):
    chain = crowded_chain(rng, center=(21, 21, 15))
    found = molecule_changes(*maps(chain, rng), chain, resolution=3.0)
    assert found.molecules == found.nucleotides == () and found.water_q is None and found.waters == 0


def test_a_model_elsewhere_is_refused(rng, model):
    far = replace(model, positions=model.positions + 1300)
    with pytest.raises(InputError, match="lies outside"):
        molecule_changes(*maps(model, rng), far, resolution=3.0)
