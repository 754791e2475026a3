"""Polymers from bond lengths, angles and torsions (A, degrees), atom by atom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .amino_acids import SIDE_CHAINS
from .nucleotides import BASE_TORSION, SUGAR, base_atoms

Atoms = dict[str, np.ndarray]
"""Position x, y, z (A) of each atom of a residue, by name."""

# Alpha to zeta of A-form RNA (Saenger, Principles of Nucleic Acid Structure, 1984).
A_FORM = (-68.0, 178.0, 54.0, 82.0, -153.0, -71.0)


def place(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: float
) -> np.ndarray:
    """Position of an atom bound to c, with an angle to b and a torsion to a (degrees, A)."""
    angle, torsion = np.radians((angle, torsion))
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    frame = np.stack([along, np.cross(normal, along), normal], axis=1)
    local = [-np.cos(angle), np.sin(angle) * np.cos(torsion), np.sin(angle) * np.sin(torsion)]
    return c + length * frame @ local


def protein_chain(sequence: Sequence[str], torsions: Sequence[tuple[float, float]]) -> list[Atoms]:
    """The atoms of each residue of a chain with these phi and psi, trans peptides throughout; the last has its OXT."""
    n, ca = np.zeros(3), np.array([1.458, 0.0, 0.0])
    c = place(np.array([0.0, 1.0, 0.0]), n, ca, 1.525, 111, torsions[0][0])
    residues = []
    for index, (name, (_, psi)) in enumerate(zip(sequence, torsions, strict=True)):
        atoms = {"N": n, "CA": ca, "C": c, "O": place(n, ca, c, 1.231, 120.5, psi + 180)}
        if name != "GLY":
            atoms["CB"] = _beta(n, ca, c)
        for atom, parents, length, angle, torsion in SIDE_CHAINS[name]:
            atoms[atom] = place(*(atoms[p] for p in parents), length, angle, torsion)
        residues.append(atoms)
        following = place(n, ca, c, 1.329, 116.6, psi)
        if index + 1 == len(sequence):
            atoms["OXT"] = following
            break
        n = following
        ca, previous = place(ca, c, n, 1.458, 121.7, 180), c
        c = place(previous, n, ca, 1.525, 111, torsions[index + 1][0])
    return residues


def _beta(n: np.ndarray, ca: np.ndarray, c: np.ndarray) -> np.ndarray:
    """CB of an L-amino acid: between the bisector of N and C, backwards, and their normal."""
    to_n, to_c = n - ca, c - ca
    return ca - 0.568 * to_n - 0.541 * to_c + 0.583 * np.cross(to_n, to_c)


def rna_strand(sequence: str) -> list[Atoms]:
    """One strand of A-form RNA, 5' to 3', of the letters A, C, G and U."""
    alpha, beta, gamma, delta, epsilon, zeta = A_FORM
    p, o5 = np.zeros(3), np.array([1.593, 0.0, 0.0])
    c5 = place(np.array([0.0, 1.0, 0.0]), p, o5, 1.440, 120.9, alpha)
    before = np.array([0.0, 1.0, 0.0])
    residues = []
    for letter in sequence:
        c4 = place(p, o5, c5, 1.510, 111.0, beta)
        c3 = place(o5, c5, c4, 1.524, 116.0, gamma)
        o3 = place(c5, c4, c3, 1.423, 110.6, delta)
        atoms = {"P": p, "O5'": o5, "C5'": c5, "C4'": c4, "C3'": c3, "O3'": o3}
        atoms["OP1"] = place(c5, o5, p, 1.485, 108.0, _torsion(c5, o5, p, before) + 120)
        atoms["OP2"] = place(c5, o5, p, 1.485, 108.0, _torsion(c5, o5, p, before) - 120)
        for atom, parents, length, angle, torsion in SUGAR:
            atoms[atom] = place(*(atoms[q] for q in parents), length, angle, torsion)
        residues.append(atoms | _base(letter, atoms))
        next_p = place(c4, c3, o3, 1.607, 119.7, epsilon)
        next_o5 = place(c3, o3, next_p, 1.593, 104.0, zeta)
        before, p, o5 = o3, next_p, next_o5
        c5 = place(o3, p, o5, 1.440, 120.9, alpha)
    return residues


def _torsion(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """The torsion a-b-c-d in degrees."""
    along = (c - b) / np.linalg.norm(c - b)
    v, w = (x - along * (x @ along) for x in (a - b, d - c))
    return float(np.degrees(np.arctan2(np.cross(along, v) @ w, v @ w)))


def _base(letter: str, sugar: Atoms) -> Atoms:
    """The flat base, hung on C1' with the torsion of A-form RNA."""
    flat, (first, second) = base_atoms(letter)
    c1, o4 = sugar["C1'"], sugar["O4'"]
    # Two atoms in place say how the flat figure lies.
    a = place(sugar["C4'"], o4, c1, 1.475, 108.2, _torsion_to_base(sugar))
    b = place(o4, c1, a, *_length_and_angle(flat, first, second), BASE_TORSION)
    x = (a - c1) / np.linalg.norm(a - c1)
    z = np.cross(x, b - a)
    z /= np.linalg.norm(z)
    flat_x = (flat[first] - flat["C1'"]) / np.linalg.norm(flat[first] - flat["C1'"])
    flat_z = np.array([0.0, 0.0, np.sign(np.cross(flat_x, flat[second] - flat[first])[2])])
    to = np.stack([x, np.cross(z, x), z], axis=1) @ np.stack([flat_x, np.cross(flat_z, flat_x), flat_z])
    return {name: c1 + to @ (xyz - flat["C1'"]) for name, xyz in flat.items() if name != "C1'"}


def _torsion_to_base(sugar: Atoms) -> float:
    """C4'-O4'-C1'-N: the base is on the other side of the ring than O2' would be on a mirror image."""
    return _torsion(sugar["C4'"], sugar["O4'"], sugar["C1'"], sugar["C2'"]) - 120


def _length_and_angle(flat: Atoms, first: str, second: str) -> tuple[float, float]:
    back, on = flat["C1'"] - flat[first], flat[second] - flat[first]
    length = float(np.linalg.norm(on))
    return length, float(np.degrees(np.arccos(back @ on / np.linalg.norm(back) / length)))
