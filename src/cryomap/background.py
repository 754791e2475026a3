"""A map's mean and deviation, and its value where there is no molecule: the peak of its histogram, or a mask's."""

from __future__ import annotations

import numpy as np

MASKED_SHARE = 0.1  # of the voxels having one and the same value: the solvent was masked away


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Of a map (z, y, x), section by section: numpy's std() copies the whole in float64."""
    mean = values.mean(dtype=np.float64)
    squares = sum(float(((section - mean) ** 2).sum()) for section in values)
    return float(mean), float(np.sqrt(squares / values.size))


def sorted_sample(values: np.ndarray, least: int = 2_000_000) -> np.ndarray:
    """So many voxels of a map or up to twice as many, about evenly spread, sorted (n,); all of a smaller map."""
    return np.sort(values.ravel()[:: max(1, values.size // least)])


def masked_value(ordered: np.ndarray, within: float = 0.0) -> float | None:
    """The value that more than a tenth of the sorted values have or are within so much of; None if there is none."""
    least = int(MASKED_SHARE * ordered.size)
    # Few values begin so long a run, and of equal ones the first begins the longest.
    first = np.flatnonzero(ordered[least:] <= ordered[: ordered.size - least] + within)
    first = first[(first == 0) | (ordered[first - 1] != ordered[first])]
    if not first.size:
        return None
    counts = np.searchsorted(ordered, ordered[first] + within, side="right") - first
    longest = int(counts.argmax())
    return float(ordered[first[longest] + counts[longest] // 2])


def half_sample_mode(ordered: np.ndarray, fewest: int = 1000) -> float:
    """The mode of sorted values (Bickel & Fruehwirth 2006): the densest half, and again, down to so many of them."""
    while ordered.size > fewest:
        half = ordered.size // 2
        start = int(np.argmin(ordered[half:] - ordered[: ordered.size - half]))
        ordered = ordered[start : start + half + 1]
    return float(np.median(ordered))
