"""Half turns of tiles: they cancel what depends on the orientation, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from cryomap.density import DensityMap
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.over_rotations import over_rotations
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid


def shifted(axis):
    """A network that sees everything one voxel further along an axis than it is."""
    return lambda tiles: np.roll(tiles, 1, axis)


@pytest.mark.parametrize(("axis", "needed"), [(1, 3), (2, 2), (3, 2)])
def test_a_shift_evens_out_once_its_axis_is_turned(rng, axis, needed):
    """A half turn about z reverses y and x; z is first reversed by the one about y."""
    tiles = rng.normal(size=(2, 8, 8, 8)).astype(np.float32)
    both = (np.roll(tiles, 1, axis) + np.roll(tiles, -1, axis)) / 2
    one_way = np.roll(tiles, 1, axis)
    np.testing.assert_allclose(over_rotations(shifted(axis), 4)(tiles), both, atol=1e-6)
    np.testing.assert_allclose(over_rotations(shifted(axis), 1)(tiles), one_way)
    partly = over_rotations(shifted(axis), needed - 1)(tiles)
    np.testing.assert_allclose(partly, one_way, atol=1e-6)


def test_what_has_no_orientation_stays(rng):
    tiles = rng.normal(size=(1, 6, 6, 6)).astype(np.float32)
    for count in (1, 2, 3, 4):
        np.testing.assert_allclose(over_rotations(np.square, count)(tiles), tiles**2, rtol=1e-6)


def test_independent_errors_shrink_by_the_root_of_their_number(rng):
    tiles = np.zeros((1, 32, 32, 32), np.float32)

    def erring(tiles):
        return tiles + rng.normal(size=tiles.shape).astype(np.float32)

    assert over_rotations(erring, 4)(tiles).std() == pytest.approx(0.5, rel=0.02)


def test_enhance_goes_by_the_card(rng, sharpener_weights):
    method = load_method(None, sharpener_weights, "cpu")
    density = DensityMap(rng.uniform(size=(20, 20, 20)).astype(np.float32), Grid((20, 20, 20)))
    calls = []

    class Counting:
        device, precision, batch, cpu_seconds = method.predictor.device, "", 1, 0.0

        def __call__(self, tiles):
            calls.append(tiles)
            return method.predictor(tiles)

        def seconds_for(self, _voxels):
            return 0.0

    turned = replace(method, predictor=Counting(), card=replace(method.card, test_time_rotations=4))
    _, report = enhance(density, turned)
    assert len(calls) == 4 * report.tiles_run
    np.testing.assert_array_equal(calls[1], calls[0][:, :, ::-1, ::-1])
