"""The whole assessment: maps against a model, against a map, or both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap, resample
from ..errors import InputError
from ..grid import Grid
from . import classes, cubes, fourier, residues
from .correlation import (
    HR_RESOLUTION,
    ModelMap,
    correlations,
    fixed_scale,
    model_map,
    nth_largest,
    pearson,
)
from .inputs import check_map, choose_resolution, prepare_model
from .masks import soft_mask
from .qscore import SIGMA, expected_q, q_scores
from .results import CUBES_NOTE, SCALE_NOTE, MapScores, Report

METRICS = ("cc", "fsc", "qscore", "classes", "cubes")
# mtriage widens a mask by twice the resolution, and smooths it by as much.
MASK_RADIUS_PER_RESOLUTION = 2.0


def assess(
    maps: Sequence[DensityMap],
    model: AtomicModel | None = None,
    against: DensityMap | None = None,
    *,
    resolution: float | None = None,
    metrics: Collection[str] = ("all",),
    mask: np.ndarray | None = None,
    sigma: float = SIGMA,
    levels: Sequence[float | None] | None = None,
    stride: int = cubes.STRIDE,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Assess maps against a model, against another map, or both.

    Args:
        maps: one or more; with two, the first is the one the others are compared with (deposited, enhanced ...).
        model: atoms in the maps' frame.
        against: a map, say the other half map; on another grid it is interpolated (trilinear) onto each map's.
        resolution: of the maps, in A; d99 of the first map if None.
        metrics: of "cc", "fsc", "qscore", "classes", "cubes", or "all". Classes need Q-scores and RSCC, and bring
            them along.
        mask: (z, y, x) on the first map's grid, inside where above 0.5; used in place of the masks made from the
            model, and needed for masked map-map figures.
        sigma: of the Q-scores' reference Gaussian, in A.
        levels: contour of each map, for "density below the contour"; where None, the level that encloses
            as many voxels as the molecular mask has.
        stride: between cubes, in A.
        progress: called with a few words before each step.

    Raises:
        InputError: nothing to compare with, an unknown metric, maps or model without content, a model
            outside the maps, a mask of another shape or that leaves nothing, a nonsensical resolution or sigma.
    """
    chosen = _chosen(metrics)
    _check(maps, model, against, sigma)
    used, notes = choose_resolution(resolution, maps[0])
    whole = None
    if model is not None:
        whole = prepare_model(model, maps)
        notes += whole.notes
        if "cc" in chosen:
            notes.append(SCALE_NOTE)
        if "qscore" in chosen:
            notes.append(f"Q-scores with sigma {sigma:g} A (0.6 is the publication's, EMDB reports 0.4)")
        if "cubes" in chosen:
            notes.append(CUBES_NOTE)
    if against is not None and any(against.grid != density.grid for density in maps):
        notes.append(f"{against.name} was interpolated onto the grid of each map (trilinear)")
    shared: dict[Grid, _OnGrid] = {}
    found: list[MapScores] = []
    for index, density in enumerate(maps):
        work = shared.get(density.grid)
        if work is None:
            own_mask = _mask_on(mask, maps[0].grid, density.grid)
            work = _OnGrid(density.grid, whole and whole.model, used, own_mask)
            shared = {density.grid: work}
        say = (lambda step, name=density.name: progress(f"{name}: {step}")) if progress else lambda step: None
        scores = MapScores(density.name, density.frame)
        if against is not None:
            say("comparing maps")
            scores = _against_map(scores, density, resample(against, density.grid), work, chosen)
        if whole is not None:
            level = levels[index] if levels else None
            scores = _against_model(scores, density, work, chosen, sigma, level, say)
            if "cubes" in chosen:
                say("cubes")
                scores = _with_cubes(scores, density, whole.model, maps[0], used, stride, found)
            scores = _spread(scores, whole.kept, len(model))
            if found and scores.ligands:
                scores = replace(scores, ligands=_marked(found[0].ligands, scores.ligands))
        found.append(scores)
    return Report(tuple(found), model, against.name if against else "", used, sigma, chosen, tuple(notes))


def _chosen(metrics: Collection[str]) -> tuple[str, ...]:
    """The wanted groups in fixed order, with those they need."""
    names = {metrics} if isinstance(metrics, str) else set(metrics)
    unknown = sorted(names - {*METRICS, "all"})
    if unknown or not names:
        raise InputError(
            f"unknown metric {', '.join(unknown) or '(none)'}; choose from {', '.join(METRICS)} and all"
        )
    if "all" in names:
        return METRICS
    if "classes" in names:
        names |= {"cc", "qscore"}
    return tuple(name for name in METRICS if name in names)


def _check(
    maps: Sequence[DensityMap], model: AtomicModel | None, against: DensityMap | None, sigma: float
) -> None:
    if not maps:
        raise InputError("no map to assess")
    if model is None and against is None:
        raise InputError("nothing to compare the map with; give a model or a second map")
    for density in (*maps, *([against] if against is not None else [])):
        check_map(density)
    if not (np.isfinite(sigma) and 0.05 <= sigma <= 5):
        raise InputError(f"sigma {sigma:g} A: give the width of an atom, 0.6 (published) or 0.4 A (EMDB)")


def _mask_on(mask: np.ndarray | None, source: Grid, grid: Grid) -> np.ndarray | None:
    if mask is None or source == grid:
        return mask
    if mask.shape != source.shape:
        raise InputError(f"the mask has {mask.shape} voxels (z, y, x), the first map {source.shape}")
    return resample(DensityMap(np.asarray(mask, np.float32), source, "mask"), grid).values


@dataclass(frozen=True)
class _OnGrid:
    """What depends on a grid and the model alone; computed once, when first needed."""

    grid: Grid
    model: AtomicModel | None
    resolution: float
    mask: np.ndarray | None

    @cached_property
    def computed(self) -> ModelMap:
        return model_map(self.model, self.grid, self.resolution, self.mask)

    @cached_property
    def computed_hr(self) -> ModelMap:
        return model_map(fixed_scale(self.model), self.grid, HR_RESOLUTION, self.mask)

    @cached_property
    def radius(self) -> float:
        return residues.region_radius(self.model, self.resolution)

    @cached_property
    def reflections(self) -> fourier.Reflections:
        return fourier.reflections(self.grid)

    @cached_property
    def factors(self) -> np.ndarray:
        return self.reflections.of_model(self.model)

    @cached_property
    def factors_b0(self) -> np.ndarray:
        return self.reflections.of_model(fourier.without_b_factors(self.model))

    @cached_property
    def soft_mask(self) -> np.ndarray | None:
        if self.mask is not None:
            return np.asarray(self.mask, np.float32)
        if self.model is None:
            return None
        return soft_mask(self.model, self.grid, MASK_RADIUS_PER_RESOLUTION * self.resolution)


def _against_map(
    scores: MapScores, density: DensityMap, other: DensityMap, work: _OnGrid, chosen: tuple[str, ...]
) -> MapScores:
    """Map-map correlation and FSC; those of half maps are d_fsc_0143."""
    figures, curves = dict(scores.figures), dict(scores.curves)
    if "cc" in chosen:
        figures["map_cc"] = pearson(density.values, other.values)
        if work.mask is not None:
            inside = work.mask > 0.5
            if not inside.any():
                raise InputError("the mask excludes every voxel (none is above 0.5); give another mask")
            figures["map_cc_masked"] = pearson(density.values[inside], other.values[inside])
    if "fsc" in chosen:
        for suffix, mask in (("", None), ("_masked", work.soft_mask)):
            if suffix and mask is None:
                continue
            first, second = (
                work.reflections.of_map(values if mask is None else values * mask)
                for values in (density.values, other.values)
            )
            curve = fourier.shell_correlation(first, second, work.reflections.d)
            curves[f"fsc_map{suffix}"] = curve
            figures[f"d_fsc_0143{suffix}"] = fourier.resolution_at(curve, 0.143)
            figures[f"d_fsc_05{suffix}"] = fourier.resolution_at(curve, 0.5)
    return replace(scores, figures=figures, curves=curves)


def _against_model(
    scores: MapScores,
    density: DensityMap,
    work: _OnGrid,
    chosen: tuple[str, ...],
    sigma: float,
    level: float | None,
    say: Callable[[str], None],
) -> MapScores:
    if "cc" in chosen:
        say("correlations")
        scores = _with_correlations(scores, density, work)
    if "fsc" in chosen:
        say("Fourier shells")
        scores = _with_fourier(scores, density, work)
    if "qscore" in chosen:
        say("Q-scores")
        q = q_scores(density, work.model, sigma)
        figures = {**scores.figures, "q_mean": float(np.nanmean(q)), "q_sigma": sigma}
        if abs(sigma - SIGMA) < 1e-6:
            figures["q_expected"] = expected_q(work.resolution)
        by_residue = classes.residue_means(q, work.model)
        scores = replace(scores, figures=figures, atom_q=q, residue_q=by_residue)
    if "cc" in chosen or "qscore" in chosen:
        scores = replace(scores, chains=_chains(scores, density, work))
    if "classes" in chosen:
        say("classes")
        if level is None:
            level = nth_largest(density.values, int(work.computed.mask.sum()))
        by_class = classes.class_scores(density, work.computed, work.model, scores.atom_q, work.radius)
        ligands = classes.ligand_scores(density, work.model, scores.residue_q, scores.residue_rscc, level)
        scores = replace(
            scores, classes=by_class, ligands=ligands, figures={**scores.figures, "contour": level}
        )
    return scores


def _with_correlations(scores: MapScores, density: DensityMap, work: _OnGrid) -> MapScores:
    model, values = work.model, density.values
    figures = dict(scores.figures)
    for suffix, computed in (("", work.computed), ("_hr", work.computed_hr)):
        found = correlations(density, computed)
        for name in ("box", "mask", "volume", "peaks"):
            figures[f"cc_{name}{suffix}"] = getattr(found, name)
    main = residues.is_main_chain(model)
    for name, members in (("main", main), ("side", (model.atom_kinds == "protein") & ~main)):
        figures[f"rscc_{name}_chain"] = residues.region_correlation(
            values, work.computed, model.positions[members], work.radius
        )
    by_residue = [
        residues.residue_correlations(values, work.computed, part, work.radius)
        for part in (model, model.subset(main), model.subset((model.atom_kinds == "protein") & ~main))
    ]
    return replace(
        scores,
        figures=figures,
        residue_rscc=by_residue[0],
        residue_main_chain=by_residue[1],
        residue_side_chain=by_residue[2],
    )


def _with_fourier(scores: MapScores, density: DensityMap, work: _OnGrid) -> MapScores:
    figures, curves = dict(scores.figures), dict(scores.curves)
    for suffix in ("", "_masked"):
        values = density.values * work.soft_mask if suffix else density.values
        observed = work.reflections.of_map(values)
        found = fourier.assess_model(observed, work.factors, work.factors_b0, work.reflections)
        for name in ("d99", "d_model", "d_model_b0", "d_fsc_model_0", "d_fsc_model_0143", "d_fsc_model_05"):
            figures[f"{name}{suffix}"] = getattr(found, name)
        curves[f"fsc_model{suffix}"] = found.curve
    return replace(scores, figures=figures, curves=curves)


def _chains(scores: MapScores, density: DensityMap, work: _OnGrid) -> tuple[dict, ...]:
    """RSCC and mean Q of each chain, in file order."""
    model = work.model
    names = [residue.chain_id for residue in model.residues]
    of_atom = np.array(names)[model.residue_indices]
    rows = []
    for name in dict.fromkeys(names):
        members = of_atom == name
        if not members.any():
            continue
        row = {"chain": name, "atoms": int(members.sum())}
        if scores.residue_rscc is not None:
            positions = model.positions[members]
            row["rscc"] = residues.region_correlation(density.values, work.computed, positions, work.radius)
        if scores.atom_q is not None:
            q = scores.atom_q[members]
            row["q"] = float(np.nanmean(q)) if np.isfinite(q).any() else None
        rows.append(row)
    return tuple(rows)


def _with_cubes(
    scores: MapScores,
    density: DensityMap,
    model: AtomicModel,
    first: DensityMap,
    resolution: float,
    stride: int,
    before: list[MapScores],
) -> MapScores:
    grid = cubes.common_grid(first, model)
    found = cubes.cube_correlations(density, model, grid, resolution, stride)
    comparison = cubes.compare(before[0].cubes if before else found, found)
    return replace(scores, cubes=found, cube_comparison=comparison)


def _spread(scores: MapScores, kept: np.ndarray, atoms: int) -> MapScores:
    """Q of the atoms that were kept, as an array over all atoms given."""
    if scores.atom_q is None:
        return scores
    q = np.full(atoms, np.nan)
    q[kept] = scores.atom_q
    return replace(scores, atom_q=q)


def _marked(first: dict, now: dict) -> dict:
    """The ligands of a later map, marked where they became worse."""
    return {
        index: replace(ligand, marks=classes.marks(first[index], ligand)) if index in first else ligand
        for index, ligand in now.items()
    }
