"""Radial filters: the one that makes a map most like another, and a low pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from ..grid import Grid

EDGE = 0.1  # width of a low pass's Gaussian edge, as a share of the limit
SECTIONS = 16  # transformed at a time: of a large map every whole array counts

Filter = Callable[[np.ndarray], np.ndarray]
"""From 1/d (1/A) to factors, of the same shape."""


@dataclass(frozen=True)
class Shells:
    """Two maps' coefficients compared, shell by shell of reciprocal space, smoothed over three.

    Attributes:
        frequency: 1/d (1/A) of each shell's middle (n,).
        cross: sum of Re(first second*) (n,).
        first, second: sums of their squares (n,).
    """

    frequency: np.ndarray
    cross: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def correlation(self) -> np.ndarray:
        """The Fourier shell correlation (n,)."""
        power = np.sqrt((self.first * self.second).clip(0))
        return np.divide(self.cross, power, out=np.zeros_like(power), where=power > 0)

    @property
    def regression(self) -> np.ndarray:
        """The radial filter f >= 0 (n,) that minimises |first - f second|^2."""
        least = 1e-12 * self.second.max(initial=1e-30)
        return np.maximum(self.cross, 0) / np.maximum(self.second, least)

    def filter(self, curve: np.ndarray) -> Filter:
        """A curve over the shells (n,), with straight lines between them."""
        return lambda frequency: np.interp(frequency, self.frequency, curve).astype(np.float32)


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
        self.width = 1 / float(max(lengths * self.shape))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """complex64 `rfftn` of values (z, y, x) on the grid."""
        depth, height, width = self.shape
        whole = np.zeros((depth, height, width // 2 + 1), np.complex64)
        for start in range(0, len(values), SECTIONS):
            some = values[start : start + SECTIONS].astype(np.float32, copy=False)
            rows = fft.rfft(some, width, workers=-1)
            whole[start : start + len(some)] = fft.fft(rows, height, axis=1, workers=-1)
        return fft.fft(whole, axis=0, overwrite_x=True, workers=-1)

    def values(self, coefficients: np.ndarray, *filters: Filter) -> np.ndarray:
        """float32 (z, y, x) on the grid from filtered coefficients of `transform`, which are used up."""
        z, y, x = self.grid.shape
        for part, frequency in self.sections(coefficients) if filters else ():
            for one in filters:
                part *= one(frequency)
        whole = fft.ifft(coefficients, axis=0, overwrite_x=True, workers=-1)
        found = np.empty(self.grid.shape, np.float32)
        for start in range(0, z, SECTIONS):
            rows = fft.ifft(whole[start : min(z, start + SECTIONS)], axis=1, workers=-1)[:, :y]
            found[start : start + SECTIONS] = fft.irfft(rows, self.shape[2], workers=-1)[..., :x]
        return found

    def shells(self, first: np.ndarray, second: np.ndarray) -> Shells:
        """Compare coefficients in shells one reciprocal voxel wide."""
        farthest = max(
            np.linalg.norm(np.array(corner) @ np.linalg.inv(self.grid.axes))
            for corner in itertools.product((-0.5, 0.5), repeat=3)
        )
        count = int(farthest / self.width) + 2
        sums = np.zeros((3, count))
        for z, (a, frequency) in enumerate(self.sections(first)):
            shell, b = (frequency / self.width).astype(np.int32).ravel(), second[z]
            for total, (one, two) in zip(sums, ((a, b), (a, a), (b, b)), strict=True):
                product = (one.real * two.real + one.imag * two.imag).ravel()
                total += np.bincount(shell, product, count)
        smooth = ndimage.uniform_filter1d(sums, 3, axis=1, mode="nearest")
        return Shells((np.arange(count) + 0.5) * self.width, *smooth)

    def sections(self, coefficients: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each section (y, x) of coefficients, a view, with 1/d in 1/A of each, float32."""
        inverse = np.linalg.inv(self.grid.axes)
        z, y, x = (np.fft.fftfreq(n).astype(np.float32) for n in self.shape)
        y, x = y[:, None], np.abs(x[: self.shape[2] // 2 + 1])
        metric = inverse @ inverse.T  # in double precision: many coefficients lie exactly between two shells
        across = metric[1, 1] * y**2 + metric[0, 0] * x**2 + 2 * metric[0, 1] * x * y
        for section, h in zip(coefficients, z, strict=True):
            along = metric[2, 2] * h**2 + 2 * h * (metric[0, 2] * x + metric[1, 2] * y)
            yield section, np.sqrt(np.maximum(across + along, 0)).astype(np.float32)


def low_pass(resolution: float) -> Filter:
    """Factors that fall from 1 to 0 about 1 / resolution (A)."""
    limit = np.float32(1 / resolution)

    def factors(frequency: np.ndarray) -> np.ndarray:
        excess = np.maximum(frequency - limit, 0) / (np.float32(EDGE) * limit)
        return np.exp(np.float32(-0.5) * excess**2)

    return factors
