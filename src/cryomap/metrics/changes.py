"""What an enhanced map made of every ligand, lipid, glycan, ion, nucleotide, and of the waters of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..density import DensityMap
from .classes import SINGLE_KINDS, LigandScores, ligand_scores, marks, residue_means
from .correlation import nth_largest
from .inputs import choose_resolution, prepare_model
from .measures import OnGrid
from .qscore import SIGMA, q_scores
from .residues import residue_correlations
from .results import number

NEIGHBOURS = 4.0  # A; atoms farther away have no say in a Q-score


@dataclass(frozen=True)
class MoleculeChange:
    """One ligand, lipid, glycan, ion or nucleotide in the input and in the result.

    Attributes:
        residue: as in "/A:301 HEM".
        kind: of `cryomap.atoms.KINDS`.
        before: its scores in the input.
        after: its scores in the result, with the marks of what became worse.
    """

    residue: str
    kind: str
    before: LigandScores
    after: LigandScores

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "residue": self.residue,
            "kind": self.kind,
            "q": [number(self.before.q), number(self.after.q)],
            "rscc": [number(self.before.rscc), number(self.after.rscc)],
            "marks": list(self.after.marks),
        }


@dataclass(frozen=True)
class MoleculeChanges:
    """All of them.

    Attributes:
        molecules: ligands, lipids, glycans and ions, the largest loss of Q first.
        nucleotides: the same of the nucleic acids' residues.
        water_q: mean Q of the waters in the input and in the result; None without any.
        waters: how many there are.
    """

    molecules: tuple[MoleculeChange, ...]
    nucleotides: tuple[MoleculeChange, ...]
    water_q: tuple[float, float] | None
    waters: int

    @property
    def flagged(self) -> tuple[MoleculeChange, ...]:
        """Those that became worse: the rows that `mapcc` marks."""
        return tuple(change for change in self.molecules if change.after.marks)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "flagged": len(self.flagged),
            "molecules": [change.to_dict() for change in self.molecules],
            "nucleotides": [change.to_dict() for change in self.nucleotides],
            "waters": {"count": self.waters, "q": self.water_q and [number(q) for q in self.water_q]},
        }


def molecule_changes(
    before: DensityMap,
    after: DensityMap,
    model: AtomicModel,
    *,
    resolution: float | None = None,
    levels: Sequence[float | None] = (None, None),
) -> MoleculeChanges:
    """Q, RSCC and density of the small molecules, nucleotides and waters, as `assess` has them with the same arguments.

    Args:
        before: the input.
        after: the result.
        model: atoms in their frame.
        resolution: of the input, in A; its d99 if None.
        levels: contours of the two; where None, the level that encloses as many voxels as the molecular mask.

    Raises:
        InputError: a model outside the maps, or one without a known element.
    """
    used, _ = choose_resolution(resolution, before)
    whole = prepare_model(model, (before, after)).model
    wanted = np.isin(whole.atom_kinds, (*SINGLE_KINDS, "nucleic", "water")) & (whole.atomic_numbers > 1)
    if not wanted.any():
        return MoleculeChanges((), (), None, 0)
    near = (
        cKDTree(whole.positions[wanted]).query(whole.positions, distance_upper_bound=NEIGHBOURS)[0] < np.inf
    )
    some, work, scores, waters = whole.subset(near), None, [], []
    water = (some.atom_kinds == "water") & (some.atomic_numbers > 1)
    for density, level in zip((before, after), levels, strict=True):
        if work is None or work.grid != density.grid:
            work = OnGrid(density.grid, whole, used, None)
        if level is None:
            level = nth_largest(density.values, int(work.computed.mask.sum()))
        q = q_scores(density, some, SIGMA)
        chosen = whole.subset(wanted & (whole.atom_kinds != "water"))
        rscc = residue_correlations(density.values, work.computed, _all_atoms(whole, chosen), work.radius)
        kinds = (*SINGLE_KINDS, "nucleic")
        scores.append(ligand_scores(density, whole, residue_means(q, some), rscc, level, kinds))
        waters.append(float(np.nanmean(q[water])) if water.any() else float("nan"))
    changes = [
        MoleculeChange(
            str(whole.residues[index]),
            whole.residues[index].kind,
            first,
            replace(scores[1][index], marks=marks(first, scores[1][index])),
        )
        for index, first in scores[0].items()
    ]
    changes.sort(key=lambda change: change.after.q - change.before.q)
    return MoleculeChanges(
        tuple(change for change in changes if change.kind != "nucleic"),
        tuple(change for change in changes if change.kind == "nucleic"),
        (waters[0], waters[1]) if water.any() else None,
        int(np.count_nonzero(water)),
    )


def _all_atoms(whole: AtomicModel, chosen: AtomicModel) -> AtomicModel:
    """The chosen residues with their hydrogens, which count in RSCC."""
    return whole.subset(np.isin(whole.residue_indices, np.unique(chosen.residue_indices)))
