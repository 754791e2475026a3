"""The benchmark's truth: what a result made on purpose keeps is what it is said to keep."""

import numpy as np
import pytest
from made_models import model_at

from cryomap.density import DensityMap
from cryomap.enhancement.sharpen import sharpened
from cryomap.grid import Grid
from trust_benchmark.complexes import Complex, signal_of, target_of
from trust_benchmark.truth import kept_shares

SHAPE = (36, 36, 36)
IODIDE = 27  # its index: last after a lattice of carbons


@pytest.fixture
def complex_():
    lattice = 10 + 3.0 * np.argwhere(np.ones((3, 3, 3)))
    positions = np.vstack([lattice, [[22.0, 13.0, 13.0]]])
    numbers = np.array([6] * IODIDE + [53])
    model = model_at(positions, z=numbers)
    half = np.ones((36, 36, 19), np.float32)
    empty = DensityMap(np.zeros(SHAPE, np.float32), Grid(SHAPE))
    made = Complex(model, SHAPE, np.full(len(model), 60.0, np.float32), half, 3.5, empty, None, "made")
    empty.values[...] = signal_of(made, np.ones(len(model), bool))
    return made


@pytest.mark.parametrize("share", [1.0, 0.3, 0.0])
def test_a_heavy_ion_is_held_against_what_a_result_can_show(complex_, share):
    """A result ends at 1, which the iodide alone would pass twofold: at 1 it is whole."""
    everything = np.ones(len(complex_.model), bool)
    ion = ~everything
    ion[IODIDE] = True
    alone = target_of(complex_, ion).clip(max=1)
    result = (target_of(complex_, everything) - target_of(complex_, ion) + share * alone).clip(0, 1)
    assert target_of(complex_, ion).max() > 1.5
    kept = kept_shares(complex_, DensityMap(result, Grid(SHAPE)), [np.array([IODIDE])])
    assert kept[0] == pytest.approx(share, abs=0.1)
    sharp = DensityMap(sharpened(result, 25, 3.0), Grid(SHAPE))
    same = kept_shares(complex_, sharp, [np.array([IODIDE])], 25, 3.0)
    assert same[0] == pytest.approx(kept[0], abs=0.01)
