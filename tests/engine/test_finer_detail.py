"""Detail that a network doesn't draw is the input's; where there is none, nothing changes."""

import numpy as np
import pytest
from scipy import ndimage
from trust_maps import chain, density

from cryomap.density import DensityMap
from cryomap.enhancement.finer_detail import draws, with_finer_detail
from cryomap.grid import Grid
from cryomap.trust.spectrum import Spectrum

FINEST = 2.8
GRID = Grid((96,) * 3, (0.6,) * 3)


@pytest.fixture
def atoms(rng):
    return chain(rng)


def noisy(rng, atoms, sigma, blur=0.0):
    signal = density(atoms, sigma, GRID)
    noise = ndimage.gaussian_filter(rng.standard_normal(GRID.shape), blur / 0.6)
    return DensityMap((signal + 0.02 * signal.max() * noise / noise.std()).astype(np.float32), GRID, "input")


def drawn(atoms):
    """What a network gives that draws nothing finer than FINEST."""
    spectrum = Spectrum(GRID, 12.0)
    sharp = spectrum.transform(density(atoms, 0.5, GRID))
    values = spectrum.values(sharp, lambda s: 1 / np.sqrt(1 + (FINEST * s) ** 12)).clip(0)
    return DensityMap((values / values.max()).astype(np.float32), GRID, "result")


def agreement(density_map, atoms, finer_than):
    spectrum = Spectrum(GRID, 12.0)
    shells = spectrum.shells(
        spectrum.transform(density(atoms, 0.5, GRID)), spectrum.transform(density_map.values)
    )
    return shells.correlation[(shells.frequency > 1 / finer_than) & (shells.frequency < 1 / 1.8)].mean()


@pytest.mark.parametrize("resolution", [1.8, None])
def test_a_fine_map_gives_its_detail(rng, atoms, resolution):
    before, result = noisy(rng, atoms, 0.5), drawn(atoms)
    finer = with_finer_detail(result, before, FINEST, resolution)
    assert agreement(finer, atoms, 2.4) > 0.95
    spectrum = Spectrum(GRID, 12.0)
    shells = spectrum.shells(*(spectrum.transform(m.values) for m in (result, finer)))
    fine = (shells.frequency > 1 / 2.4) & (shells.frequency < 1 / 1.8)
    assert shells.second[fine].sum() > 1.5**2 * shells.first[fine].sum()
    assert finer.values.min() >= 0 and finer.values.max() <= 1 and finer.grid == GRID


def test_solvent_stays_as_empty_as_the_result_left_it(rng, atoms):
    finer = with_finer_detail(drawn(atoms), noisy(rng, atoms, 0.5), FINEST, 1.8)
    assert np.abs(finer.values[:8, :8, :8]).max() < 0.02


def test_what_is_lost_of_a_peak_comes_back_no_larger_than_the_input_has_it(rng, atoms):
    lone = np.array([[28.0, 28.0, 46.0]])
    before = noisy(rng, np.concatenate([atoms, lone]), 0.5)
    finer = with_finer_detail(drawn(atoms), before, FINEST, 1.8)
    at = tuple(np.rint(GRID.to_indices(lone[0])[::-1]).astype(int))
    near = tuple(slice(i - 2, i + 3) for i in at)
    assert 0.1 < finer.values[near].max() < 1


@pytest.mark.parametrize("resolution", [2.8, 3.0, 4.5])
def test_a_map_no_finer_than_the_network_keeps_its_voxels_exactly(rng, atoms, resolution):
    result = drawn(atoms)
    assert with_finer_detail(result, noisy(rng, atoms, 0.5), FINEST, resolution) is result


def test_a_map_of_unknown_resolution_that_is_noise_there_keeps_its_voxels(rng, atoms):
    result = drawn(atoms)
    assert with_finer_detail(result, noisy(rng, atoms, 1.6, 0.3), FINEST) is result


def test_what_weights_draw():
    assert draws(2.8, (2.6, 6)) == 2.8 and draws(0, (3.8, 8.2)) == 3.8


def test_weights_that_draw_whatever_the_grid_holds_need_none(rng, atoms):
    result = drawn(atoms)
    assert with_finer_detail(result, noisy(rng, atoms, 0.5), 0.3, 0.2) is result
