"""Model against model: how much of a structure a model that was built, by hand or by a program, has right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..errors import InputError

NEAR = 3.0  # A; the field's limit (phenix.chain_comparison; the tables of CryoSAMU and others)
TRACED = {"protein": "CA", "nucleic": "P"}


@dataclass(frozen=True)
class Backbone:
    """C alphas (protein) and P atoms (nucleic acid) of a built model and of the true one, matched one to one.

    Attributes:
        residues: of the true model.
        built: of the built model.
        matched: pairs within `NEAR`.
        coverage: share of the true model's residues that are matched.
        precision: share of the built model's residues that are matched.
        same_name: share of the pairs that are of one residue type.
        rmsd: of the pairs, in A; nan without any.
        fragment: mean length of the stretches of neighbours that are matched without a gap.
    """

    residues: int
    built: int
    matched: int
    coverage: float
    precision: float
    same_name: float
    rmsd: float
    fragment: float


def compare_models(built: AtomicModel, true: AtomicModel) -> Backbone:
    """Match the residues of two models, the nearest pairs first.

    Raises:
        InputError: a model has neither protein nor nucleic acid.
    """
    residues, positions = _traced(built)
    true_residues, true_positions = _traced(true)
    distances = cKDTree(true_positions).sparse_distance_matrix(
        cKDTree(positions), NEAR, output_type="coo_matrix"
    )
    order = np.argsort(distances.data, kind="stable")
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    squares = 0.0
    for i, j, d in zip(distances.row[order], distances.col[order], distances.data[order], strict=True):
        if int(i) not in pairs and int(j) not in taken:
            pairs[int(i)] = int(j)
            taken.add(int(j))
            squares += float(d) ** 2
    names = [
        true.residues[true_residues[i]].name == built.residues[residues[j]].name for i, j in pairs.items()
    ]
    count = len(pairs)
    return Backbone(
        residues=len(true_residues),
        built=len(residues),
        matched=count,
        coverage=count / len(true_residues),
        precision=count / len(residues),
        same_name=sum(names) / count if count else 0.0,
        rmsd=float(np.sqrt(squares / count)) if count else float("nan"),
        fragment=_mean_fragment(pairs, true, true_residues),
    )


def _traced(model: AtomicModel) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n,) of the residues with a traced atom, in order, and its positions (n, 3); the first conformation."""
    wanted = np.zeros(len(model), bool)
    for kind, name in TRACED.items():
        wanted |= (model.atom_kinds == kind) & (model.atom_names == name)
    atoms = np.flatnonzero(wanted)
    if not len(atoms):
        raise InputError(f"{model.name}: no C alpha of protein and no P of nucleic acid to compare")
    residues, first = np.unique(model.residue_indices[atoms], return_index=True)
    return residues, model.positions[atoms[first]]


def _mean_fragment(pairs: dict[int, int], true: AtomicModel, residues: np.ndarray) -> float:
    """A stretch ends where a residue isn't matched, its partner isn't the last one's neighbour, or a chain ends."""
    lengths: list[int] = []
    for i in sorted(pairs):
        goes_on = (
            i - 1 in pairs
            and abs(pairs[i] - pairs[i - 1]) == 1
            and true.residues[residues[i]].chain_id == true.residues[residues[i - 1]].chain_id
        )
        if goes_on:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return float(np.mean(lengths)) if lengths else 0.0
