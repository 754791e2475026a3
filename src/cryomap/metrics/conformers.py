"""Alternate conformations in a map: which of them its density shows, and how much of each.

Berkeley et al. (2024) saw two rotamers of a tyrosine, 53 and 47 % occupied in the deposited map, refine to 67 and 32 %
in maps that networks had enhanced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..density import DensityMap
from .correlation import ModelMap, model_map

MOVED = 1.0  # A; an atom of one conformation nearer than that to its like in every other tells them not apart
RADIUS = 2.0  # A about the atoms that do, or 1.5 voxels


@dataclass(frozen=True)
class Conformer:
    """One conformation of a residue in one map; its density is that of the atoms that tell it from the others.

    Attributes:
        residue: index into the model's residues.
        alt_loc: its letter.
        atoms: how many of its atoms tell it apart.
        occupancy: their mean occupancy in the model.
        share: of the residue's density, 0 to 1, see `conformers`; nan where none of it is there.
        density: mean of the map at these atoms.
        q: their mean Q.
    """

    residue: int
    alt_loc: str
    atoms: int
    occupancy: float
    share: float
    density: float
    q: float


def conformers(
    density: DensityMap, model: AtomicModel, q: np.ndarray, resolution: float
) -> tuple[Conformer, ...]:
    """Every conformation of the residues whose conformations differ.

    A conformation's share is its coefficient over the sum of all of its residue's, none below 0, in the least-squares
    fit of the map by the maps of each conformation (all atoms of that letter, occupancy 1), the rest of the model and
    a constant, over the voxels near the atoms that tell the conformations apart: one round of what a refinement of
    occupancies does. In maps that don't separate the conformations it is chance. Residues of two types in one
    place are not looked at.

    Args:
        density: the map.
        model: atoms in its frame.
        q: Q of each atom (n,).
        resolution: of the map, in A.
    """
    groups = list(_groups(model))
    if not groups:
        return ()
    letters = sorted(set(model.alt_locs[np.concatenate([part for group in groups for part in group])]))
    whole = model.alt_locs == ""
    maps = {letter: _alone(model, model.alt_locs == letter, density, resolution) for letter in letters}
    rest = _alone(model, whole, density, resolution) if whole.any() else None
    indices = density.grid.to_indices(model.positions)
    at_atoms = ndimage.map_coordinates(density.values, indices.T[::-1], np.float64, order=1, mode="nearest")
    found = []
    for group in groups:
        voxels = _voxels(density, model.positions[np.concatenate(group)])
        columns = [_values(maps[model.alt_locs[part[0]]], voxels) for part in group]
        columns += [_values(rest, voxels)] if rest is not None else []
        shares = _shares(density.values[tuple(voxels.T)], columns, len(group))
        for part, share in zip(group, shares, strict=True):
            scores = q[part][np.isfinite(q[part])]
            found.append(
                Conformer(
                    int(model.residue_indices[part[0]]),
                    str(model.alt_locs[part[0]]),
                    len(part),
                    float(model.occupancies[part].mean()),
                    float(share),
                    float(at_atoms[part].mean()),
                    float(scores.mean()) if len(scores) else float("nan"),
                )
            )
    return tuple(found)


def major_share(found: Sequence[Conformer]) -> float:
    """The mean share of each residue's best occupied conformation; nan without any."""
    shares: dict[int, Conformer] = {}
    for conformer in found:
        first = shares.setdefault(conformer.residue, conformer)
        if conformer.occupancy > first.occupancy:
            shares[conformer.residue] = conformer
    values = [c.share for c in shares.values() if np.isfinite(c.share)]
    return float(np.mean(values)) if values else float("nan")


def _groups(model: AtomicModel) -> Iterator[list[np.ndarray]]:
    """Of each residue whose conformations differ, the atoms that tell each apart."""
    alternate = np.flatnonzero((model.alt_locs != "") & (model.atomic_numbers > 1))
    order = alternate[np.argsort(model.residue_indices[alternate], kind="stable")]
    for atoms in np.split(order, np.flatnonzero(np.diff(model.residue_indices[order])) + 1):
        letters = model.alt_locs[atoms]
        parts = [atoms[letters == letter] for letter in dict.fromkeys(letters)]
        apart = [
            np.array([a for a in part if all(_moved(model, a, o) for o in parts if o is not part)], int)
            for part in parts
        ]
        if len(parts) > 1 and all(len(part) for part in apart):
            yield apart


def _moved(model: AtomicModel, atom: int, others: np.ndarray) -> bool:
    same = others[model.atom_names[others] == model.atom_names[atom]]
    return bool((np.linalg.norm(model.positions[same] - model.positions[atom], axis=1) >= MOVED).all())


def _alone(model: AtomicModel, chosen: np.ndarray, density: DensityMap, resolution: float) -> ModelMap:
    """The map of some atoms; those with a letter fully occupied."""
    atoms = model.subset(chosen)
    atoms.occupancies[atoms.alt_locs != ""] = 1.0
    return model_map(atoms, density.grid, resolution)


def _voxels(density: DensityMap, positions: np.ndarray) -> np.ndarray:
    """The voxels (m, 3), z, y, x, near any of the positions."""
    grid = density.grid
    radius = max(RADIUS, 1.5 * max(grid.step))
    start, shape = grid.part_about(positions, radius)
    low, high = np.maximum(start, 0), np.minimum(np.add(start, shape), grid.shape)
    axes = (np.arange(a, b) for a, b in zip(low, high, strict=True))
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    distances, _ = cKDTree(positions).query(grid.to_xyz(voxels[:, ::-1]), distance_upper_bound=radius)
    return voxels[np.isfinite(distances)]


def _values(computed: ModelMap, voxels: np.ndarray) -> np.ndarray:
    """A computed map at voxels of the whole grid, 0 beyond its part."""
    at = voxels - computed.start
    inside = ((at >= 0) & (at < computed.density.grid.shape)).all(axis=1)
    values = np.zeros(len(voxels))
    values[inside] = computed.density.values[tuple(at[inside].T)]
    return values


def _shares(observed: np.ndarray, columns: list[np.ndarray], conformations: int) -> np.ndarray:
    """The first columns' coefficients over their sum, none below 0; nan if all are 0."""
    centred = [column - column.mean() for column in (*columns, observed.astype(np.float64))]
    coefficients = nnls(np.stack(centred[:-1], axis=1), centred[-1])[0][:conformations]
    total = coefficients.sum()
    return coefficients / total if total > 0 else np.full(conformations, np.nan)
