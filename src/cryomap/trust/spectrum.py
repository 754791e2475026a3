"""Radial filters: the one that makes a map most like another, and a low pass."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from ..grid import Grid

EDGE = 0.1  # width of a low pass's Gaussian edge, as a share of the limit


class Spectrum:
    """Fourier transforms on one grid, padded against wrap-around.

    Args:
        grid: of the maps.
        margin: zeros put behind each axis, in A.
    """

    def __init__(self, grid: Grid, margin: float) -> None:
        lengths = np.linalg.norm(grid.axes, axis=0)[::-1]
        wanted = np.array(grid.shape) + np.ceil(margin / lengths).astype(int)
        self.grid = grid
        self.shape = tuple(fft.next_fast_len(int(n), real=True) for n in wanted)
        self.frequency = _frequency(grid, self.shape)
        self.width = 1 / float(max(lengths * self.shape))
        self._shell = (self.frequency / self.width).astype(np.int32).ravel()

    def transform(self, values: np.ndarray) -> np.ndarray:
        """complex64 `rfftn` of values (z, y, x) on the grid."""
        return fft.rfftn(values.astype(np.float32, copy=False), self.shape, workers=-1)

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """float32 (z, y, x) on the grid from coefficients of `transform`."""
        whole = fft.irfftn(coefficients, self.shape, workers=-1)
        return whole[tuple(slice(n) for n in self.grid.shape)].astype(np.float32, copy=False)

    def regression(self, wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
        """The radial filter f >= 0 that minimises |wanted - f given|^2, on every coefficient.

        f = sum Re(wanted given*) / sum |given|^2 over shells one reciprocal voxel wide, smoothed over three.
        """
        cross, power = (self._sums(wanted, given), self._sums(given, given))
        curve = np.maximum(cross, 0) / np.maximum(power, 1e-12 * power.max(initial=1e-30))
        centres = (np.arange(len(curve)) + 0.5) * self.width
        return np.interp(self.frequency, centres, curve).astype(np.float32)

    def correlation(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frequency (1/A) of each shell and the Fourier shell correlation there."""
        cross, one, two = (self._sums(a, b) for a, b in ((first, second), (first, first), (second, second)))
        power = np.sqrt((one * two).clip(0))
        curve = np.divide(cross, power, out=np.zeros_like(cross), where=power > 0)
        return (np.arange(len(curve)) + 0.5) * self.width, curve

    def low_pass(self, resolution: float) -> np.ndarray:
        """Factors that fall from 1 to 0 about 1 / resolution (A)."""
        limit = 1 / resolution
        excess = np.maximum(self.frequency - limit, 0) / (EDGE * limit)
        return np.exp(-0.5 * excess**2).astype(np.float32)

    def _sums(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        product = (first.real * second.real + first.imag * second.imag).ravel()
        return ndimage.uniform_filter1d(np.bincount(self._shell, product), 3, mode="nearest")


def _frequency(grid: Grid, shape: tuple[int, int, int]) -> np.ndarray:
    """1/d in 1/A of each coefficient of an `rfftn` of `shape`, float32."""
    inverse = np.linalg.inv(grid.axes)
    z, y, x = (np.fft.fftfreq(n).astype(np.float32) for n in shape)
    x = np.abs(x[: shape[2] // 2 + 1])
    metric = inverse @ inverse.T
    squared = metric[2, 2] * z[:, None, None] ** 2 + metric[1, 1] * y[:, None] ** 2 + metric[0, 0] * x**2
    for first, second, value in (
        (x, y[:, None], metric[0, 1]),
        (x, z[:, None, None], metric[0, 2]),
        (y[:, None], z[:, None, None], metric[1, 2]),
    ):
        if value:
            squared = squared + 2 * value * first * second
    return np.sqrt(np.maximum(squared, 0)).astype(np.float32)
