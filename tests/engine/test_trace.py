"""C alphas as peaks: of maps whose peaks are known."""

import numpy as np
import pytest
from conftest import blobs
from made_models import model_at

from cryomap.atoms import Residue
from cryomap.density import DensityMap
from cryomap.grid import Grid
from evaluation.trace import c_alpha_peaks

GRID = Grid((40, 44, 48), (1.0,) * 3, (5.0, -3.0, 2.0))


@pytest.fixture
def places(rng):
    """Points at least 5 A apart, off the voxels, well inside."""
    found = []
    while len(found) < 30:
        point = rng.uniform((12, 4, 9), (45, 34, 34))
        if all(np.linalg.norm(point - other) > 5 for other in found):
            found.append(point)
    return np.array(found)


def test_peaks_on_all_c_alphas(places):
    found = c_alpha_peaks(blobs(GRID, places, 1.2), model_at(places))
    assert (found.recall, found.precision, found.peaks) == (1.0, 1.0, 30)


def test_peaks_elsewhere_and_c_alphas_without(places):
    """20 of 25 peaks are C alphas, 20 of 25 C alphas are peaks."""
    found = c_alpha_peaks(blobs(GRID, places[:25], 1.2), model_at(places[5:]))
    assert (found.recall, found.precision) == (pytest.approx(20 / 25), pytest.approx(20 / found.peaks))


def test_a_peak_stands_for_one_c_alpha_alone():
    pair = np.array([[25.0, 18.0, 22.0], [25.0, 18.0, 23.0]])
    found = c_alpha_peaks(blobs(GRID, pair.mean(axis=0)[None], 1.5), model_at(pair))
    assert (found.recall, found.precision, found.peaks) == (0.5, 1.0, 1)


def test_peaks_are_placed_between_voxels(places):
    """Half a voxel of error would leave some of them out at that distance."""
    shifted = places + np.array([0.9, 0.9, 0.7])  # 1.45 A
    assert c_alpha_peaks(blobs(GRID, places, 1.2), model_at(shifted)).recall == 1.0
    assert c_alpha_peaks(blobs(GRID, places, 1.2), model_at(places + np.array([1.0, 1.0, 0.8]))).recall == 0.0


def test_far_density_is_a_neighbours(places):
    far = np.array([[8.0, 0.0, 5.0]])
    near = places[np.linalg.norm(places - far, axis=1) > 12]
    found = c_alpha_peaks(blobs(GRID, np.concatenate([near, far]), 1.2), model_at(near))
    assert found.precision == 1.0 and found.peaks == len(near)


def test_nothing_to_find():
    empty = DensityMap(np.zeros(GRID.shape, np.float32), GRID)
    model = model_at([[25.0, 18.0, 22.0]])
    assert c_alpha_peaks(empty, model).recall == 0.0
    water = model_at([[25.0, 18.0, 22.0]], names="O", residues=[Residue("A", 1, "", "HOH", "water")])
    assert c_alpha_peaks(blobs(GRID, water.positions, 1.0), water).recall is None
