"""Helices and strands from C alpha positions alone, so that any model has them, whatever its file says."""

from __future__ import annotations

import numpy as np

from ..atoms import AtomicModel

HELIX, STRAND, OTHER = "H", "E", "-"
BREAK = 4.3  # A; C alphas of neighbours are 3.8 (trans) or 2.9 (cis) apart
# Distances of C alphas two, three and four residues apart, in A, and how far off they may be (Labesse et al. 1997,
# P-SEA, Table 1).
_HELIX = {3: (5.3, 0.5), 4: (6.4, 0.6)}
_STRAND = {2: (6.7, 0.6), 3: (9.9, 0.9)}


def secondary_structure(model: AtomicModel) -> np.ndarray:
    """The structure of each residue: "H" helix, "E" strand (extended), "-" other, "" no protein.

    Every residue of a window that has P-SEA's distances is of its kind, a helix before a strand: windows of five
    and of four residues. Hydrogen bonds aren't looked at.

    Returns:
        (residues,), in the model's order.
    """
    found = np.full(len(model.residues), "", "<U1")
    residues, positions = c_alphas(model)
    if not len(residues):
        return found
    found[residues] = OTHER
    chains = np.array([model.residues[i].chain_id for i in residues])
    apart = np.linalg.norm(np.diff(positions, axis=0), axis=1) > BREAK
    cuts = np.flatnonzero(apart | (chains[1:] != chains[:-1])) + 1
    for part in np.split(np.arange(len(residues)), cuts):
        for kind, distances in ((STRAND, _STRAND), (HELIX, _HELIX)):
            found[residues[part[_in_windows(positions[part], distances)]]] = kind
    return found


def c_alphas(model: AtomicModel) -> tuple[np.ndarray, np.ndarray]:
    """Protein residues that have a C alpha (n,), indices in order, and its positions (n, 3); the first conformation."""
    atoms = np.flatnonzero((model.atom_names == "CA") & (model.atom_kinds == "protein"))
    residues, first = np.unique(model.residue_indices[atoms], return_index=True)
    return residues, model.positions[atoms[first]]


def _in_windows(positions: np.ndarray, distances: dict[int, tuple[float, float]]) -> np.ndarray:
    """Which residues of a fragment are in a window whose distances all fit."""
    length = max(distances) + 1
    inside = np.zeros(len(positions), bool)
    fits = {}
    for gap, (wanted, tolerance) in distances.items():
        d = np.linalg.norm(positions[gap:] - positions[:-gap], axis=1)
        fits[gap] = np.abs(d - wanted) <= tolerance
    for start in range(len(positions) - length + 1):
        if all(fits[gap][start : start + length - gap].all() for gap in distances):
            inside[start : start + length] = True
    return inside
