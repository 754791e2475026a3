import numpy as np
import pytest
from made_models import crowded_chain

from cryomap.density import DensityMap, resample
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics.cubes import SIZE, Cubes, common_grid, compare, cube_correlations, target_resolution
from cryomap.simulate import situs_map

GRID = Grid((40, 36, 44), (1.0,) * 3, (-20.0, -18.0, -15.0))


@pytest.fixture
def model(rng):
    return crowded_chain(rng, 20)


@pytest.mark.parametrize("stride", [4, 5, 7])
def test_each_cube_is_its_own_correlation(rng, model, stride):
    values = situs_map(model, GRID, 3.0).values
    values = values + 0.3 * values.max() * rng.normal(size=values.shape)
    density = DensityMap(values.astype(np.float32), GRID)
    grid = common_grid(density, model)
    found = cube_correlations(density, model, grid, 5.0, stride)
    target = situs_map(model, grid, 3.0).values.astype(float)
    clipped = np.maximum(resample(density, grid).values, 0).astype(float)
    corners = [range(0, n - SIZE + 1, stride) for n in grid.shape]
    assert found.cc.shape == tuple(len(c) for c in corners)
    for index in np.ndindex(found.cc.shape):
        i, j, k = (axis[n] for axis, n in zip(corners, index, strict=True))
        cube = (slice(i, i + SIZE), slice(j, j + SIZE), slice(k, k + SIZE))
        expected = np.corrcoef(clipped[cube].ravel(), target[cube].ravel())[0, 1]
        assert found.cc[index] == pytest.approx(expected, abs=1e-9)
    first = found.grid.to_xyz(np.array([1, 1, 1]))
    assert first == pytest.approx(grid.to_xyz(np.array([stride] * 3)))


def test_the_target_itself_scores_one_and_a_worse_map_is_not_improved(rng, model):
    target = situs_map(model, GRID, 3.0)
    grid = common_grid(target, model)
    perfect = cube_correlations(target, model, grid, 5.0)
    assert np.nanmin(perfect.cc) == pytest.approx(1, abs=1e-6)
    noisy = DensityMap((target.values + rng.normal(size=GRID.shape) * 5).astype(np.float32), GRID)
    worse = cube_correlations(noisy, model, grid, 5.0)
    down, up = compare(perfect, worse), compare(worse, perfect)
    assert (down.improved, up.improved) == (0.0, 1.0)
    assert up.mean_before == down.mean_after < up.mean_after == pytest.approx(1)


def test_cubes_without_density_are_left_out(rng):
    model = crowded_chain(rng, 20, center=(0, 0, 8))
    target = situs_map(model, GRID, 3.0)
    values = target.values.copy()
    values[:25] = 0
    found = cube_correlations(DensityMap(values, GRID), model, common_grid(target, model), 5.0)
    assert np.isnan(found.cc[0]).all()
    assert np.isfinite(found.cc[-1]).any()


def test_comparison_counts_cubes_valid_in_both():
    def cubes(cc):
        return Cubes(np.array(cc).reshape(1, 1, -1), GRID, 4, 3.0)

    found = compare(cubes([0.5, 0.6, np.nan, 0.7]), cubes([0.6, 0.5, 0.9, np.nan]))
    assert (found.count, found.improved) == (2, 0.5)
    assert (found.mean_before, found.mean_after) == pytest.approx((0.55, 0.55))
    assert compare(cubes([np.nan]), cubes([1.0])).count == 0


def test_the_papers_target_resolutions():
    assert [target_resolution(r) for r in (3.0, 3.5, 3.6, 6.0)] == [1.8, 1.8, 3.0, 3.0]


def test_what_cannot_be_cut_into_cubes_is_refused(model):
    small = Grid((20, 40, 40))
    with pytest.raises(InputError, match="smaller than a cube"):
        cube_correlations(DensityMap(np.ones(small.shape, np.float32), small), model, small, 5.0)
    with pytest.raises(InputError, match="stride 0"):
        cube_correlations(DensityMap(np.ones(GRID.shape, np.float32), GRID), model, GRID, 5.0, stride=0)
