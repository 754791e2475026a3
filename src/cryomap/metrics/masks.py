"""Masks made from a model: spheres about atoms, the molecular mask, the soft mask."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from ..atoms import AtomicModel
from ..grid import Grid
from ..reciprocal import fft_positions, inverse_d_squared, largest_indices

SOLVENT_RADIUS = 1.1
SHRINK_RADIUS = 0.9

# fmt: off
# Van der Waals radii in A by atomic number (H first) that cctbx and Phenix use; 0 stands for unknown.
VDW_RADII = np.array([
    0, 1.2, 1.4, 1.82, 0.63, 1.75, 1.775, 1.5, 1.45, 1.47, 1.54, 2.27, 1.73, 1.5, 2.1, 1.9, 1.8,
    1.75, 1.88, 2.75, 1.95, 1.32, 1.95, 1.06, 1.13, 1.19, 1.26, 1.13, 1.63, 1.4, 1.39, 1.87, 1.48,
    0.83, 1.9, 1.85, 2.02, 2.65, 2.02, 1.61, 1.42, 1.33, 1.75, 2.0, 1.2, 1.22, 1.63, 1.72, 1.58,
    1.93, 2.17, 1.12, 1.26, 1.98, 2.16, 3.01, 2.41, 1.83, 1.86, 1.62, 1.79, 1.76, 1.74, 1.96, 1.69,
    1.66, 1.63, 1.61, 1.59, 1.57, 1.54, 1.53, 1.4, 1.22, 1.26, 1.3, 1.58, 1.22, 1.72, 1.66, 1.55,
    1.96, 2.02, 1.73, 1.21, 1.12, 2.3, 3.24, 2.57, 2.12, 1.84, 1.6, 1.75, 1.71, 1.67, 1.66, 1.65,
    1.64, 1.63, 1.62, 1.61, 1.6, 1.59, 1.58,
])
# fmt: on


def spheres(positions: np.ndarray, radii: np.ndarray | float, grid: Grid) -> np.ndarray:
    """Voxels within `radii` (A, inclusive) of any of positions (n, 3); the box is taken as periodic.

    A row of voxels cuts a sphere in one interval, so each sphere is a handful of intervals whose ends are
    added up along the rows: the work grows with the spheres' cross-sections, not with their volumes.

    Returns:
        bool (z, y, x).
    """
    radii = np.broadcast_to(np.asarray(radii, float), len(positions))
    reach = radii.max(initial=0.0) * np.linalg.norm(np.linalg.inv(grid.axes), axis=1)
    pad = np.minimum(np.ceil(reach).astype(int) + 1, np.array(grid.size))  # x, y, z
    nx, ny, nz = np.array(grid.size) + 2 * pad
    indices = grid.to_indices(positions) % grid.size + pad
    ends = np.zeros((nz * ny, nx + 1), np.int32).ravel()
    metric = grid.axes.T @ grid.axes
    # Counted from the voxel nearest to the centre, a sphere's rows reach half a voxel farther than it does.
    across_y, across_z = (
        np.arange(-n, n + 1) for n in np.minimum(np.floor(reach + 0.5).astype(int), pad)[1:]
    )
    rows = np.stack(np.meshgrid(across_y, across_z, indexing="ij"), -1).reshape(-1, 2)
    for start in range(0, len(indices), 4096):
        some = indices[start : start + 4096]
        y = np.rint(some[:, 1:2]).astype(int) + rows[:, 0]
        z = np.rint(some[:, 2:3]).astype(int) + rows[:, 1]
        dy, dz = y - some[:, 1:2], z - some[:, 2:3]
        # |t a + dy b + dz c|^2 <= radius^2 between the two roots in t.
        half = -(dy * metric[0, 1] + dz * metric[0, 2]) / metric[0, 0]
        square = dy * dy * metric[1, 1] + dz * dz * metric[2, 2] + 2 * metric[1, 2] * dy * dz
        discriminant = half**2 - (square - radii[start : start + 4096, None] ** 2) / metric[0, 0]
        root = np.sqrt(np.maximum(discriminant, 0))
        first = np.ceil(some[:, :1] + half - root - 1e-9).astype(int)
        last = np.floor(some[:, :1] + half + root + 1e-9).astype(int)
        hit = (discriminant >= 0) & (last >= first) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
        row = ((z * ny + y) * (nx + 1))[hit]
        np.add.at(ends, row + np.clip(first[hit], 0, nx), 1)
        np.add.at(ends, row + np.clip(last[hit] + 1, 0, nx), -1)
    along = ends.reshape(nz, ny, nx + 1)
    inside = np.cumsum(along, axis=2, dtype=along.dtype, out=along)[..., :-1] > 0
    for axis, n in enumerate(pad[::-1]):
        inside = _fold(inside, axis, n)
    return inside


def _fold(inside: np.ndarray, axis: int, pad: int) -> np.ndarray:
    """Bring what lies in the padding of `axis` back into the periodic box."""
    inside = np.moveaxis(inside, axis, 0)
    core = inside[pad : len(inside) - pad].copy()
    core[len(core) - pad :] |= inside[:pad]
    core[:pad] |= inside[len(inside) - pad :]
    return np.moveaxis(core, 0, axis)


def molecular_mask(model: AtomicModel, grid: Grid, extra: float = 0.0) -> np.ndarray:
    """The mask of CC_mask, bool (z, y, x), as mmtbx.masks makes it (periodic, hydrogens count).

    Voxels within r_vdw + 1.1 A (+ `extra` A) of an atom, less those closer than 0.9 A to one that is not.
    """
    inside = spheres(model.positions, VDW_RADII[model.atomic_numbers] + SOLVENT_RADIUS + extra, grid)
    reach = np.floor(SHRINK_RADIUS * np.linalg.norm(np.linalg.inv(grid.axes), axis=1)).astype(int)[::-1]
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    near = np.linalg.norm(offsets[..., ::-1] @ grid.axes.T, axis=-1) < SHRINK_RADIUS
    if near.sum() <= 1:
        return inside
    wrapped = np.pad(inside, [(n, n) for n in reach], mode="wrap")
    eroded = ndimage.binary_erosion(wrapped, near, border_value=1)
    return eroded[tuple(slice(n, n + size) for n, size in zip(reach, inside.shape, strict=True))]


def soft_mask(model: AtomicModel, grid: Grid, radius: float) -> np.ndarray:
    """The mask of phenix.mtriage, float32 (z, y, x) from 0 to about 1.

    The molecular mask with every radius larger by `radius` A, convolved with a Gaussian of standard deviation
    `radius` A (`mmtbx.masks.smooth_mask`); negative values set to 0.
    """
    hard = molecular_mask(model, grid, extra=radius).astype(np.float32)
    factors = fft.rfftn(hard, workers=-1)
    limits = largest_indices(grid)
    kept = np.zeros_like(factors)
    positions = fft_positions(limits, grid.shape)
    damping = np.exp(-2 * np.pi**2 * radius**2 * inverse_d_squared(grid, limits))
    kept[positions] = factors[positions] * damping
    return np.maximum(fft.irfftn(kept, grid.shape, workers=-1), 0)
