"""Where to look in a model, by rule: longest helix, longest strand, largest interface; and from which side."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from chimerax.atomic import AtomicStructure, Residue, concatenate
from chimerax.geometry import Place, point_bounds
from scipy.spatial import cKDTree

BESIDE = 5.6  # A between alpha carbons of neighbouring strands
CONTACT = 8.0  # A between alpha carbons of two chains that touch


def longest(model: AtomicStructure, kind: int) -> list[Residue]:
    """The residues of the longest helix (kind `Residue.SS_HELIX`) or strand (`Residue.SS_STRAND`)."""
    runs = defaultdict(list)
    for residue in model.residues:
        if residue.ss_type == kind and residue.principal_atom is not None:
            runs[residue.chain_id, residue.ss_id].append(residue)
    return max(runs.values(), key=len)


def with_neighbors(model: AtomicStructure, strand: list[Residue]) -> list[Residue]:
    """A strand, and what lies beside it in its sheet."""
    others = [r for r in model.residues if r.ss_type == Residue.SS_STRAND and r.principal_atom is not None]
    near, _ = cKDTree(positions(strand)).query(positions(others))
    return [residue for residue, distance in zip(others, near, strict=True) if distance < BESIDE]


def interface(model: AtomicStructure) -> tuple[str, str]:
    """The two chains that touch in most places, those nearest to the middle of the model if several do."""
    chains = {chain.chain_id: positions(chain.existing_residues) for chain in model.chains}
    middle = np.mean([points.mean(axis=0) for points in chains.values()], axis=0)
    trees = {name: cKDTree(points) for name, points in chains.items()}
    names = sorted(chains)

    def worth(pair: tuple[str, str]) -> tuple[int, float]:
        a, b = pair
        touching = sum(map(len, trees[a].query_ball_tree(trees[b], CONTACT)))
        distance = np.linalg.norm((chains[a].mean(axis=0) + chains[b].mean(axis=0)) / 2 - middle)
        return round(touching / 20), -distance

    return max(((a, b) for a in names for b in names if a < b), key=worth)


def touching(model: AtomicStructure, pair: tuple[str, str]) -> list[Residue]:
    """The residues of two chains that lie near the other's."""
    of = [[r for r in model.residues if r.chain_id == name and r.principal_atom is not None] for name in pair]
    found = []
    for own, other in (of, of[::-1]):
        near, _ = cKDTree(positions(other)).query(positions(own))
        found += [residue for residue, distance in zip(own, near, strict=True) if distance < CONTACT]
    return found


def positions(residues) -> np.ndarray:
    """Of the alpha carbons: (n, 3) in A."""
    return np.array([r.principal_atom.scene_coord for r in residues if r.principal_atom is not None])


def spec(residues: list[Residue]) -> str:
    """How commands name them, all of one model."""
    numbers = defaultdict(list)
    for residue in residues:
        numbers[residue.chain_id].append(str(residue.number))
    return residues[0].structure.atomspec + "".join(f"/{c}:{','.join(n)}" for c, n in numbers.items())


def look_at(session, residues: list[Residue], pad: float = 0.0) -> None:
    """Look at residues with their longest extent from left to right, and their shortest towards the viewer."""
    points = positions(residues)
    center = points.mean(axis=0)
    _, _, (x, y, _) = np.linalg.svd(points - center, full_matrices=False)
    z = np.cross(x, y)
    session.main_view.camera.position = Place(axes=(x, y, z), origin=center + 200 * z)
    atoms = concatenate([residue.atoms for residue in residues])
    session.main_view.view_all(point_bounds(atoms.scene_coords), pad=pad)
