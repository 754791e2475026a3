"""Where a loss is to be looked for first: at the ligands, ions, lipids and glycans of a model."""

from __future__ import annotations

import numpy as np

from ..atoms import AtomicModel
from ..grid import Grid

SMALL_MOLECULES = ("ligand", "ion", "lipid", "glycan")
REACH = 1.5  # A about an atom


def small_molecules(model: AtomicModel) -> np.ndarray:
    """x, y, z in A (n, 3) of the heavy atoms of small molecules other than water."""
    chosen = np.isin(model.atom_kinds, SMALL_MOLECULES) & (model.atomic_numbers > 1)
    return model.positions[chosen]


def near_sites(sites: np.ndarray, grid: Grid) -> np.ndarray:
    """Voxels within 1.5 A, or a voxel, of any site.

    Args:
        sites: x, y, z in A (n, 3); those outside the grid count for nothing.
        grid: of the voxels.

    Returns:
        bool (z, y, x).
    """
    near = np.zeros(grid.shape, bool)
    steps = [int(np.ceil(REACH / step)) for step in grid.step]
    around = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in steps), indexing="ij"), -1).reshape(-1, 3)
    reach = max(REACH, max(grid.step))
    for site, index in zip(sites, np.rint(grid.to_indices(sites)).astype(int), strict=True):
        voxels = index + around
        voxels = voxels[((voxels >= 0) & (voxels < grid.shape[::-1])).all(axis=1)]
        voxels = voxels[np.linalg.norm(grid.to_xyz(voxels) - site, axis=1) <= reach]
        near[tuple(voxels.T[::-1])] = True
    return near
