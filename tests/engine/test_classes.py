import numpy as np
import pytest
from made_models import crowded_chain, model_at

from cryomap.atoms import Residue
from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics.classes import (
    ClassScores,
    LigandScores,
    atom_classes,
    class_changes,
    class_scores,
    ligand_scores,
    lipid_parts,
    marks,
    residue_means,
)
from cryomap.metrics.correlation import model_map
from cryomap.metrics.residues import residue_correlations

RESIDUES = (
    Residue("A", 1, "", "SER", "protein"),
    Residue("B", 1, "", "DA", "nucleic"),
    Residue("C", 1, "", "HEM", "ligand"),
    Residue("C", 2, "", "ZN", "ion"),
    Residue("C", 3, "", "NAG", "glycan"),
    Residue("C", 4, "", "CLR", "lipid"),
    Residue("W", 1, "", "HOH", "water"),
)
ATOMS = [
    ("N", 0, "protein_main_chain"),
    ("CA", 0, "protein_main_chain"),
    ("C", 0, "protein_main_chain"),
    ("O", 0, "protein_main_chain"),
    ("OXT", 0, "protein_main_chain"),
    ("CB", 0, "protein_side_chain"),
    ("OG", 0, "protein_side_chain"),
    ("P", 1, "nucleic_backbone"),
    ("OP1", 1, "nucleic_backbone"),
    ("O1P", 1, "nucleic_backbone"),
    ("C1'", 1, "nucleic_backbone"),
    ("O3'", 1, "nucleic_backbone"),
    ("N9", 1, "nucleic_base"),
    ("C2", 1, "nucleic_base"),
    ("FE", 2, "ligand"),
    ("CA", 2, "ligand"),
    ("ZN", 3, "ion"),
    ("C1", 4, "glycan"),
    ("C1", 5, "lipid"),
    ("O", 6, "water"),
]


def mixed_model(positions=None):
    names, owners, _ = zip(*ATOMS, strict=True)
    positions = np.zeros((len(ATOMS), 3)) if positions is None else positions
    return model_at(positions, names=list(names), residues=RESIDUES, owners=owners)


def test_every_atom_has_its_class():
    assert atom_classes(mixed_model()).tolist() == [name for _, _, name in ATOMS]


def test_residue_means_leave_out_nan():
    model = mixed_model()
    values = np.arange(len(model), dtype=float)
    values[0] = np.nan
    means = residue_means(values, model)
    assert means[0] == pytest.approx(np.mean([1, 2, 3, 4, 5, 6]))
    assert means[3] == 16
    assert np.isnan(residue_means(np.full(len(model), np.nan), model)).all()


def test_class_scores_are_means_over_atoms_and_residues(rng):
    grid = Grid((36, 36, 36), (1.0,) * 3, (-18.0,) * 3)
    model = crowded_chain(rng, 8)
    computed = model_map(model, grid, 4.0)
    noise = 0.05 * rng.normal(size=grid.shape)
    density = DensityMap((computed.density.values + noise).astype(np.float32), grid)
    q = rng.uniform(0, 1, len(model))
    found = class_scores(density, computed, model, q, 3.0)
    assert list(found) == ["protein_main_chain", "protein_side_chain"]
    side = atom_classes(model) == "protein_side_chain"
    expected = residue_correlations(density.values, computed, model.subset(side), 3.0)
    scores = found["protein_side_chain"]
    assert (scores.q_mean, scores.q_sd, scores.q_count) == pytest.approx((q[side].mean(), q[side].std(), 8))
    assert (scores.rscc_mean, scores.rscc_sd) == pytest.approx((expected.mean(), expected.std()))
    assert scores.rscc_count == 8


def test_lipids_near_protein_and_far_from_it(rng):
    """Two lipids, one across the limit; a lipid's distance is to protein, not to what else is there."""
    residues = (
        Residue("A", 1, "", "ALA", "protein"),
        Residue("B", 1, "", "CLR", "lipid"),
        Residue("B", 2, "", "CLR", "lipid"),
        Residue("C", 1, "", "HEM", "ligand"),
    )
    positions = [[0, 0, 0], [4.9, 0, 0], [5.1, 0, 0], [0, 12, 0], [0, 0, 4.9], [0, 13, 0]]
    model = model_at(positions, residues=residues, owners=[0, 1, 1, 2, 2, 3])
    parts = lipid_parts(model)
    assert parts["lipid_near_protein"].tolist() == [False, True, False, False, True, False]
    assert parts["lipid_far_from_protein"].tolist() == [False, False, True, True, False, False]
    grid = Grid((36, 36, 36), (1.0,) * 3, (-18.0,) * 3)
    q = np.array([0.9, 0.8, 0.2, 0.1, 0.6, 0.5])
    noise = DensityMap(rng.normal(size=grid.shape).astype(np.float32), grid)
    found = class_scores(noise, model_map(model, grid, 4.0), model, q, 3.0)
    assert found["lipid_near_protein"].q_mean == pytest.approx(0.7)
    assert found["lipid_far_from_protein"].q_mean == pytest.approx(0.15)
    assert found["lipid"].q_mean == pytest.approx(np.mean([0.8, 0.2, 0.1, 0.6]))
    assert lipid_parts(model.subset([1, 2])) == {} and lipid_parts(model.subset([0, 5])) == {}


def test_each_ligand_is_a_row_with_its_density():
    grid = Grid((20, 20, 20), (1.0,) * 3, (-10.0,) * 3)
    positions = np.zeros((len(ATOMS), 3))
    positions[14:16] = [[3, 0, 0], [5, 0, 0]]
    positions[16] = [0, 4, 0]
    ramp = np.broadcast_to(np.arange(20.0) - 10, grid.shape).astype(np.float32)
    model = mixed_model(positions)
    found = ligand_scores(DensityMap(ramp, grid), model, np.arange(7.0), np.arange(7.0) / 10, contour=3.5)
    assert sorted(found) == [2, 3, 4, 5]
    assert (found[2].density, found[2].above_contour) == (4.0, True)
    assert (found[3].density, found[3].above_contour) == (0.0, False)
    assert (found[4].q, found[4].rscc) == (4.0, 0.4)


def test_a_ligand_that_became_worse_is_marked():
    before = LigandScores(2, q=0.60, rscc=0.8, density=2.0, above_contour=True)
    assert marks(before, LigandScores(2, 0.56, 0.1, 1.5, True)) == ()
    assert marks(before, LigandScores(2, 0.50, 0.8, 1.5, True)) == ("Q fell by 0.10",)
    assert marks(before, LigandScores(2, 0.70, 0.8, 0.1, False)) == ("density fell below the contour",)
    assert len(marks(before, LigandScores(2, 0.1, 0.8, 0.1, False))) == 2
    lost_already = LigandScores(2, 0.6, 0.8, 0.1, False)
    assert marks(lost_already, LigandScores(2, 0.6, 0.8, 0.0, False)) == ()


def test_changes_are_against_the_first_map():
    first = {"ion": ClassScores(0.5, 0, 1, 0.6, 0, 1)}
    now = {"ion": ClassScores(0.7, 0, 1, 0.5, 0, 1), "water": ClassScores(0.7, 0, 1, 0.5, 0, 1)}
    changes = class_changes(first, now)
    assert list(changes) == ["ion"]
    assert changes["ion"] == pytest.approx({"q_change": 0.2, "rscc_change": -0.1})
