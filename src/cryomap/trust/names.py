"""Regions of density by name: the residue, ligand or ion that lies nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..grid import Grid
from .lost import Region

COVERED = 1.0  # A; voxels this near to an atom belong to it


def name_regions(regions: tuple[Region, ...], grid: Grid, model: AtomicModel) -> tuple[Region, ...]:
    """Regions with the residue that most of their voxels are nearest to, and their distance from it.

    Args:
        regions: with voxels on `grid`.
        grid: where the voxels are.
        model: atoms in the same frame; hydrogens are left out.
    """
    heavy = np.flatnonzero(model.atomic_numbers != 1)
    if not len(heavy):
        return regions
    tree = cKDTree(model.positions[heavy])
    owners = model.residue_indices[heavy]
    named = []
    for region in regions:
        index, distance = owner(grid.to_xyz(region.voxels[:, ::-1]), tree, owners)
        residue = model.residues[index]
        named.append(replace(region, nearest=str(residue), kind=residue.kind, distance=distance))
    return tuple(named)


def owner(points: np.ndarray, tree: cKDTree, owners: np.ndarray) -> tuple[int, float]:
    """The residue that most of the points are nearest to, and its distance from them.

    Args:
        points: float (n, 3), x, y, z in A.
        tree: of the atoms' positions.
        owners: int (m,), the residue of each atom.
    """
    distances, atoms = tree.query(points)
    # Voxels far from all atoms say little about whose they are.
    weights = 1 / np.maximum(distances, COVERED) ** 2
    index = int(np.bincount(owners[atoms], weights).argmax())
    return index, float(distances[owners[atoms] == index].min())
