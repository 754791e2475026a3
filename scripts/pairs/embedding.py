"""A structure's embedding for CryoSAMU: residues by an inverse-folding encoder, chains and residues then by similarity.

Equation numbers are those of the CryoSAMU paper (Zhang and Dao Duc 2025), section 3.2.
"""

from __future__ import annotations

import numpy as np

from cryomap.atoms import KINDS, AtomicModel
from cryomap.errors import InputError
from simulation.structures import Structure

LENGTH = 800
LONGEST_BOND = 1.75  # A, of N-CA and CA-C, with the pack's rounding
STANDARD = frozenset(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()
)


def backbones(model: AtomicModel) -> dict[str, np.ndarray]:
    """Backbone coordinates of the standard residues that have a complete backbone, chain by chain.

    Of alternate conformations the first is taken.

    Returns:
        By chain name, float32 (residues, 3, 3): N, CA, C, each x, y, z in A. Chains without any are left out.

    Raises:
        InputError: no such residue in the model.
    """
    found: dict[int, dict[str, np.ndarray]] = {}
    wanted = np.flatnonzero(np.isin(model.atom_names, ("N", "CA", "C")) & (model.atomic_numbers > 1))
    for i in wanted:
        owner = int(model.residue_indices[i])
        if model.residues[owner].name in STANDARD and np.isfinite(model.positions[i]).all():
            found.setdefault(owner, {}).setdefault(str(model.atom_names[i]), model.positions[i])
    chains: dict[str, list[list[np.ndarray]]] = {}
    for owner, atoms in sorted(found.items()):
        if len(atoms) == 3:
            chains.setdefault(model.residues[owner].chain_id, []).append([atoms[n] for n in ("N", "CA", "C")])
    if not chains:
        raise InputError(f"{model.name}: no protein residue with a complete backbone (N, CA, C) in it")
    return {name: np.array(rows, np.float32) for name, rows in chains.items()}


def packed_backbones(structure: Structure) -> dict[str, np.ndarray]:
    """The same of a packed structure, which knows no atoms' names: of each residue the main chain's nitrogen and its
    first two carbons, where they are as far apart as N, CA and C are.

    Raises:
        InputError: no such residue in it.
    """
    main = (structure.kinds == KINDS.index("protein")) & (structure.depths == 0)
    rows = zip(
        *(structure.columns()[name][main].tolist() for name in ("chains", "residues", "atomic_numbers")),
        structure.positions[main].numpy(),
        strict=True,
    )
    atoms: dict[tuple[int, int], dict[int, list[np.ndarray]]] = {}
    for chain, residue, number, position in rows:
        atoms.setdefault((chain, residue), {}).setdefault(number, []).append(position)
    chains: dict[str, list[np.ndarray]] = {}
    for (chain, _), found in atoms.items():
        n, carbons = found.get(7, []), found.get(6, [])
        if n and len(carbons) > 1:
            row = np.array([n[0], *carbons[:2]], np.float32)
            if (np.linalg.norm(np.diff(row, axis=0), axis=1) < LONGEST_BOND).all():
                chains.setdefault(str(chain), []).append(row)
    if not chains:
        raise InputError(f"{structure.pdb_id}: no protein residue with a complete backbone (N, CA, C) in it")
    return {name: np.array(rows) for name, rows in chains.items()}


def pad(chains: list[np.ndarray]) -> np.ndarray:
    """Embeddings of chains (residues, d) as one array E (C, R, d), the shorter ones filled with zeros."""
    stacked = np.zeros((len(chains), max(len(c) for c in chains), chains[0].shape[1]), np.float32)
    for row, chain in zip(stacked, chains, strict=True):
        row[: len(chain)] = chain
    return stacked


def importance(vectors: np.ndarray) -> np.ndarray:
    """Weights (n,), summing to 1, of vectors (n, d) by their similarity to each other: equations 3 to 5.

    S = V V^T, a softmax down each column of S, then the mean along each row. As printed, equation 4 divides by
    the sum along the row, with which equation 5 would weigh everything alike, 1/n; the text says column-wise,
    and so it is done here.
    """
    similarity = (vectors @ vectors.T).astype(np.float64)
    similarity -= similarity.max(axis=0, keepdims=True)
    weights = np.exp(similarity, out=similarity)
    weights /= weights.sum(axis=0, keepdims=True)
    return weights.mean(axis=1)


def pool_chains(stacked: np.ndarray) -> np.ndarray:
    """E_pooled (R, d) of E (C, R, d): chains averaged over R (equation 2), weighted and summed (3 to 6)."""
    weights = importance(stacked.mean(axis=1))
    return np.tensordot(weights, stacked, axes=1).astype(np.float32)


def fixed_length(pooled: np.ndarray, length: int = LENGTH) -> np.ndarray:
    """The `length` most important residues (length, d) of E_pooled (R, d), most important first.

    Importance is that of equations 3 to 5 among residues. Of fewer residues, the sorted list is repeated
    ceil(length / R) times and cut. Values are scaled to 0..1 by the minimum and maximum of E_pooled, which is
    how the paper's "min-max normalization" is read here.
    """
    order = np.argsort(-importance(pooled), kind="stable")
    low, high = pooled.min(), pooled.max()
    scaled = (pooled - low) / (high - low) if high > low else np.zeros_like(pooled)
    chosen = np.tile(order, -(-length // len(order)))[:length]
    return scaled[chosen].astype(np.float32)


def structural_embedding(chains: list[np.ndarray], length: int = LENGTH) -> np.ndarray:
    """E_final, float32 (length, d), of the residue embeddings (residues, d) of a structure's chains."""
    return fixed_length(pool_chains(pad(chains)), length)
