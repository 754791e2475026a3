"""Normalisations against the papers' formulas written out, and numpy against torch."""

import numpy as np
import pytest
import torch

from cryomap.enhancement.moments import moments
from cryomap.enhancement.normalize import NORMALIZATIONS, contour, cryosamu, superem

CASES = [(superem, {}), (contour, {"level": 0.4}), (cryosamu, {}), (cryosamu, {"percentile": 90.0})]


@pytest.fixture
def values(rng):
    values = rng.normal(size=(11, 12, 13)).astype(np.float32)
    values[:4] = 0
    return values


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_torch_and_numpy_agree(values, function, arguments):
    from_torch = function(torch.from_numpy(values), **arguments)
    assert isinstance(from_torch, torch.Tensor)
    np.testing.assert_array_equal(from_torch.numpy(), function(values, **arguments))


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_the_input_stays_and_the_result_is_float32_within_0_and_1(values, function, arguments):
    before = values.copy()
    result = function(values, **arguments)
    np.testing.assert_array_equal(values, before)
    assert result.dtype == np.float32 and result.shape == values.shape
    assert result.min() == 0 and result.max() == 1


def test_superem_sets_negatives_to_0_and_the_maximum_to_1(values):
    np.testing.assert_allclose(superem(values), np.where(values > 0, values, 0) / values.max(), rtol=1e-6)


def test_superem_subtracts_the_minimum_of_a_map_above_0():
    np.testing.assert_allclose(superem(np.array([2.0, 3.0, 6.0])), [0, 0.25, 1])


def test_contour_follows_the_released_program(values):
    top = values.max()
    expected = np.where(values > 0.4, (values - 0.4) / (top - 0.4), 0)
    np.testing.assert_allclose(contour(values, 0.4), expected, rtol=1e-5)


def test_cryosamu_divides_by_the_percentile_of_the_non_zero_voxels():
    values = np.concatenate([np.zeros(500), np.arange(1.0, 1001.0)])  # the 99.9th percentile is 999
    np.testing.assert_allclose(cryosamu(values), np.minimum(values / 999, 1))


def test_cryosamu_does_not_depend_on_the_amount_of_masked_solvent(values):
    padded = np.pad(values, 20)
    np.testing.assert_array_equal(cryosamu(padded)[20:-20, 20:-20, 20:-20], cryosamu(values))


@pytest.mark.parametrize(("function", "arguments"), CASES)
@pytest.mark.parametrize("fill", [0.0, -1.0])
def test_nothing_to_scale_by(function, arguments, fill):
    with pytest.raises(ValueError, match="above"):
        function(np.full((4, 4, 4), fill, np.float32), **arguments)


def test_moments_by_their_definition(values):
    positive = values[values > 0].astype(float)
    scale = np.sqrt((positive**6).sum() / (positive**4).sum())
    expected = np.clip(values / scale, -0.5, 2)
    np.testing.assert_allclose(moments(values), expected, atol=1e-6)
    np.testing.assert_allclose(moments(torch.from_numpy(values)).numpy(), expected, atol=1e-6)


def test_moments_do_not_depend_on_the_amount_of_solvent_nor_on_the_scale(values):
    np.testing.assert_allclose(moments(7 * np.pad(values, 9))[9:-9, 9:-9, 9:-9], moments(values), atol=1e-6)


def test_moments_need_positive_density():
    with pytest.raises(ValueError, match="positive"):
        moments(np.zeros((4, 4, 4), np.float32))


def test_every_function_has_the_name_that_cards_use():
    assert all(function.__name__ == name for name, function in NORMALIZATIONS.items())
