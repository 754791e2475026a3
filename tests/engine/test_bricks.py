"""Bricks hold all density and its surroundings, cost little, and give what the whole map gives."""

import numpy as np
import pytest
from conftest import save_as, sharpener
from scipy import ndimage

from cryomap.density import DensityMap
from cryomap.enhancement.bricks import BLOCK, BrickRule, place_bricks
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.enhancement.tiles import blend
from cryomap.errors import InputError
from cryomap.grid import Grid

ARCHITECTURE = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}
RULE = BrickRule(margin=4, overlap=4, multiple=2, side=48)


def method_with(folder, largest_tile):
    path = save_as(sharpener(), folder, architecture=ARCHITECTURE, largest_tile=largest_tile)
    return load_method(None, path, "cpu")


def islands(shape, *boxes):
    values = np.zeros(shape, np.float32)
    for low, high in boxes:
        values[tuple(map(slice, low, high))] = 1
    return values


def diagonal(shape=(90, 90, 90)):
    """A rod from corner to corner."""
    z, y, x = np.indices(shape)
    along = (z + y + x) / 3
    away = (z - along) ** 2 + (y - along) ** 2 + (x - along) ** 2
    return (away < 6**2).astype(np.float32)


MAPS = {
    "full": np.ones((70, 50, 61), np.float32),
    "islands": islands((70, 36, 44), ((8, 10, 9), (20, 18, 21)), ((50, 24, 30), (60, 33, 41))),
    "one voxel": islands((21, 22, 23), ((20, 0, 11), (21, 1, 12))),
    "diagonal": diagonal(),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("multiple", [1, 2, 16])
def test_every_voxel_near_density_has_a_say(name, multiple):
    values = MAPS[name]
    placed = place_bricks(values, 0.5, BrickRule(4, 4, multiple, 64))
    ones = blend(values, placed, np.ones_like)
    near = ndimage.maximum_filter(values, 2 * BLOCK + 1) > 0.5
    np.testing.assert_allclose(ones[near], 1, rtol=1e-6)
    assert (placed.shapes % multiple == 0).all() and (placed.shapes.prod(axis=1) <= 64**3).all()
    assert (np.diff(placed.starts[:, 0]) >= 0).all() and placed.total >= len(placed.starts)


def test_a_map_without_density_has_none():
    placed = place_bricks(np.zeros((20, 20, 20), np.float32), 0.5, RULE)
    assert placed.starts.shape == placed.shapes.shape == (0, 3) and placed.voxels == 0


def test_one_brick_is_as_small_as_its_density_allows():
    placed = place_bricks(islands((80, 80, 80), ((20, 24, 40), (32, 32, 44))), 0.5, RULE)
    # Whole blocks (12, 8, 4), one around them, and the margins.
    assert placed.shapes.tolist() == [[12 + 8 + 8, 8 + 8 + 8, 4 + 8 + 8]]
    assert placed.starts.tolist() == [[20 - 4 - 4, 24 - 4 - 4, 40 - 4 - 4]]


def test_what_lies_between_costs_nothing():
    """Two far corners: two small bricks, not one that holds the nothing between them."""
    placed = place_bricks(
        islands((96, 96, 96), ((0, 0, 0), (8, 8, 8)), ((88, 88, 88), (96, 96, 96))), 0.5, RULE
    )
    assert len(placed.starts) == 2 and placed.voxels < 2 * 24**3 + 1


def test_a_diagonal_is_cut_into_bricks_along_it():
    rule = BrickRule(4, 4, 2, 128)
    placed = place_bricks(diagonal(), 0.5, rule)
    assert len(placed.starts) > 2 and placed.voxels < 0.6 * 98**3
    # Not into ever smaller ones, whose margins cost more than they save.
    assert len(placed.starts) < 20


def test_a_brick_too_large_is_cut():
    values = np.ones((100, 40, 40), np.float32)
    placed = place_bricks(values, 0.5, BrickRule(4, 4, 2, 60))
    assert len(placed.starts) == 2 and (placed.starts[:, 1:] == placed.starts[0, 1:]).all()
    # Neighbours share the overlap.
    low, high = placed.starts[1, 0] + 4, placed.starts[0, 0] + placed.shapes[0, 0] - 4
    assert high - low == 4


def test_the_result_does_not_depend_on_the_bricks(tmp_path, rng):
    """Against cubes of one size: `sharpener` sees one voxel around each, less than the margin."""
    values = ndimage.gaussian_filter(rng.normal(size=(70, 50, 50)), 2).astype(np.float32)
    density = DensityMap(values, Grid(values.shape))
    cubes, many = enhance(density, method_with(tmp_path, 0), 0.02)
    bricks, few = enhance(density, method_with(tmp_path, 64), 0.02)
    assert few.tiles_run < many.tiles_run
    np.testing.assert_allclose(bricks.values, cubes.values, atol=1e-5)
    assert bricks.values.std() > 0.01


@pytest.mark.parametrize("largest_tile", [33, 36])
def test_cards_whose_bricks_would_be_all_margin_are_refused(tmp_path, largest_tile):
    path = save_as(
        sharpener(), tmp_path, architecture=ARCHITECTURE, margin=14, stride=4, largest_tile=largest_tile
    )
    with pytest.raises(InputError, match="card is wrong"):
        load_method(None, path, "cpu")
