"""What an enhanced map made of every ligand, lipid, glycan, ion, nucleotide, and of the waters of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..density import DensityMap, values_at
from .classes import Q_LOSS, SINGLE_KINDS, ligand_scores, marks, residue_means
from .correlation import nth_largest
from .inputs import choose_resolution, prepare_model
from .measures import OnGrid
from .qscore import SIGMA, q_scores
from .residues import residue_correlations
from .results import number

NEIGHBOURS = 4.0  # A; atoms farther away have no say in a Q-score
KEPT = 0.5  # of a water's density, relative to what atoms of protein and nucleic acid keep; less is lost
WATERS_LOST = "fell below the contour or lost over half of their density"
FEWEST = 50  # such atoms above the contour, for that to be known


@dataclass(frozen=True)
class MoleculeChange:
    """One ligand, lipid, glycan, ion or nucleotide in the input and in the result.

    Attributes:
        residue: as in "/A:301 HEM".
        kind: of `cryomap.atoms.KINDS`.
        q: mean Q of its atoms in the input and in the result.
        rscc: its real-space correlation in both; None where the density is constant.
        marks: what became worse, in words, see `metrics.classes.marks`.
    """

    residue: str
    kind: str
    q: tuple[float, float]
    rscc: tuple[float | None, float | None]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoleculeChanges:
    """All of them.

    Attributes:
        molecules: ligands, lipids, glycans and ions, the largest loss of Q first.
        nucleotides: the same of the nucleic acids' residues.
        waters: how many waters there are.
        water_q: mean Q of the waters in the input and in the result; None without any.
        waters_shown: how many of them have density above the input's contour.
        waters_lost: those among these whose density is below the result's, or less than half of what it were if it had
            changed as that of protein and nucleic acid.
    """

    molecules: tuple[MoleculeChange, ...] = ()
    nucleotides: tuple[MoleculeChange, ...] = ()
    waters: int = 0
    water_q: tuple[float, float] | None = None
    waters_shown: int = 0
    waters_lost: tuple[str, ...] = ()

    @property
    def flagged(self) -> tuple[MoleculeChange, ...]:
        """Those that became worse: the rows that `mapcc` marks."""
        return tuple(change for change in self.molecules if change.marks)

    @property
    def waters_worse(self) -> bool:
        """Whether the waters' mean Q fell by as much as marks a ligand, or most that showed are lost."""
        fell = self.water_q is not None and self.water_q[0] - self.water_q[1] > Q_LOSS
        return fell or 2 * len(self.waters_lost) > self.waters_shown


def molecule_changes(
    before: DensityMap,
    after: DensityMap,
    model: AtomicModel,
    *,
    resolution: float | None = None,
    levels: Sequence[float | None] = (None, None),
    background: float = 0.0,
) -> MoleculeChanges:
    """Q, RSCC and density of the small molecules, nucleotides and waters, as `assess` has them with the same arguments.

    Args:
        before: the input.
        after: the result.
        model: atoms in their frame.
        resolution: of the input, in A; its d99 if None.
        levels: contours of the two; where None, the level that encloses as many voxels as the molecular mask.
        background: of the input, where there is no density.

    Raises:
        InputError: a model outside the maps, or one without a known element.
    """
    used, _ = choose_resolution(resolution, before)
    whole = prepare_model(model, (before, after)).model
    wanted = np.isin(whole.atom_kinds, (*SINGLE_KINDS, "nucleic", "water")) & (whole.atomic_numbers > 1)
    if not wanted.any():
        return MoleculeChanges()
    near = (
        cKDTree(whole.positions[wanted]).query(whole.positions, distance_upper_bound=NEIGHBOURS)[0] < np.inf
    )
    some, work, scores, waters = whole.subset(near), None, [], []
    polymer = whole.positions[np.isin(whole.atom_kinds, ("protein", "nucleic")) & (whole.atomic_numbers > 1)]
    contours, at_polymer = [], []
    water = (some.atom_kinds == "water") & (some.atomic_numbers > 1)
    for density, level in zip((before, after), levels, strict=True):
        if work is None or work.grid != density.grid:
            work = OnGrid(density.grid, whole, used, None)
        if level is None:
            level = nth_largest(density.values, int(work.computed.mask.sum()))
        contours.append(level)
        at_polymer.append(values_at(density, polymer))
        q = q_scores(density, some, SIGMA)
        chosen = whole.subset(wanted & (whole.atom_kinds != "water"))
        rscc = residue_correlations(density.values, work.computed, _all_atoms(whole, chosen), work.radius)
        kinds = (*SINGLE_KINDS, "nucleic", "water")
        scores.append(ligand_scores(density, whole, residue_means(q, some), rscc, level, kinds))
        waters.append(float(np.nanmean(q[water])) if water.any() else float("nan"))
    pairs = [(whole.residues[i], first, scores[1][i]) for i, first in scores[0].items()]
    changes = [
        MoleculeChange(
            str(residue),
            residue.kind,
            (round(first.q, 6), round(now.q, 6)),
            (number(first.rscc), number(now.rscc)),
            marks(first, now),
        )
        for residue, first, now in pairs
        if residue.kind != "water"
    ]
    usual = _usual_change(at_polymer[0] - background, at_polymer[1], contours[0] - background)
    shown = [(str(r), first, now) for r, first, now in pairs if r.kind == "water" and first.above_contour]
    lost = [
        name
        for name, first, now in shown
        if not now.above_contour or now.density < KEPT * usual * (first.density - background)
    ]
    changes.sort(key=lambda change: change.q[1] - change.q[0])
    return MoleculeChanges(
        tuple(change for change in changes if change.kind != "nucleic"),
        tuple(change for change in changes if change.kind == "nucleic"),
        int(np.count_nonzero(water)),
        (round(waters[0], 6), round(waters[1], 6)) if water.any() else None,
        len(shown),
        tuple(lost),
    )


def _usual_change(before: np.ndarray, after: np.ndarray, level: float) -> float:
    """How many times as large density is in the result as in the input, at atoms (n,) that showed; 0 if few did."""
    shown = before > max(level, 0)
    return float(np.median(after[shown] / before[shown])) if np.count_nonzero(shown) >= FEWEST else 0.0


def _all_atoms(whole: AtomicModel, chosen: AtomicModel) -> AtomicModel:
    """The chosen residues with their hydrogens, which count in RSCC."""
    return whole.subset(np.isin(whole.residue_indices, np.unique(chosen.residue_indices)))
