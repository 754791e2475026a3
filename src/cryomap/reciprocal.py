"""The reciprocal lattice of a map's box, in the half-space layout of a real-to-complex FFT."""

from __future__ import annotations

import numpy as np

from .grid import Grid, three_ints


def largest_indices(grid: Grid, d_min: float = 0.0) -> tuple[int, int, int]:
    """Largest Miller index (z, y, x) that the grid carries, and that may lie at `d_min` A or beyond it.

    An axis of N voxels carries |h| <= (N - 1) // 2 (the Nyquist term of an even axis is left out), as
    `cctbx.miller.structure_factor_box_from_map` has it.
    """
    carried = [(n - 1) // 2 for n in grid.shape]
    if d_min <= 0:
        return three_ints(carried)
    lengths = np.linalg.norm(grid.axes, axis=0)[::-1] * grid.shape
    return three_ints(min(n, length / d_min) for n, length in zip(carried, lengths, strict=True))


def inverse_d_squared(grid: Grid, limits: tuple[int, int, int]) -> np.ndarray:
    """1 / d^2 in 1/A^2 of the reflections of the grid's box, which is taken as a P1 cell.

    Args:
        grid: the box.
        limits: largest index (z, y, x).

    Returns:
        float64 (2 lz + 1, 2 ly + 1, lx + 1): l and k run from -limit to limit, h from 0.
    """
    cell = grid.axes * np.array(grid.size)
    metric = np.linalg.inv(cell) @ np.linalg.inv(cell).T
    lz, ly, lx = limits
    el = np.arange(-lz, lz + 1.0)[:, None, None]
    k = np.arange(-ly, ly + 1.0)[None, :, None]
    h = np.arange(0, lx + 1.0)[None, None, :]
    squared = metric[2, 2] * el * el + metric[1, 1] * k * k + metric[0, 0] * h * h
    for first, second, value in ((h, k, metric[0, 1]), (h, el, metric[0, 2]), (k, el, metric[1, 2])):
        if value:
            squared = squared + 2 * value * first * second
    return squared


def fft_positions(limits: tuple[int, int, int], shape: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    """Where the reflections of `inverse_d_squared` stand in `rfftn` of an array of `shape`, for indexing."""
    lz, ly, lx = limits
    return np.ix_(np.arange(-lz, lz + 1) % shape[0], np.arange(-ly, ly + 1) % shape[1], np.arange(0, lx + 1))
