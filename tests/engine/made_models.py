"""Models made up for the tests of assess: atoms in space, and chains whose atoms crowd each other."""

import numpy as np

from cryomap.atoms import AtomicModel, Residue


def model_at(positions, z=6, b_factors=20.0, occupancies=1.0, names="CA", residues=None, owners=None):
    """A model of atoms at positions (n, 3); one residue each unless told otherwise."""
    positions = np.asarray(positions, float).reshape(-1, 3)
    n = len(positions)
    if residues is None:
        residues = tuple(Residue("A", i + 1, "", "ALA", "protein") for i in range(n))
    return AtomicModel(
        positions=positions,
        atomic_numbers=np.broadcast_to(np.asarray(z, np.uint8), n).copy(),
        b_factors=np.broadcast_to(np.asarray(b_factors, float), n).copy(),
        occupancies=np.broadcast_to(np.asarray(occupancies, float), n).copy(),
        atom_names=np.broadcast_to(np.asarray(names, "<U4"), n).copy(),
        alt_locs=np.full(n, "", "<U1"),
        residue_indices=np.arange(n, dtype=np.int32) if owners is None else np.asarray(owners, np.int32),
        residues=tuple(residues),
        name="made.pdb",
    )


def crowded_chain(rng, residues=12, center=(0.0, 0.0, 0.0)):
    """Residues of N, CA, C, O, CB at bond distances along a compact random walk, so that atoms crowd."""
    names, numbers = ["N", "CA", "C", "O", "CB"], [7, 6, 6, 8, 6]
    positions, at = [], np.zeros(3)
    for _ in range(residues):
        for name in names:
            while True:
                direction = rng.normal(size=3) - 0.1 * at
                step = at + 1.45 * direction / np.linalg.norm(direction)
                if not positions or np.linalg.norm(np.array(positions) - step, axis=1).min() > 1.15:
                    break
            positions.append(step)
            if name != "O" and name != "CB":
                at = step
    info = tuple(
        Residue("A" if i < residues // 2 else "B", i + 1, "", "ALA", "protein") for i in range(residues)
    )
    positions = np.array(positions)
    return model_at(
        positions - positions.mean(axis=0) + center,
        z=np.tile(numbers, residues),
        b_factors=rng.uniform(20, 80, len(positions)),
        names=np.tile(names, residues),
        residues=info,
        owners=np.repeat(np.arange(residues), 5),
    )
