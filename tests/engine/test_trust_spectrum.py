import numpy as np
import pytest

from cryomap.grid import Grid
from cryomap.trust.spectrum import Spectrum, low_pass


def frequency(spectrum):
    nz, ny, nx = spectrum.shape
    return np.stack([s for _, s in spectrum.sections(np.empty((nz, ny, nx // 2 + 1)))])


def test_transform_and_back(rng):
    grid = Grid((20, 24, 27))
    values = rng.standard_normal(grid.shape).astype(np.float32)
    spectrum = Spectrum(grid, margin=5)
    coefficients = spectrum.transform(values)
    assert np.allclose(coefficients, np.fft.rfftn(values, spectrum.shape, (0, 1, 2)), atol=1e-4)
    assert np.allclose(spectrum.values(coefficients), values, atol=1e-5)


def test_filters_multiply_coefficients(rng):
    grid = Grid((20, 24, 27))
    spectrum = Spectrum(grid, margin=0)
    values = rng.standard_normal(grid.shape).astype(np.float32)
    found = spectrum.values(spectrum.transform(values), lambda s: s, lambda s: 2 - s)
    s = frequency(spectrum)
    wanted = np.fft.irfftn(np.fft.rfftn(values) * s * (2 - s), spectrum.shape, axes=(0, 1, 2))
    assert np.allclose(found, wanted, atol=1e-5)


def test_frequencies_of_a_skewed_cell(rng):
    """|s| from the metric equals the length of the reciprocal vector of each coefficient."""
    grid = Grid((12, 10, 9), (1.0, 1.3, 0.9), cell_angles=(80.0, 95.0, 110.0))
    spectrum = Spectrum(grid, margin=0)
    nz, ny, nx = spectrum.shape
    reciprocal, found = np.linalg.inv(grid.axes), frequency(spectrum)
    for _ in range(20):
        k = rng.integers(0, nz), rng.integers(0, ny), rng.integers(0, nx // 2 + 1)
        h = np.array([np.fft.fftfreq(n)[i] for n, i in zip(spectrum.shape, k, strict=True)])[::-1]
        h[0] = abs(h[0])
        assert found[k] == pytest.approx(np.linalg.norm(h @ reciprocal), rel=1e-4, abs=1e-6)


def test_regression_recovers_a_radial_filter(rng):
    grid = Grid((48, 48, 48))
    spectrum = Spectrum(grid, margin=0)
    s = frequency(spectrum)
    given = spectrum.transform(rng.standard_normal(grid.shape).astype(np.float32))
    true = np.exp(-20 * s**2)
    noise = spectrum.transform(0.05 * rng.standard_normal(grid.shape).astype(np.float32))
    shells = spectrum.shells(given * true + noise, given)
    middle = (s > 0.05) & (s < 0.45)
    assert np.abs(shells.filter(shells.regression)(s) - true)[middle].max() < 0.05


def test_correlation_of_signal_and_signal_with_noise(rng):
    """FSC of s and s + n is sqrt(S / (S + N))."""
    grid = Grid((48, 48, 48))
    spectrum = Spectrum(grid, margin=0)
    signal = rng.standard_normal(grid.shape).astype(np.float32)
    noisy = signal + 2 * rng.standard_normal(grid.shape).astype(np.float32)
    shells = spectrum.shells(spectrum.transform(signal), spectrum.transform(noisy))
    chosen = (shells.frequency > 0.1) & (shells.frequency < 0.5)
    assert np.mean(shells.correlation[chosen]) == pytest.approx(1 / np.sqrt(5), abs=0.02)


def test_low_pass():
    s = frequency(Spectrum(Grid((40, 40, 40)), margin=0))
    factors = low_pass(4.0)(s)
    assert (factors[s <= 0.25] == 1).all()
    assert (factors[s > 0.35] < 1e-3).all()
