"""Sharpening of the result, against what Gaussians and plane waves become by it."""

from dataclasses import replace

import numpy as np
import pytest

from cryomap.density import DensityMap
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.enhancement.sharpen import sharpened
from cryomap.grid import Grid

SHAPE = (36, 40, 45)


def gaussian(variance):
    z, y, x = np.indices(SHAPE)
    squared = (z - 18) ** 2 + (y - 20) ** 2 + (x - 22) ** 2
    return (np.exp(-squared / 2 / variance) / (2 * np.pi * variance) ** 1.5).astype(np.float32)


def test_a_gaussian_becomes_narrower_or_wider_by_the_b_factor():
    """B = 8 pi^2 times the variance that is taken away, or added below 0; the integral stays."""
    b_factor = 8 * np.pi**2 * 0.5
    np.testing.assert_allclose(sharpened(gaussian(4.0), b_factor, 0), gaussian(3.5), atol=1e-5)
    np.testing.assert_allclose(sharpened(gaussian(4.0), -b_factor, 0), gaussian(4.5), atol=1e-5)


@pytest.mark.parametrize(("d", "left"), [(12.0, 1.0), (4.0, 0.5**0.5), (3.0, 0.175), (2.25, 0.0316)])
def test_detail_fades_beyond_the_finest(d, left):
    """A Butterworth filter of order 6 leaves 1 / sqrt(1 + (finest / d)^12) of an amplitude."""
    wave = np.cos(2 * np.pi * np.arange(36) / d).astype(np.float32)
    wave = np.broadcast_to(wave[:, None, None], (36, 8, 9)).copy()
    np.testing.assert_allclose(sharpened(wave, 0, 4.0), left * wave, atol=2e-3)


def test_nothing_asked_nothing_done(rng):
    values = rng.normal(size=SHAPE).astype(np.float32)
    assert sharpened(values, 0, 0) is values
    before = values.copy()
    sharpened(values, 20, 3)
    assert np.array_equal(values, before)


def test_enhance_goes_by_the_card(sharpener_weights):
    """The same network's result, sharpened before anything is cut or scaled."""
    method = load_method(None, sharpener_weights, "cpu")
    density = DensityMap(gaussian(9.0) + np.float32(1e-6), Grid(SHAPE))
    plain = enhance(density, method, resolution=6)[0].values
    wanted = np.maximum(sharpened(plain, 60, 4), 0)
    card = replace(method.card, sharpen=60, low_pass=4)
    result = enhance(density, replace(method, card=card), resolution=6)[0].values
    np.testing.assert_allclose(result, wanted / wanted.max(), atol=2e-3)
    assert np.abs(result - plain).max() > 0.02
