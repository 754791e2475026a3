"""Where the voxels of a map are: shape, step, origin, skew and rotation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

STRETCH = 0.005  # of a step: less than what a microscope's magnification is off
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Grid:
    """A regular, possibly skewed and rotated, grid of points.

    The point with indices (i, j, k) along x, y, z lies at `origin + axes @ (i, j, k)`. These are the
    quantities of a ChimeraX `GridData`, so both sides speak of one frame.

    Attributes:
        shape: number of voxels (z, y, x), the order of a numpy array.
        step: voxel size (x, y, z) in A.
        origin: position (x, y, z) in A of voxel (0, 0, 0).
        cell_angles: alpha, beta, gamma in degrees, each between two grid axes.
        rotation: rows of the 3 x 3 matrix that turns the (unskewed) axes into the frame of `origin`.
    """

    shape: tuple[int, int, int]
    step: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cell_angles: tuple[float, float, float] = (90.0, 90.0, 90.0)
    rotation: tuple[tuple[float, float, float], ...] = IDENTITY

    def __str__(self) -> str:
        """How large it is, for messages: 40 x 40 x 36 voxels."""
        return f"{' x '.join(map(str, self.size))} voxels"

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels (x, y, z)."""
        return self.shape[::-1]

    @property
    def axes(self) -> np.ndarray:
        """3 x 3 matrix in A whose columns are one step along x, y and z."""
        return np.array(self.rotation) @ skew_matrix(self.cell_angles) @ np.diag(self.step)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in A^3."""
        return float(abs(np.linalg.det(self.axes)))

    @property
    def center(self) -> np.ndarray:
        """Position (x, y, z) in A of the middle of the grid points."""
        return self.to_xyz((np.array(self.size) - 1) / 2)

    def to_xyz(self, indices: np.ndarray) -> np.ndarray:
        """Positions in A of fractional indices, both (..., 3) in x, y, z order."""
        return np.asarray(indices, float) @ self.axes.T + np.array(self.origin)

    def to_indices(self, positions: np.ndarray) -> np.ndarray:
        """Fractional indices of positions in A, both (..., 3) in x, y, z order."""
        return (np.asarray(positions, float) - np.array(self.origin)) @ np.linalg.inv(self.axes).T

    def cubic(self, step: float = 1.0) -> Grid:
        """The orthogonal grid of equal `step` (A) that covers the same box, in the same rotated frame.

        Its origin is a whole number of steps, so that NSTART can say it. Far from 0 it's the box's corner, and the
        step of an axis differs from `step` by STRETCH of it at most; else it lies up to a step before the corner.
        It's the corner itself of a rotated grid, which NSTART can't place, and where the steps stay the same:
        there every voxel keeps its value.
        """
        frame = skew_matrix(self.cell_angles) @ np.diag(self.step)
        corners = np.indices((2, 2, 2)).reshape(3, 8).T * (np.array(self.size) - 1)
        spread = corners @ frame.T
        low, high = spread.min(axis=0), spread.max(axis=0)
        steps = np.full(3, float(step))
        same = self.cell_angles == (90.0, 90.0, 90.0) and np.allclose(self.step, step, rtol=1e-5)
        if self.rotation == IDENTITY and not same:
            corner = low + self.origin
            whole = np.round(corner / step)
            fitting = np.round(corner / np.where(whole, whole, 1), 6)  # what float32 lengths can say
            steps = np.where(abs(fitting - step) <= STRETCH * step, fitting, step)
            low = np.where(steps == fitting, whole, np.floor(corner / step + 1e-3)) * steps - self.origin
        size = np.ceil((high - low) / steps - 1e-3).astype(int) + 1
        origin = np.array(self.origin) + np.array(self.rotation) @ low
        return Grid(three_ints(size[::-1]), three_floats(steps), three_floats(origin), rotation=self.rotation)

    def cropped(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Grid:
        """The part that begins at voxel `start` (z, y, x; may be negative: padding) and has `shape`."""
        origin = self.to_xyz(np.array(start[::-1]))
        return replace(self, shape=three_ints(shape), origin=three_floats(origin))

    def part_about(
        self, positions: np.ndarray, margin: float
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Start and shape (z, y, x) of the part of the grid within `margin` A of positions (n, 3).

        It may reach beyond the grid. An axis of which it would be more than 3/4 is kept whole, and so keeps
        the box's period.
        """
        indices = self.to_indices(positions)
        reach = margin * np.linalg.norm(np.linalg.inv(self.axes), axis=1)
        low = np.floor(indices.min(axis=0) - reach).astype(int)
        high = np.ceil(indices.max(axis=0) + reach).astype(int) + 1
        size = np.array(self.size)
        whole = high - low > 0.75 * size
        low, high = np.where(whole, 0, low), np.where(whole, size, high)
        return three_ints(low[::-1]), three_ints((high - low)[::-1])


def three_floats(values: Iterable[float]) -> tuple[float, float, float]:
    """Three numbers as plain floats."""
    first, second, third = map(float, values)
    return first, second, third


def three_ints(values: Iterable[int]) -> tuple[int, int, int]:
    """Three numbers as plain integers."""
    first, second, third = map(int, values)
    return first, second, third


def skew_matrix(cell_angles: tuple[float, float, float]) -> np.ndarray:
    """3 x 3 matrix whose columns are unit vectors along the cell's axes: a along x, b in the xy plane."""
    alpha, beta, gamma = np.radians(cell_angles)
    cos_a, cos_b, cos_g, sin_g = np.cos(alpha), np.cos(beta), np.cos(gamma), np.sin(gamma)
    c_y = (cos_a - cos_b * cos_g) / sin_g
    c_z = np.sqrt(max(0.0, 1.0 - cos_b**2 - c_y**2))
    matrix = np.array([[1.0, cos_g, cos_b], [0.0, sin_g, c_y], [0.0, 0.0, c_z]])
    matrix[np.abs(matrix) < 1e-12] = 0.0
    return matrix
