"""Where a loss is to be looked for first: at the ligands, ions, lipids and glycans of a model."""

from __future__ import annotations

import numpy as np

from ..atoms import AtomicModel
from ..grid import Grid, three_ints
from ..metrics.classes import SINGLE_KINDS
from ..metrics.masks import spheres

REACH = 1.5  # A about an atom


def small_molecules(model: AtomicModel) -> np.ndarray:
    """x, y, z in A (n, 3) of the heavy atoms of small molecules other than water."""
    chosen = np.isin(model.atom_kinds, SINGLE_KINDS) & (model.atomic_numbers > 1)
    return model.positions[chosen]


def near_sites(sites: np.ndarray, grid: Grid, reach: float = REACH) -> np.ndarray:
    """Voxels within `reach` A, or a voxel, of any site.

    Args:
        sites: x, y, z in A (n, 3); those outside the grid count for nothing.
        grid: of the voxels.

    Returns:
        bool (z, y, x).
    """
    reach = max(reach, max(grid.step))
    pad = int(np.ceil(reach / min(grid.step))) + 1  # spheres come in again on the other side of their box
    wide = grid.cropped((-pad,) * 3, three_ints(n + 2 * pad for n in grid.shape))
    indices = wide.to_indices(sites)
    inside = ((indices >= 0) & (indices <= np.array(wide.size) - 1)).all(axis=1)
    return spheres(sites[inside], reach, wide)[pad:-pad, pad:-pad, pad:-pad]
