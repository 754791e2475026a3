"""Scores by class of molecule, and of every single ligand, after Berkeley et al. (2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..density import DensityMap, values_at
from .correlation import ModelMap
from .residues import residue_correlations

CLASSES = (
    "protein_main_chain",
    "protein_side_chain",
    "nucleic_backbone",
    "nucleic_base",
    "ligand",
    "lipid",
    "glycan",
    "ion",
    "water",
)
# A lipid's atoms are near protein within that many A of an atom of it: its first shell.
NEAR_PROTEIN = 5.0
# Residues that are rows of their own.
SINGLE_KINDS = ("ligand", "lipid", "glycan", "ion")
# A ligand is marked when its Q falls by more.
Q_LOSS = 0.05


@dataclass(frozen=True)
class ClassScores:
    """Q over atoms and RSCC over residues of one class: mean, spread (standard deviation) and count."""

    q_mean: float
    q_sd: float
    q_count: int
    rscc_mean: float
    rscc_sd: float
    rscc_count: int


@dataclass(frozen=True)
class LigandScores:
    """One ligand, lipid, glycan or ion in one map.

    Attributes:
        residue: index into the model's residues.
        q: mean Q of its atoms.
        rscc: its real-space correlation.
        density: mean density at its atoms.
        above_contour: whether that is above the map's contour.
        marks: what became worse than in the first map, in words; empty for the first.
    """

    residue: int
    q: float
    rscc: float
    density: float
    above_contour: bool
    marks: tuple[str, ...] = ()


def atom_classes(model: AtomicModel) -> np.ndarray:
    """The class (see `CLASSES`) of each atom, str (n,).

    Main chain is N, CA, C, O, OXT, as in Q-score tables, so CB is side chain here. A nucleotide's backbone is
    phosphate and sugar (names with a prime, once a star), the rest its base.
    """
    kinds, names = model.atom_kinds, model.atom_names
    classes = kinds.astype("<U20")
    main = np.isin(names, ("N", "CA", "C", "O", "OXT"))
    classes[kinds == "protein"] = "protein_side_chain"
    classes[(kinds == "protein") & main] = "protein_main_chain"
    sugar = (np.char.find(names.astype(str), "'") >= 0) | (np.char.find(names.astype(str), "*") >= 0)
    phosphate = np.isin(names, ("P", "OP1", "OP2", "OP3", "O1P", "O2P", "O3P"))
    classes[kinds == "nucleic"] = "nucleic_base"
    classes[(kinds == "nucleic") & (sugar | phosphate)] = "nucleic_backbone"
    return classes


def class_scores(
    density: DensityMap, computed: ModelMap, model: AtomicModel, q: np.ndarray, radius: float
) -> dict[str, ClassScores]:
    """Scores of every class that has atoms, and of its lipids near protein and far from it.

    Args:
        density: the map.
        computed: the model's map on its grid.
        model: the atoms.
        q: Q of each atom (n,), nan for hydrogens.
        radius: of the spheres for RSCC (A); the class's atoms alone of each residue are taken.
    """
    classes = atom_classes(model)
    groups = {name: classes == name for name in CLASSES} | lipid_parts(model)
    result = {}
    for name, members in groups.items():
        if members.any():
            rscc = residue_correlations(density.values, computed, model.subset(members), radius)
            result[name] = ClassScores(*_summary(q[members]), *_summary(rscc))
    return result


def lipid_parts(model: AtomicModel) -> dict[str, np.ndarray]:
    """Which atoms are of lipids near protein, and of lipids far from it, bool (n,) each; empty without either.

    Berkeley et al. saw networks keep lipids at a channel and erase those farther out. They name no distance; this is
    by atom.
    """
    lipid, protein = (model.atom_kinds == kind for kind in ("lipid", "protein"))
    if not (lipid.any() and protein.any()):
        return {}
    near = np.zeros(len(model), bool)
    near[lipid] = np.isfinite(
        cKDTree(model.positions[protein]).query(
            model.positions[lipid], distance_upper_bound=NEAR_PROTEIN
        )[0]
    )
    return {"lipid_near_protein": near, "lipid_far_from_protein": lipid & ~near}


def _summary(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard deviation and count of the values that are not nan."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan"), 0
    return float(values.mean()), float(values.std()), len(values)


def ligand_scores(
    density: DensityMap,
    model: AtomicModel,
    residue_q: np.ndarray,
    rscc: np.ndarray,
    contour: float,
    wanted: tuple[str, ...] = SINGLE_KINDS,
) -> dict[int, LigandScores]:
    """Scores of each ligand, lipid, glycan and ion, by index of its residue.

    Args:
        density: the map.
        model: the atoms.
        residue_q: mean Q of each residue.
        rscc: RSCC of each residue.
        contour: the level of the map above which there is density.
        wanted: kinds of residues, if others.
    """
    kinds = np.array([r.kind for r in model.residues])
    heavy = np.flatnonzero(np.isin(kinds, wanted)[model.residue_indices] & (model.atomic_numbers != 1))
    at_atoms = values_at(density, model.positions[heavy])
    result = {}
    for index in np.unique(model.residue_indices[heavy]).tolist():
        level = float(at_atoms[model.residue_indices[heavy] == index].mean())
        result[index] = LigandScores(
            index, float(residue_q[index]), float(rscc[index]), level, bool(level > contour)
        )
    return result


def marks(first: LigandScores, now: LigandScores) -> tuple[str, ...]:
    """What became worse between the first map and this: Q down by over 0.05, density below the contour."""
    found = []
    if first.q - now.q > Q_LOSS:
        found.append(f"Q fell by {first.q - now.q:.2f}")
    if first.above_contour and not now.above_contour:
        found.append("density fell below the contour")
    return tuple(found)


def residue_means(values: np.ndarray, model: AtomicModel) -> np.ndarray:
    """Mean over each residue's atoms of values (n,), nan left out; nan for a residue without any."""
    good = np.isfinite(values)
    owners = model.residue_indices[good]
    counts = np.bincount(owners, minlength=len(model.residues))
    sums = np.bincount(owners, values[good], len(model.residues))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def class_changes(first: Mapping[str, ClassScores], now: Mapping[str, ClassScores]) -> dict[str, dict]:
    """Change of the mean Q and mean RSCC of each class against the first map."""
    return {
        name: {
            "q_change": scores.q_mean - first[name].q_mean,
            "rscc_change": scores.rscc_mean - first[name].rscc_mean,
        }
        for name, scores in now.items()
        if name in first
    }
