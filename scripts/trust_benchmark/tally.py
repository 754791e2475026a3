"""Count what a judgement found, missed and made up, and how much of the lost ligands came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.metrics.changes import MoleculeChanges
from cryomap.metrics.correlation import correlations, model_map
from cryomap.metrics.qscore import q_scores
from cryomap.trust.judgement import Trust

from .complexes import Complex, extra_signal, signal_of
from .truth import components

LOST = 0.5  # a component is lost where the result keeps less than this share
CLEAR = 5.0  # own density over the noise, for a component that the input shows
OWN = 0.5  # of the density at a component, its own; the rest are its neighbours' tails
TOUCH = 2.0  # A between a region and what it is taken to be


@dataclass(frozen=True)
class Case:
    """A component that was lost, and that the input shows.

    Attributes:
        kind: of `cryomap.atoms.KINDS`.
        kept: of it, 0..1.
        strength: its own density over the noise.
        found: whether a lost region is there.
        named: whether the trust section has a row of it, or counts it among the lost waters.
    """

    kind: str
    kept: float
    strength: float
    found: bool
    named: bool


@dataclass(frozen=True)
class Waters:
    """The waters of one map: how many, the mean share kept, mean Q in the input and in the result, and whether the
    trust section calls them worse.
    """

    count: int
    kept: float
    q: tuple[float, float]
    worse: bool


@dataclass(frozen=True)
class Truth:
    """What one result lost and invented.

    Attributes:
        kept: (n,), the share of each atom that the result keeps.
        blobs: invented atoms (m, 3), one array a blob.
        was_lost: whether the molecule's density is lost in a region's voxels (m, 3), z, y, x.
    """

    kept: np.ndarray
    blobs: list[np.ndarray]
    was_lost: Callable[[np.ndarray], bool]


@dataclass
class Tally:
    """One map. `clear` components stand above contour and noise by their own density, and all density at their atoms is
    on average above the contour; others do not.

    Attributes:
        story: what was simulated.
        support: the judgement's.
        clear: the clear lost components.
        faint_lost, faint_found: the other lost components, and those among them with a lost region.
        false: reported regions with nothing lost there.
        rows_kept: rows of the trust section about components that weren't lost.
        waters: of maps that show any.
        invented, invented_found, invented_false: blobs placed, found, and regions reported where none was.
        q: (before, after, kept) mean Q of each clear lost component that was reported.
        cc_drop: what giving back took from the protein's CC_mask.
        missed, wrong: in words.
    """

    story: str
    support: float = float("nan")
    clear: list[Case] = field(default_factory=list)
    faint_lost: int = 0
    faint_found: int = 0
    false: int = 0
    rows_kept: int = 0
    waters: Waters | None = None
    invented: int = 0
    invented_found: int = 0
    invented_false: int = 0
    q: list[tuple[float, float, float]] = field(default_factory=list)
    cc_drop: float = 0.0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def count(
    complex_: Complex,
    truth: Truth,
    trust: Trust,
    level: float,
    noise: float,
) -> tuple[Tally, list[np.ndarray]]:
    """Match regions, and rows of molecules if there are any, with what was lost and invented.

    Args:
        complex_: the simulated complex.
        truth: of the result.
        trust: the judgement.
        level: contour of the input.
        noise: true standard deviation of the input's noise.

    Returns:
        The figures, and the clear lost components that were reported.
    """
    model = complex_.model
    tally = Tally(complex_.story, trust.mean_support)
    regions = [r.voxels[:, ::-1].astype(float) for r in trust.lost]
    changes = trust.molecules or MoleculeChanges()
    rows = {change.residue for change in changes.flagged}.union(changes.waters_lost)
    reported = []
    whole = signal_of(complex_, np.ones(len(model), bool))
    for part in components(model):
        kept, residue = truth.kept[part[0]], model.residues[model.residue_indices[part[0]]]
        if kept >= LOST:
            tally.rows_kept += residue.kind != "water" and str(residue) in rows
            continue
        peak, own = _own_density(complex_, part, whole)
        hit = any(cKDTree(v).query(model.positions[part])[0].min() <= TOUCH for v in regions)
        if peak > max(level, CLEAR * noise) and own > OWN and _mean_at(whole, model.positions[part]) > level:
            case = Case(residue.kind, round(float(kept), 3), peak / noise, hit, str(residue) in rows)
            tally.clear.append(case)
            if hit:
                reported.append(part)
            else:
                facts = f"{len(part)} atoms, kept {kept:.2f}, own {peak / noise:.0f} sigma, {own:.2f}"
                tally.missed.append(f"{residue} ({facts}{', named' if case.named else ''})")
        else:
            tally.faint_lost, tally.faint_found = tally.faint_lost + 1, tally.faint_found + hit
    if changes.water_q is not None:
        kept = truth.kept[(model.atom_kinds == "water")]
        tally.waters = Waters(
            changes.waters, round(float(kept.mean()), 3), changes.water_q, changes.waters_worse
        )
    _count_false(tally, complex_, truth, trust, level)
    found = [r.voxels[:, ::-1].astype(float) for r in trust.invented]
    tally.invented = len(truth.blobs)
    tally.invented_found = sum(any(cKDTree(v).query(b)[0].min() < TOUCH for v in found) for b in truth.blobs)
    tally.invented_false = sum(
        not any(cKDTree(v).query(b)[0].min() < reach(complex_) for b in truth.blobs) for v in found
    )
    return tally, reported


def _own_density(complex_: Complex, part: np.ndarray, whole: np.ndarray) -> tuple[float, float]:
    """Peak of a component's own noiseless density, and its share of all density where it is above half of that."""
    chosen = np.zeros(len(complex_.model), bool)
    chosen[part] = True
    own = signal_of(complex_, chosen)
    core = own > 0.5 * own.max()
    return float(own.max()), float(own[core].sum() / max(whole[core].sum(), 1e-9))


def _mean_at(values: np.ndarray, positions: np.ndarray) -> float:
    """Mean of values (z, y, x) at the voxels nearest to positions (n, 3), x, y, z."""
    return float(values[tuple(np.rint(positions[:, ::-1]).astype(int).T)].mean())


def _count_false(tally: Tally, complex_: Complex, truth: Truth, trust: Trust, level: float) -> None:
    extra = np.zeros((0, 3))
    if complex_.extra is not None:  # detergent and blobs of the input, which the result leaves out
        extra = np.argwhere(extra_signal(complex_) > 0.5 * level)
    for region in trust.lost:
        near = len(extra) and cKDTree(extra).query(region.voxels)[0].min() <= reach(complex_)
        if not near and not truth.was_lost(region.voxels):
            tally.false += 1
            tally.wrong.append(
                f"{region.nearest} {region.volume:.0f} A^3, {region.peak_sigma:.1f} sigma, {region.share:.2f}"
            )


def reach(complex_: Complex) -> float:
    """How far (A) from what was lost or invented on purpose a region may lie."""
    return max(TOUCH, complex_.resolution / 2)


def lost_atoms(complex_: Complex, kept: np.ndarray, distance: float) -> Callable[[np.ndarray], bool]:
    """Whether voxels (m, 3), z, y, x, are within a distance (A) of an atom that was lost."""
    atoms = complex_.model.positions[kept < LOST]
    return lambda voxels: bool(len(atoms) and cKDTree(atoms).query(voxels[:, ::-1])[0].min() <= distance)


def measure_return(
    tally: Tally,
    complex_: Complex,
    parts: list[np.ndarray],
    maps: tuple[DensityMap, DensityMap, DensityMap],
) -> None:
    """Q of the parts in the input, the result and the restored result; CC_mask of the protein in the last two."""
    model = complex_.model
    for part in parts:
        near = cKDTree(model.positions[part]).query(model.positions)[0] < 6
        some = model.subset(near)
        own = np.isin(np.flatnonzero(near), part)
        tally.q.append(tuple(float(np.nanmean(q_scores(m, some)[own])) for m in maps))
    protein = replace(model.subset(model.atom_kinds == "protein"), name="protein")
    if parts and len(protein):
        lost, kept = (_cc_mask(m, protein, complex_.resolution) for m in maps[1:])
        tally.cc_drop = lost - kept


def _cc_mask(density: DensityMap, protein: AtomicModel, resolution: float) -> float:
    return correlations(density, model_map(protein, density.grid, resolution)).mask
