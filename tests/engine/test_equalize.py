"""The equalised spectrum: of maps that differ in B factor and filter alone it makes one, and that of a protein."""

import numpy as np
import pytest
import torch

from cryomap.enhancement.equalize import FIRST, PROTEIN, SHELL, equalized


def frequency(shape):
    z, y, x = (np.fft.fftfreq(n) for n in shape)
    return np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)


def filtered(values, factors):
    return np.fft.ifftn(np.fft.fftn(values) * factors).real.astype(np.float32)


@pytest.fixture
def values(rng):
    """White noise smoothed as atoms are, in a box that is no cube."""
    shape = (56, 60, 64)
    return filtered(rng.normal(size=shape), np.exp(-30 * frequency(shape) ** 2))


def test_amplitudes_are_those_of_a_protein(values):
    result = equalized(values, 40, -np.inf, np.inf)
    radius = frequency(values.shape)
    power = np.abs(np.fft.fftn(result)) ** 2
    shells = [np.sqrt(power[np.abs(radius / SHELL - i) < 0.5].mean()) for i in range(FIRST, FIRST + 8)]
    shells /= np.mean(shells[:2])
    np.testing.assert_allclose(shells, np.array(PROTEIN[:8]) / np.mean(PROTEIN[:2]), rtol=0.1)


def test_b_factor_and_filter_are_undone(values):
    radius = frequency(values.shape)
    blurred = filtered(values, np.exp(-60 / 4 * radius**2) * (1 + 0.3 * np.cos(10 * radius)))
    assert np.corrcoef(blurred.ravel(), values.ravel())[0, 1] < 0.95
    assert np.corrcoef(equalized(blurred).ravel(), equalized(values).ravel())[0, 1] > 0.99


def test_what_a_low_pass_took_away_stays_away(values):
    radius = frequency(values.shape)
    result = equalized(filtered(values, radius < 0.2), 40, -np.inf, np.inf)
    power = np.abs(np.fft.fftn(result)) ** 2
    assert power[radius > 0.25].sum() < 1e-6 * power.sum()


def test_low_resolution_is_left_alone(values):
    before, after = (np.fft.fftn(v) for v in (values, equalized(values, 40, -np.inf, np.inf)))
    ratio = (after / before)[(frequency(values.shape) < 0.05)]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_scale_does_not_matter_and_torch_agrees(values):
    result = equalized(values)
    np.testing.assert_allclose(equalized(1000 * values), result, atol=1e-4)
    np.testing.assert_allclose(equalized(torch.from_numpy(values)).numpy(), result, atol=1e-6)
    assert result.dtype == np.float32 and result.min() >= -1 and result.max() <= 2


def test_no_density_is_refused():
    with pytest.raises(ValueError, match="positive"):
        equalized(np.zeros((8, 8, 8), np.float32))


def test_no_gain_is_larger_than_asked(values):
    before, after = (np.abs(np.fft.fftn(v)) for v in (values, equalized(values, 3, -np.inf, np.inf)))
    radius = frequency(values.shape)
    gain = after / before
    gain /= gain[radius < 0.05].mean()
    assert gain[radius < 0.5].max() < 3.05 and gain[(radius > 0.35) & (radius < 0.5)].mean() > 2.9
