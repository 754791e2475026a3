import numpy as np
import pytest
from made_models import crowded_chain, model_at
from test_simulate import GRIDS

from cryomap.atoms import Residue
from cryomap.metrics.correlation import model_map
from cryomap.metrics.residues import (
    image_radius,
    is_main_chain,
    region_correlation,
    region_radius,
    residue_correlations,
)


@pytest.mark.parametrize("name", GRIDS)
def test_rscc_is_over_the_voxels_about_the_residue(rng, name):
    grid = GRIDS[name]
    model = crowded_chain(rng, 4, center=grid.center)
    computed = model_map(model, grid, 4.0)
    values = (computed.density.values + 0.02 * rng.normal(size=grid.shape)).astype(np.float32)
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
    found = residue_correlations(values, computed, model, 3.2)
    for residue in range(4):
        atoms = model.positions[model.residue_indices == residue]
        distance = np.linalg.norm(grid.to_xyz(indices)[..., None, :] - atoms, axis=-1)
        near = (distance <= 3.2).any(axis=-1)
        expected = np.corrcoef(values[near], computed.density.values[near])[0, 1]
        assert found[residue] == pytest.approx(expected, abs=1e-6)
        assert region_correlation(values, computed, atoms, 3.2) == pytest.approx(expected, abs=1e-6)


def test_residues_without_atoms_have_none(rng):
    grid = GRIDS["cubic"]
    model = crowded_chain(rng, 3, center=grid.center)
    computed = model_map(model, grid, 4.0)
    some = model.subset(model.residue_indices != 1)
    found = residue_correlations(computed.density.values, computed, some, 3.0)
    assert np.isfinite(found).tolist() == [True, False, True]
    assert found[0] == pytest.approx(1)
    assert np.isnan(residue_correlations(computed.density.values, computed, model.subset([]), 3.0)).all()
    assert np.isnan(region_correlation(computed.density.values, computed, np.zeros((0, 3)), 3.0))


def test_image_radius_grows_with_resolution_and_b():
    radii = [image_radius(b, d) for b, d in ((0, 1.5), (20, 3), (100, 3), (100, 5))]
    assert radii == sorted(radii)
    # With a B so large that nothing is cut off, the image is a Gaussian, whose inflection lies at its sigma.
    sigma = np.sqrt(3000 / (8 * np.pi**2))
    assert image_radius(3000, 2.0) == pytest.approx(2 * sigma, rel=0.03)


def test_region_radius_keeps_within_its_limits():
    model = model_at([[0, 0, 0]], b_factors=20)
    assert region_radius(model, 1.0) == 3.0
    assert region_radius(model, 6.6) == 6.6
    assert region_radius(model, 25.0) == 10.0


def test_main_chain_is_phenixs():
    residues = (Residue("A", 1, "", "ALA", "protein"), Residue("A", 2, "", "HEM", "ligand"))
    names = ["N", "CA", "C", "O", "CB", "CG", "C"]
    model = model_at(np.zeros((7, 3)), names=names, residues=residues, owners=[0] * 6 + [1])
    assert is_main_chain(model).tolist() == [True] * 5 + [False, False]
