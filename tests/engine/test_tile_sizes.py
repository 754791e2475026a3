"""Tiles grow where that is less work, and the result is the same."""

import numpy as np
import pytest
from conftest import save_as, sharpener
from scipy import ndimage

from cryomap.density import DensityMap
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid

ARCHITECTURE = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}


def method_with(folder, largest_tile):
    path = save_as(sharpener(), folder, architecture=ARCHITECTURE, largest_tile=largest_tile)
    return load_method(None, path, "cpu")


def placed(method, shape):
    return method.place_tiles(np.ones(shape, np.float32), 0.5, 0.5)


@pytest.mark.parametrize(
    ("shape", "tile", "count"),
    [
        ((20, 20, 20), 32, 1),  # the card's tiles do: core 24
        ((36, 36, 36), 48, 1),  # one of 48 is less than 8 of 32
        ((100, 100, 100), 64, 8),  # two cores of 56 along each axis, overlapping by 4 or more
        ((72, 72, 20), 48, 4),  # a larger one would see mostly nothing
    ],
)
def test_the_size_that_has_the_network_see_the_least_is_taken(tmp_path, shape, tile, count):
    placement = placed(method_with(tmp_path, 64), shape)
    assert (placement.tiling.tile, len(placement.starts)) == (tile, count)
    assert placement.tiling.margin == 4 and placement.tiling.core - placement.tiling.stride == 4
    small = placed(method_with(tmp_path, 0), shape)
    assert small.tiling.tile == 32 and placement.voxels <= small.voxels


def test_places_without_density_count_for_nothing(tmp_path):
    """Two far corners: small tiles leave out what lies between them."""
    method = method_with(tmp_path, 64)
    values = np.zeros((100, 100, 100), np.float32)
    values[:10, :10, :10] = values[-10:, -10:, -10:] = 1
    placement = method.place_tiles(values, 0.5, 0.5)
    assert placement.tiling.tile == 32 and len(placement.starts) < placement.total / 4


def test_the_result_does_not_depend_on_the_tiles(tmp_path, rng):
    values = ndimage.gaussian_filter(rng.normal(size=(70, 50, 50)), 2).astype(np.float32)
    density = DensityMap(values, Grid(values.shape))
    small, few = enhance(density, method_with(tmp_path, 0), 0.02)
    large, many = enhance(density, method_with(tmp_path, 64), 0.02)
    assert many.tiles_run < few.tiles_run
    np.testing.assert_allclose(large.values, small.values, atol=1e-2 * small.values.max())
    assert small.values.std() > 0.01
