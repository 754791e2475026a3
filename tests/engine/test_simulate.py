import gemmi
import numpy as np
import pytest
from made_models import crowded_chain, model_at

from cryomap.grid import Grid
from cryomap.reciprocal import fft_positions, inverse_d_squared, largest_indices
from cryomap.simulate import situs_map, structure_factor_map, structure_factors

TURNED = tuple(map(tuple, np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])))
GRIDS = {
    "cubic": Grid((20, 20, 20), (1.2,) * 3, (-12.0, -12.0, -12.0)),
    "anisotropic": Grid((21, 18, 25), (1.0, 1.4, 1.1), (-11.0, -12.0, -12.0)),
    "skewed": Grid((20, 22, 24), (1.1, 1.2, 1.3), (-10.0, -8.0, -12.0), (82.0, 95.0, 104.0)),
    "rotated": Grid((22, 22, 24), (1.2, 1.1, 1.3), (12.0, -14.0, -5.0), rotation=TURNED),
}


def direct_sum(model, grid, limits):
    """F(h) by the definition, one reflection at a time in float64."""
    inverse_d2 = inverse_d_squared(grid, limits)
    fractions = grid.to_indices(model.positions) / grid.size
    form = [gemmi.Element(int(z)).c4322 for z in model.atomic_numbers]
    a, b = np.array([f.a for f in form]), np.array([f.b for f in form])
    el, k, h = (
        np.arange(-limits[0], limits[0] + 1),
        np.arange(-limits[1], limits[1] + 1),
        np.arange(limits[2] + 1),
    )
    result = np.zeros(inverse_d2.shape, complex)
    for i, j, m in np.ndindex(inverse_d2.shape):
        s2 = inverse_d2[i, j, m] / 4
        scattering = (a * np.exp(-b * s2)).sum(axis=1) * np.exp(-model.b_factors * s2) * model.occupancies
        result[i, j, m] = (scattering * np.exp(-2j * np.pi * fractions @ (h[m], k[j], el[i]))).sum()
    return result, inverse_d2


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("d_min", [4.5, 3.5])
def test_structure_factors_are_the_sum_over_atoms(rng, name, d_min):
    grid = GRIDS[name]
    model = crowded_chain(rng, 6, center=grid.center + 2)
    model.occupancies[::3] = 0.4
    model.atomic_numbers[4] = 30
    model.atomic_numbers[9] = 1
    limits = largest_indices(grid, d_min)
    expected, inverse_d2 = direct_sum(model, grid, limits)
    expected[inverse_d2 >= d_min**-2] = 0
    factors = structure_factors(model, grid, d_min)
    found = factors[fft_positions(limits, grid.shape)]
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    assert np.sqrt((np.abs(found - expected) ** 2).sum() / (np.abs(expected) ** 2).sum()) < 1e-3
    elsewhere = factors.copy()
    elsewhere[fft_positions(limits, grid.shape)] = 0
    assert not elsewhere.any()


def test_all_reflections_are_right_up_to_the_corner():
    grid = Grid((16, 15, 18), (1.0, 1.1, 0.9))
    model = model_at([[4, 5, 6], [9, 9, 9], [12, 3, 8]], z=[6, 8, 16], b_factors=[15, 30, 0])
    expected, _ = direct_sum(model, grid, largest_indices(grid))
    found = structure_factors(model, grid)[fft_positions(largest_indices(grid), grid.shape)]
    assert np.abs(found - expected).max() < 0.005 * np.abs(expected).max()


def test_a_small_model_in_a_large_box_and_across_its_edge():
    grid = Grid((64, 40, 72), (1.0, 1.0, 1.0))
    model = model_at([[0.2, 1.0, 70.9], [1.5, 39.6, 71.5], [2.0, 1.2, 70.1]], b_factors=40)
    limits = largest_indices(grid, 6.0)
    expected, inverse_d2 = direct_sum(model, grid, limits)
    expected[inverse_d2 >= 6.0**-2] = 0
    found = structure_factors(model, grid, 6.0)[fft_positions(limits, grid.shape)]
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_map_of_one_blurred_atom_is_its_gaussians():
    grid = Grid((40, 40, 40), (0.8,) * 3, (-16.0, -16.0, -16.0))
    position, b_factor = np.array([0.31, -0.22, 0.13]), 90.0
    density = structure_factor_map(model_at([position], b_factors=b_factor), grid, 1.65)
    carbon = gemmi.Element("C").c4322
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
    r2 = ((grid.to_xyz(indices) - position) ** 2).sum(-1)
    expected = sum(
        a * (4 * np.pi / (b + b_factor)) ** 1.5 * np.exp(-4 * np.pi**2 * r2 / (b + b_factor))
        for a, b in zip(carbon.a, carbon.b, strict=True)
    )
    assert np.abs(density.values - expected).max() < 0.001 * expected.max()


def test_atoms_without_form_factor_are_left_out():
    grid = GRIDS["cubic"]
    known = structure_factors(model_at([[1, 2, 3]]), grid, 4)
    with_unknown = structure_factors(model_at([[1, 2, 3], [4, 4, 4], [0, 0, 0]], z=[6, 0, 103]), grid, 4)
    assert np.allclose(known, with_unknown, atol=1e-5)


def test_situs_map_is_a_gaussian_of_the_mass_cut_off():
    grid = Grid((31, 31, 31), (0.25,) * 3, (-3.75,) * 3)
    density = situs_map(model_at([[0, 0, 0]], z=16), grid, resolution=3.0)
    row = density.values[15, 15]
    r = np.abs(grid.to_xyz(np.stack([np.arange(31), np.full(31, 15), np.full(31, 15)], -1))[:, 0])
    inside = r <= np.sqrt(3) * 1.5
    assert row[inside] == pytest.approx(32.06 * np.exp(-1.5 * (r[inside] / 1.5) ** 2), rel=1e-3)
    assert not row[~inside].any()
    # Twice the kernel's 3D standard deviation is the resolution; cutting it off narrows it a little.
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
    r2 = (grid.to_xyz(indices) ** 2).sum(-1)
    spread = np.sqrt((density.values * r2).sum() / density.values.sum())
    assert 0.9 < 2 * spread / 3.0 < 1.0


def test_gaussians_on_skewed_and_rotated_grids_follow_distance(rng):
    for name in ("skewed", "rotated"):
        grid = GRIDS[name]
        model = model_at(grid.center + rng.normal(size=(5, 3)) * 2, z=7)
        indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
        r2 = ((grid.to_xyz(indices)[..., None, :] - model.positions) ** 2).sum(-1)
        expected = np.where(r2 <= 3 * 1.5**2, 14.007 * np.exp(-1.5 * r2 / 1.5**2), 0).sum(-1)
        assert np.abs(situs_map(model, grid, 3.0).values - expected).max() < 1e-3 * expected.max()
