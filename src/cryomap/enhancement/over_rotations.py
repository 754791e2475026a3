"""Test-time rotations: run a network on a tile in several orientations; what it makes of one alone is partly chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]

# Half turns about z, y and x: with none at all they form a group, and none needs interpolation.
PLANES = ((2, 3), (1, 3), (1, 2))


def over_rotations(predict: Predict, count: int) -> Predict:
    """A function that gives the mean of `predict` on the tiles as they are and after half turns, turned back.

    Args:
        predict: from (n, tile, tile, tile) float32 to the same shape.
        count: 1 (`predict` itself), 2 (also turned about z), 3 (and y) or 4 (and x).
    """
    if count == 1:
        return predict

    def mean(tiles: np.ndarray) -> np.ndarray:
        total = predict(tiles).copy()
        for plane in PLANES[: count - 1]:
            total += np.rot90(predict(np.ascontiguousarray(np.rot90(tiles, 2, plane))), 2, plane)
        return total / np.float32(count)

    return mean
