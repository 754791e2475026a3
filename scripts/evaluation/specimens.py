"""Averages over specimens, and how sure they are: maps of one thing are not independent of one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
COVERED = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over specimens and the range that holds `COVERED` of the bootstrap's means."""

    mean: float
    low: float
    high: float
    specimens: int


def specimen_means(values: Sequence[float], specimens: Sequence[str]) -> np.ndarray:
    """The mean of each specimen's values, specimens in order of appearance."""
    names = list(dict.fromkeys(specimens))
    values, which = np.asarray(values, float), np.array([names.index(s) for s in specimens])
    return np.array([values[which == i].mean() for i in range(len(names))])


def bootstrap(gains: Sequence[float], specimens: Sequence[str], seed: int = 0) -> Interval:
    """The mean of paired gains and its percentile interval, drawing specimens anew (Efron 1979).

    Args:
        gains: one a map: of the same map, after minus before.
        specimens: of each map.
        seed: of the draws.
    """
    means = specimen_means(gains, specimens)
    drawn = np.random.default_rng(seed).integers(len(means), size=(DRAWS, len(means)))
    tail = 50 * (1 - COVERED)
    low, high = np.percentile(means[drawn].mean(axis=1), (tail, 100 - tail))
    return Interval(float(means.mean()), float(low), float(high), len(means))
