import numpy as np
import pytest
from scipy import ndimage

from cryomap.trust.noise import find_solvent, noise_level, significance


def coloured(rng, shape=(64, 64, 64), sigma=1.5):
    """Smooth noise of variance 1."""
    values = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return values / values.std()


def with_density(rng, noise=0.2, background=0.5):
    values = background + noise * coloured(rng)
    ball = np.linalg.norm(np.indices(values.shape) - 32.0, axis=0) < 14
    values[ball] += 2.0
    return values.astype(np.float32), ~ball, ball


def test_background_and_noise_of_an_unmasked_map(rng):
    values, shell, _ = with_density(rng)
    solvent = find_solvent(values)
    assert not solvent.masked
    assert solvent.background == pytest.approx(0.5, abs=0.05)
    assert noise_level(values - 0.5, shell) == pytest.approx(0.2, rel=0.1)


def test_density_in_the_shell_does_not_count_as_noise(rng):
    values, shell, ball = with_density(rng)
    assert noise_level(values - 0.5, shell | ball) == pytest.approx(0.2, rel=0.1)


def test_zone_masked_map(rng):
    values, _, ball = with_density(rng, background=0.0)
    zone = ndimage.binary_dilation(ball, iterations=4)
    values[~zone] = 0
    solvent = find_solvent(values)
    assert solvent.masked and solvent.background == 0
    assert (solvent.inside == zone).mean() > 0.999
    assert noise_level(values, zone & ~ball) == pytest.approx(0.2, rel=0.15)


def test_a_masked_map_that_was_filtered_since(rng):
    values, _, ball = with_density(rng, background=0.0)
    zone = ndimage.binary_dilation(ball, iterations=4)
    values[~zone] = 0
    solvent = find_solvent(values + np.float32(1e-5) * rng.standard_normal(values.shape).astype(np.float32))
    assert solvent.masked and abs(solvent.background) < 1e-5
    assert (solvent.inside == zone).mean() > 0.999


def test_significance_is_the_rate_at_which_noise_exceeds_it(rng):
    """Excursions of Gaussian noise, counted, against the expected Euler characteristic."""
    sigma, trials, shape = 2.0, 60, (48, 48, 48)
    width = sigma * 2 * np.sqrt(2 * np.log(2))  # of the kernel that smooths the white noise
    cut = significance(float(np.prod(shape)), width, expected=1.0)
    found = 0
    for _ in range(trials):
        found += ndimage.label(coloured(rng, shape, sigma) > cut)[1]
    assert 0.6 < found / trials < 1.5


def test_more_volume_asks_for_more():
    assert significance(1e6, 3.0) > significance(1e4, 3.0) > 3
