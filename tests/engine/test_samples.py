from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cryomap.density import DensityMap
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.prepare import prepare
from cryomap.enhancement.run import enhance, enhance_prepared
from cryomap.enhancement.samples import enhance_samples, orientations
from cryomap.grid import Grid


@pytest.fixture(scope="module")
def method(sharpener_weights):
    return load_method(None, sharpener_weights, "cpu")


def lopsided(grid: Grid) -> DensityMap:
    """A map without any symmetry."""
    values = np.zeros(grid.shape, np.float32)
    for place, height in (((8, 9, 12), 2), ((14, 10, 9), 3), ((10, 17, 14), 4)):
        values[place] = height
    return DensityMap(ndimage.gaussian_filter(values, 1.6), grid, "lopsided")


def test_orientations_are_the_proper_rotations_of_a_cube():
    matrices = []
    for axes, flips in orientations():
        matrix = np.eye(3)[list(axes)]
        matrix[list(flips)] *= -1
        assert np.linalg.det(matrix) == pytest.approx(1)
        matrices.append(tuple(matrix.ravel()))
    assert len(set(matrices)) == 24
    assert orientations()[0] == ((0, 1, 2), ())


@pytest.mark.parametrize(
    "grid", [Grid((22, 26, 24)), Grid((22, 26, 24), (1.1, 0.9, 1.0), (3.0, 2.0, 1.0))], ids=["1 A", "skew"]
)
def test_a_network_without_preferred_direction_agrees_with_itself(grid, method):
    """Copies come back where they were: a symmetric filter gives the same in every orientation."""
    density = lopsided(grid)
    single, _ = enhance(density, method, 0.02)
    mean, deviation, report = enhance_samples(prepare(density, 0.02), method, 24)
    assert mean.grid == deviation.grid == single.grid
    assert deviation.values.max() < 0.02
    assert np.abs(mean.values - single.values).max() < 0.05
    assert report.tiles_run >= 24


def test_the_deviation_is_that_of_the_copies(method, monkeypatch):
    """Copies that differ by known numbers have their mean and standard deviation; the report has means, too."""
    numbers = iter([0.2, 0.4, 0.9])

    def constant(prepared, *_):
        _, report = enhance_prepared(prepared, method)
        number = next(numbers)
        made = DensityMap(np.full(prepared.grid.shape, number, np.float32), prepared.grid)
        return made, replace(report, undrawn=10 * number)

    monkeypatch.setattr("cryomap.enhancement.samples.enhance_prepared", constant)
    mean, deviation, report = enhance_samples(prepare(lopsided(Grid((22, 26, 24))), 0.02), method, 3)
    assert np.allclose(mean.values, 0.5, atol=1e-5)
    assert np.allclose(deviation.values, np.std([0.2, 0.4, 0.9], ddof=1), atol=1e-5)
    assert report.undrawn == 5


def test_copies_take_the_place_of_the_cards_half_turns(method, monkeypatch):
    turns = []

    def counting(prepared, method, *rest):
        turns.append(method.card.test_time_rotations)
        return enhance_prepared(prepared, method, *rest)

    monkeypatch.setattr("cryomap.enhancement.samples.enhance_prepared", counting)
    turning = replace(method, card=replace(method.card, test_time_rotations=4))
    enhance_samples(prepare(lopsided(Grid((22, 26, 24))), 0.02), turning, 3)
    assert turns == [1, 1, 1]


def test_a_soft_mask_counts_once(method):
    density = lopsided(Grid((22, 26, 24)))
    soft = np.full(density.grid.shape, 0.5, np.float32)
    soft[0, 0, 0] = 1
    prepared = prepare(density, 0.02, DensityMap(soft, density.grid, "mask"))
    masked, bare = (enhance_samples(p, method, 2) for p in (prepared, replace(prepared, mask=None)))
    for one, other in zip(masked[:2], bare[:2], strict=True):
        np.testing.assert_allclose(one.values, other.values * soft, atol=1e-6)
