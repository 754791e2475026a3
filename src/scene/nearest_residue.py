"""Regions of density by name: the residue, ligand or ion of the open atomic models that lies nearest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

import numpy as np
from chimerax.atomic import AtomicStructure, Atoms, Residue, concatenate
from chimerax.core.session import Session
from chimerax.geometry import Place
from chimerax.map import Volume
from scipy.spatial import cKDTree

from ..cryomap.atoms import component_kind
from ..cryomap.grid import Grid
from ..cryomap.trust.names import owner
from .residue_values import PLAIN_SPEC, residue_spec

FARTHEST = 15.0  # A; beyond that a residue says nothing about where a region is


def nearest_residues(
    session: Session, regions: Iterable[np.ndarray], frame: Place
) -> Iterator[tuple[Residue, float] | None]:
    """For each region the residue most of it is nearest to, and the distance in A; None if none is near.

    Args:
        session: its atomic models are asked, shown or not.
        regions: points of each, float (n, 3) in A.
        frame: turns the points' coordinates into those of the scene.
    """
    structures = session.models.list(type=AtomicStructure)
    atoms = concatenate([structure.atoms for structure in structures]) if structures else None
    if atoms is not None:
        atoms = atoms[atoms.element_numbers != 1]
    if atoms is None or not len(atoms):
        yield from (None for _ in regions)
        return
    residues = atoms.unique_residues
    owners = residues.indices(atoms.residues)
    tree = cKDTree(frame.inverse() * atoms.scene_coords)
    for points in regions:
        index, distance = owner(points, tree, owners)
        yield (residues[index], distance) if distance <= FARTHEST else None


def small_molecules(session: Session) -> Atoms:
    """Heavy atoms of the ligands and ions of all open atomic models, shown or not; glycans and lipids are ligands."""
    structures = session.models.list(type=AtomicStructure)
    atoms = concatenate([structure.atoms for structure in structures], Atoms)
    categories = atoms.structure_categories
    return atoms[((categories == "ligand") | (categories == "ions")) & (atoms.element_numbers != 1)]


def atoms_in(volume: Volume, grid: Grid) -> Atoms:
    """The atoms of all open atomic models, shown or not, that have any in a map.

    Args:
        volume: the map.
        grid: of the part that is looked at, in the map's coordinates.
    """
    found = []
    for structure in volume.session.models.list(type=AtomicStructure):
        indices = grid.to_indices(volume.scene_position.inverse() * structure.atoms.scene_coords)
        if ((indices > -0.5) & (indices < np.array(grid.size) - 0.5)).all(axis=1).any():
            found.append(structure.atoms)
    return concatenate(found, Atoms)


def describe(residue: Residue, distance: float) -> dict:
    """The residue as the engine's JSON tells it: "nearest", "kind", "distance"."""
    kind = ""
    if find_spec("gemmi") is not None:
        heavy = int((residue.atoms.element_numbers > 1).sum())
        polymer = residue.polymer_type != Residue.PT_NONE
        kind = component_kind(residue.name, set(residue.atoms.names), heavy, polymer)
    spec = residue_spec(residue)
    shown = spec if PLAIN_SPEC.fullmatch(spec) else f"{residue.structure.atomspec}/?:{residue.number}"
    return {
        "nearest": f"{shown} {residue.name}",
        "kind": kind,
        "distance": round(distance, 4),
    }
