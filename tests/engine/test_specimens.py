"""Means over specimens and their bootstrap, against what statistics says."""

import numpy as np
import pytest

from evaluation.specimens import bootstrap, specimen_means


def test_maps_of_one_specimen_count_once():
    means = specimen_means([1.0, 2.0, 6.0, 3.0], ["a", "b", "a", "c"])
    assert means.tolist() == [3.5, 2.0, 3.0]
    assert bootstrap([1.0, 2.0, 6.0, 3.0], ["a", "b", "a", "c"]).mean == pytest.approx(8.5 / 3)


def test_the_interval_is_that_of_the_means_standard_error(rng):
    """200 independent gains: the percentile interval is the normal one, 1.96 standard errors either way."""
    gains = rng.normal(0.03, 0.1, 200)
    found = bootstrap(gains, [str(i) for i in range(200)])
    error = gains.std() / np.sqrt(200)
    assert found.low == pytest.approx(gains.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(gains.mean() + 1.96 * error, abs=0.1 * error)
    assert found.specimens == 200


def test_many_maps_of_few_specimens_are_no_surer_than_these(rng):
    """Ten specimens seen ten times each alike: as wide as ten maps, not as a hundred."""
    gains = rng.normal(0, 1, 10)
    once = bootstrap(gains, [str(i) for i in range(10)])
    often = bootstrap(np.repeat(gains, 10), [str(i // 10) for i in range(100)])
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_one_specimen_has_no_spread():
    found = bootstrap([0.1, 0.3], ["a", "a"])
    assert found.low == found.high == pytest.approx(0.2) == found.mean
