import gemmi
import numpy as np
import pytest
from made_models import crowded_chain, model_at
from test_simulate import GRIDS

from cryomap.grid import Grid
from cryomap.metrics.masks import VDW_RADII, molecular_mask, soft_mask, spheres


def brute_force(positions, radii, grid):
    """Every voxel against every atom and its periodic images."""
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
    inside = np.zeros(grid.shape, bool)
    for shift in np.ndindex(3, 3, 3):
        images = positions + ((np.array(shift) - 1) * grid.size) @ grid.axes.T
        distance = np.linalg.norm(grid.to_xyz(indices)[..., None, :] - images, axis=-1)
        inside |= (distance <= radii).any(axis=-1)
    return inside


@pytest.mark.parametrize("name", GRIDS)
def test_spheres_are_the_voxels_within_the_radius(rng, name):
    grid = GRIDS[name]
    positions = grid.center + rng.normal(size=(12, 3)) * 7
    radii = rng.uniform(1, 5, 12)
    assert np.array_equal(spheres(positions, radii, grid), brute_force(positions, radii, grid))


def test_spheres_count_voxels_on_the_radius():
    grid = Grid((9, 9, 9))
    assert spheres(np.array([[4.0, 4, 4]]), 1.0, grid).sum() == 7
    assert not spheres(np.zeros((0, 3)), 3.0, grid).any()


@pytest.mark.parametrize("step", [0.6, 1.0, 1.4])
def test_molecular_mask_is_gemmis(rng, step):
    n = int(36 / step)
    grid = Grid((n, n - 2, n + 1), (step,) * 3)
    model = crowded_chain(rng, 14, center=grid.center)
    cell = gemmi.UnitCell(*(np.array(grid.size) * step), 90, 90, 90)
    theirs = gemmi.Int8Grid(*grid.size)
    theirs.set_unit_cell(cell)
    theirs.spacegroup = gemmi.SpaceGroup("P 1")
    masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx)
    masker.put_mask_on_int8_grid(theirs, as_gemmi(model))
    solvent = np.array(theirs.array, copy=True).T.astype(bool)
    ours = molecular_mask(model, grid)
    # Voxels whose distance is a rounding error away from the shrink radius may fall either way.
    assert (ours == ~solvent).mean() > 0.9995
    assert 0.01 < ours.mean() < 0.5


def as_gemmi(model):
    residue = gemmi.Residue()
    for position, z in zip(model.positions, model.atomic_numbers, strict=True):
        atom = gemmi.Atom()
        atom.pos, atom.element = gemmi.Position(*position), gemmi.Element(int(z))
        residue.add_atom(atom)
    chain, result = gemmi.Chain("A"), gemmi.Model(1)
    chain.add_residue(residue)
    result.add_chain(chain)
    return result


def test_radii_table_has_the_documented_values():
    expected = {1: 1.2, 6: 1.775, 7: 1.5, 8: 1.45, 15: 1.9, 16: 1.8}
    assert {z: VDW_RADII[z] for z in expected} == expected
    assert len(VDW_RADII) == 104


def test_soft_mask_is_the_convolution_with_a_gaussian():
    grid = Grid((48, 48, 48))
    model = model_at([grid.center])
    radius = 4.0
    soft = soft_mask(model, grid, radius)
    hard = molecular_mask(model, grid, extra=radius)
    assert soft.min() >= 0
    assert soft.sum() == pytest.approx(hard.sum(), rel=1e-3)
    assert (
        np.argmax(soft) == np.ravel_multi_index((23, 23, 23), grid.shape)
        or soft[23, 23, 23] > 0.99 * soft.max()
    )
    # A uniform ball of radius R convolved with a Gaussian of sigma: its value at the centre.
    r = (3 * hard.sum() / (4 * np.pi)) ** (1 / 3)
    t = r / radius
    from math import erf, exp, pi, sqrt

    assert soft[23:25, 23:25, 23:25].mean() == pytest.approx(
        erf(t / sqrt(2)) - t * sqrt(2 / pi) * exp(-(t**2) / 2), rel=0.03
    )
