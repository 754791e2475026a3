import numpy as np
import pytest
from made_models import crowded_chain

from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics import correlation
from cryomap.metrics.correlation import correlations, fixed_scale, model_map, nth_largest, pearson

GRID = Grid((40, 44, 36), (1.1, 1.0, 1.2), (5.0, -7.0, 3.0))


@pytest.fixture
def model(rng):
    return crowded_chain(rng, 10, center=GRID.center)


def brute_force(observed, computed, mask):
    """The four correlations from their definitions."""
    n = mask.sum()
    top = [values >= np.sort(values.ravel())[::-1][n] for values in (observed, computed)]
    chosen = {"box": np.ones_like(mask), "mask": mask, "volume": top[1], "peaks": top[0] | top[1]}
    return {name: np.corrcoef(observed[s], computed[s])[0, 1] for name, s in chosen.items()}


def test_a_map_correlates_perfectly_with_itself_whatever_its_scale(model):
    computed = model_map(model, GRID, 4.0)
    found = correlations(DensityMap(3 * computed.density.values + 5, GRID), computed)
    assert vars(found) == pytest.approx(dict.fromkeys(("box", "mask", "volume", "peaks"), 1.0), abs=1e-6)
    opposite = correlations(DensityMap(-computed.density.values, GRID), computed)
    assert opposite.box == pytest.approx(-1)


def test_the_four_correlations_follow_their_definitions(model, rng):
    computed = model_map(model, GRID, 4.0)
    assert computed.density.grid == GRID
    noise = rng.normal(size=GRID.shape) * computed.density.values.std()
    observed = (computed.density.values + noise).astype(np.float32)
    found = correlations(DensityMap(observed, GRID), computed)
    expected = brute_force(observed, computed.density.values, computed.mask)
    assert vars(found) == pytest.approx(expected, abs=1e-6)
    assert found.box == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_ties_join_the_peaks(model):
    computed = model_map(model, GRID, 4.0)
    observed = np.where(computed.density.values > 0.9 * computed.density.values.max(), 1.0, 0.0)
    found = correlations(DensityMap(observed.astype(np.float32), GRID), computed)
    assert found.peaks == pytest.approx(found.box, abs=1e-9)


def test_a_small_model_in_a_large_map_scores_as_in_the_whole_box(rng, monkeypatch):
    grid = Grid((110, 100, 120))
    model = crowded_chain(rng, 20, center=(40.0, 50.0, 60.0))
    values = correlation.structure_factor_map(model, grid, 4.0).values
    values = values + 0.5 * values.std() * rng.normal(size=grid.shape).astype(np.float32)
    near = model_map(model, grid, 4.0)
    assert near.density.values.size < 0.3 * values.size
    monkeypatch.setattr(correlation, "MARGIN", 1000.0)
    whole = model_map(model, grid, 4.0)
    assert whole.density.grid == grid
    density = DensityMap(values, grid)
    assert vars(correlations(density, near)) == pytest.approx(vars(correlations(density, whole)), abs=0.002)


def test_a_model_at_the_edge_keeps_within_the_map(rng):
    grid = Grid((90, 90, 90))
    model = crowded_chain(rng, 8, center=(4.0, 45.0, 87.0))
    computed = model_map(model, grid, 5.0)
    assert min(computed.start) >= 0
    assert (
        computed.part_of(np.zeros(grid.shape)).shape == computed.density.values.shape == computed.mask.shape
    )
    peak = np.unravel_index(computed.density.values.argmax(), computed.density.values.shape)
    at = computed.density.grid.to_xyz(np.array(peak[::-1]))
    assert np.linalg.norm(model.positions - at, axis=1).min() < 2


def test_shifted_gaussian_has_the_known_correlation():
    grid = Grid((60, 60, 60))
    points = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    sigma, shift = 3.0, 4.0
    first, second = (
        np.exp(-((points - (30, 30, 28 + s)) ** 2).sum(-1) / (2 * sigma**2)) for s in (0.0, shift)
    )
    # Integrals of the Gaussians: those about the mean differ by the squared mean, small in so large a box.
    n, volume = grid.shape[0] ** 3, (2 * np.pi * sigma**2) ** 1.5
    square = (np.pi * sigma**2) ** 1.5
    expected = (square * np.exp(-(shift**2) / (4 * sigma**2)) - volume**2 / n) / (square - volume**2 / n)
    assert pearson(first, second) == pytest.approx(expected, abs=1e-4)


def test_nth_largest_is_that_of_sorting(rng):
    values = rng.normal(size=(13, 17, 11)).astype(np.float32)
    values[values < 0] = 0
    ordered = np.sort(values.ravel())[::-1]
    for n in (0, 1, 40, 500, 1500, values.size - 1, values.size + 9):
        assert nth_largest(values, n) == ordered[min(n, values.size - 1)]


def test_pearson_of_constants_is_nan():
    assert np.isnan(pearson(np.ones(9), np.arange(9.0)))
    assert np.isnan(pearson(np.array([]), np.array([])))
    assert pearson(np.arange(9.0) + 1e6, np.arange(9.0)) == pytest.approx(1)


def test_fixed_scale_flattens_b_factors(model):
    assert set(fixed_scale(model).b_factors) == {20.0}


def test_the_users_mask_takes_the_place_of_the_models(model, rng):
    mask = np.zeros(GRID.shape)
    mask[5:20, 5:20, 5:20] = 1
    computed = model_map(model, GRID, 4.0, mask)
    observed = rng.normal(size=GRID.shape).astype(np.float32)
    found = correlations(DensityMap(observed, GRID), computed)
    inside = mask > 0.5
    assert found.mask == pytest.approx(
        np.corrcoef(observed[inside], computed.density.values[inside])[0, 1], abs=1e-6
    )
