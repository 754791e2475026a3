"""Count what a judgement found, missed and made up, and how much of the lost ligands came back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.metrics.correlation import correlations, model_map
from cryomap.metrics.qscore import q_scores
from cryomap.trust.judgement import Trust

from .complexes import Complex, extra_signal, signal_of
from .truth import components

LOST = 0.5  # a component is lost where the result keeps less than this share
CLEAR = 5.0  # own density over the noise, for a component that the input shows
OWN = 0.5  # of the density at a component, its own; the rest are its neighbours' tails
TOUCH = 2.0  # A between a region and what it is taken to be


@dataclass
class Tally:
    """One map. `clear` components stand above contour and noise by their own density; others do not.

    Attributes:
        story: what was simulated.
        support: the judgement's.
        clear: (own density over noise, reported) of each clear lost component.
        clear_lost, clear_found, faint_lost, faint_found: lost components, and those among them that were reported.
        false: reported regions with nothing lost there.
        invented, invented_found, invented_false: blobs placed, found, and regions reported where none was.
        q: (before, after, kept) mean Q of each clear lost component that was reported.
        cc_drop: what giving back took from the protein's CC_mask.
        missed, wrong: in words.
    """

    story: str
    support: float = float("nan")
    clear: list[tuple[float, bool]] = field(default_factory=list)
    clear_lost: int = 0
    clear_found: int = 0
    faint_lost: int = 0
    faint_found: int = 0
    false: int = 0
    invented: int = 0
    invented_found: int = 0
    invented_false: int = 0
    q: list[tuple[float, float, float]] = field(default_factory=list)
    cc_drop: float = 0.0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def count(
    complex_: Complex, kept: np.ndarray, blobs: list[np.ndarray], trust: Trust, level: float, noise: float
) -> tuple[Tally, list[np.ndarray]]:
    """Match regions with what was lost and invented.

    Args:
        complex_: the simulated complex.
        kept: (n,), share of each atom that the result keeps.
        blobs: invented atoms (m, 3), one array a blob.
        trust: the judgement.
        level: contour of the input.
        noise: true standard deviation of the input's noise.

    Returns:
        The figures, and the clear lost components that were reported.
    """
    tally = Tally(complex_.story, trust.mean_support)
    regions = [r.voxels[:, ::-1].astype(float) for r in trust.lost]
    reported = []
    whole = signal_of(complex_, np.ones(len(complex_.model), bool))
    for part in components(complex_.model):
        if kept[part[0]] >= LOST:
            continue
        peak, own = _own_density(complex_, part, whole)
        hit = any(cKDTree(v).query(complex_.model.positions[part])[0].min() <= TOUCH for v in regions)
        if peak > max(level, CLEAR * noise) and own > OWN:
            tally.clear.append((peak / noise, hit))
            tally.clear_lost, tally.clear_found = tally.clear_lost + 1, tally.clear_found + hit
            name = str(complex_.model.residues[complex_.model.residue_indices[part[0]]])
            if hit:
                reported.append(part)
            else:
                facts = (
                    f"{len(part)} atoms, kept {kept[part[0]]:.2f}, own {peak / noise:.0f} sigma, {own:.2f}"
                )
                tally.missed.append(f"{name} ({facts})")
        else:
            tally.faint_lost, tally.faint_found = tally.faint_lost + 1, tally.faint_found + hit
    _count_false(tally, complex_, kept, regions, trust, level)
    reach = max(TOUCH, complex_.resolution / 2)
    found = [r.voxels[:, ::-1].astype(float) for r in trust.invented]
    tally.invented = len(blobs)
    tally.invented_found = sum(any(cKDTree(v).query(b)[0].min() < TOUCH for v in found) for b in blobs)
    tally.invented_false = sum(not any(cKDTree(v).query(b)[0].min() < reach for b in blobs) for v in found)
    return tally, reported


def _own_density(complex_: Complex, part: np.ndarray, whole: np.ndarray) -> tuple[float, float]:
    """Peak of a component's own noiseless density, and its share of all density where it is above half of that."""
    chosen = np.zeros(len(complex_.model), bool)
    chosen[part] = True
    own = signal_of(complex_, chosen)
    core = own > 0.5 * own.max()
    return float(own.max()), float(own[core].sum() / max(whole[core].sum(), 1e-9))


def _count_false(
    tally: Tally, complex_: Complex, kept: np.ndarray, regions: list[np.ndarray], trust: Trust, level: float
) -> None:
    truth = [complex_.model.positions[kept < LOST]]
    if complex_.extra is not None:  # detergent and blobs of the input, which the result leaves out
        truth.append(np.argwhere(extra_signal(complex_) > 0.5 * level)[:, ::-1].astype(float))
    truth = np.concatenate(truth)
    reach = max(TOUCH, complex_.resolution / 2)
    for region, voxels in zip(trust.lost, regions, strict=True):
        if not len(truth) or cKDTree(truth).query(voxels)[0].min() > reach:
            tally.false += 1
            tally.wrong.append(
                f"{region.nearest} {region.volume:.0f} A^3, {region.peak_sigma:.1f} sigma, {region.share:.2f}"
            )


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
