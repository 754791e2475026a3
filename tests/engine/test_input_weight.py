"""The input's share in a result, against what least squares by hand gives."""

from dataclasses import replace

import numpy as np
import pytest

from cryomap.density import DensityMap
from cryomap.enhancement.input_weight import with_input
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid

GRID = Grid((24, 24, 24))


def blob(at, height=1.0, width=2.0):
    z, y, x = np.indices(GRID.shape)
    squared = sum((axis - c) ** 2 for axis, c in zip((z, y, x), at, strict=True))
    return (height * np.exp(-squared / 2 / width**2)).astype(np.float32)


def test_density_that_the_network_dropped_leaves_its_share():
    """The blob both have sets the scale: what stands half as high in the input comes back at share / 2."""
    kept, dropped = blob((8, 8, 8)), blob((16, 16, 16), 0.5)
    result = DensityMap(kept, GRID)
    density = DensityMap(40 * (kept + dropped) + 7, GRID)
    mixed = with_input(result, density, 0.2)
    assert mixed.values[16, 16, 16] == pytest.approx(0.2 * 0.5, abs=2e-3)
    assert mixed.values[8, 8, 8] == pytest.approx(1, abs=2e-3)
    assert result.values[16, 16, 16] < 1e-4  # unchanged


def test_background_and_artefacts_stay_out():
    kept = blob((8, 8, 8))
    spike = np.zeros(GRID.shape, np.float32)
    spike[20, 20, 20] = 1000
    mixed = with_input(DensityMap(kept, GRID), DensityMap(kept - 3 + spike, GRID), 0.2)
    assert mixed.values[20, 20, 20] == pytest.approx(0.2, abs=1e-3)
    assert mixed.values[23, 0, 23] == pytest.approx(0, abs=1e-3)
    assert mixed.values.max() <= 1


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_nothing_comes_of_nothing(share):
    empty = DensityMap(np.zeros(GRID.shape, np.float32), GRID)
    assert not with_input(empty, DensityMap(blob((8, 8, 8)), GRID), share).values.any()
    assert with_input(DensityMap(blob((8, 8, 8)), GRID), empty, share).values.max() == pytest.approx(1)


def test_another_grid_is_no_matter():
    fine = Grid((48, 48, 48), (0.5, 0.5, 0.5))
    result = DensityMap(np.zeros(fine.shape, np.float32), fine)
    result.values[16, 16, 16] = 1
    density = DensityMap(blob((8, 8, 8)) + blob((16, 16, 16)), GRID)
    assert with_input(result, density, 0.2).values[32, 32, 32] == pytest.approx(0.2, abs=5e-3)


def test_enhance_goes_by_the_card(sharpener_weights):
    method = load_method(None, sharpener_weights, "cpu")
    random = np.random.default_rng(0).normal(0, 0.02, (32, 32, 32)).astype(np.float32)
    random[8:24, 8:24, 8:24] += 1
    density = DensityMap(random, Grid(random.shape))
    plain = enhance(density, method, resolution=6)[0]
    card = replace(method.card, input_weight=0.3)
    mixed = enhance(density, replace(method, card=card), resolution=6)[0]
    assert np.array_equal(mixed.values, with_input(plain, density, 0.3).values)
    assert not np.array_equal(mixed.values, plain.values)


def test_a_mask_keeps_the_input_out_too(sharpener_weights):
    """Most of the map lies below 0, so that what the mask made 0 is above the background."""
    method = load_method(None, sharpener_weights, "cpu")
    method = replace(method, card=replace(method.card, input_weight=0.3))
    values = np.full((32, 32, 32), -0.2, np.float32)
    values += np.random.default_rng(0).normal(0, 0.02, values.shape).astype(np.float32)
    values[8:16, 8:16, 8:16] += 1.2
    mask = np.ones(values.shape, np.float32)
    mask[24:] = 0
    grid = Grid(values.shape)
    result = enhance(DensityMap(values, grid), method, 0.5, DensityMap(mask, grid))[0]
    assert result.values[10, 10, 10] > 0.3 and not result.values[25:].any()
