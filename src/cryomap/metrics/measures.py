"""One map's figures against a model or a map, each group by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap
from ..errors import InputError
from ..grid import Grid
from . import classes, cubes, fourier, residues
from .conformers import conformers, major_share
from .correlation import HR_RESOLUTION, ModelMap, correlations, fixed_scale, model_map, nth_largest, pearson
from .masks import soft_mask
from .phase_randomized import true_fsc
from .qscore import SIGMA, expected_q, q_scores
from .results import MapScores
from .unmodelled import unmodelled

# mtriage widens a mask by twice the resolution, and smooths it by as much.
MASK_RADIUS_PER_RESOLUTION = 2.0


@dataclass(frozen=True)
class OnGrid:
    """What depends on a grid and the model alone; computed once, when first needed."""

    grid: Grid
    model: AtomicModel | None
    resolution: float
    mask: np.ndarray | None

    @property
    def atoms(self) -> AtomicModel:
        """The model, for what can't be without one."""
        if self.model is None:
            raise InputError("there is no model to compare with; give one")
        return self.model

    @cached_property
    def computed(self) -> ModelMap:
        """The model's map at the resolution."""
        return model_map(self.atoms, self.grid, self.resolution, self.mask)

    @cached_property
    def computed_hr(self) -> ModelMap:
        """The model's map on the fixed scale."""
        return model_map(fixed_scale(self.atoms), self.grid, HR_RESOLUTION, self.mask)

    @cached_property
    def radius(self) -> float:
        """Of the spheres for RSCC, in A."""
        return residues.region_radius(self.atoms, self.resolution)

    @cached_property
    def reflections(self) -> fourier.Reflections:
        """All the grid carries."""
        return fourier.reflections(self.grid)

    @cached_property
    def factors(self) -> np.ndarray:
        """The model's structure factors."""
        return self.reflections.of_model(self.atoms)

    @cached_property
    def factors_b0(self) -> np.ndarray:
        """Those of the model without B factors."""
        return self.reflections.of_model(fourier.without_b_factors(self.atoms))

    @cached_property
    def soft_mask(self) -> np.ndarray | None:
        """For masked Fourier figures: the user's mask or the model's; None without either."""
        if self.mask is not None:
            return np.asarray(self.mask, np.float32)
        if self.model is None:
            return None
        return soft_mask(self.model, self.grid, MASK_RADIUS_PER_RESOLUTION * self.resolution)


def compare_with_map(
    scores: MapScores, density: DensityMap, other: DensityMap, work: OnGrid, chosen: tuple[str, ...]
) -> MapScores:
    """Add map-map correlation and FSC; of half maps, d_fsc_0143 is the resolution, behind a mask d_fsc_0143_true."""
    figures, curves = dict(scores.figures), dict(scores.curves)
    if "cc" in chosen:
        figures["map_cc"] = pearson(density.values, other.values)
        if work.mask is not None:
            inside = work.mask > 0.5
            figures["map_cc_masked"] = pearson(density.values[inside], other.values[inside])
    if "fsc" in chosen:
        for suffix, mask in (("", None), ("_masked", work.soft_mask)):
            if suffix and mask is None:
                continue
            first, second = (
                work.reflections.of_map(values) if mask is None else work.reflections.of_masked(values, mask)
                for values in (density.values, other.values)
            )
            curve = fourier.shell_correlation(first, second, work.reflections.d)
            curves[f"fsc_map{suffix}"] = curve
            figures[f"d_fsc_0143{suffix}"] = fourier.resolution_at(curve, 0.143)
            figures[f"d_fsc_05{suffix}"] = fourier.resolution_at(curve, 0.5)
        if mask is not None:
            given = density.values, other.values, mask, work.reflections
            curve = true_fsc(*given, curves["fsc_map"], curves["fsc_map_masked"])
            curves["fsc_map_true"] = curve
            figures["d_fsc_0143_true"] = fourier.resolution_at(curve, 0.143)
    return replace(scores, figures=figures, curves=curves)


def compare_with_model(
    scores: MapScores,
    density: DensityMap,
    work: OnGrid,
    chosen: tuple[str, ...],
    sigma: float,
    level: float | None,
    say: Callable[[str], None],
) -> MapScores:
    """Add the groups of figures asked for, cubes aside."""
    if "cc" in chosen:
        say("correlations")
        scores = _with_correlations(scores, density, work)
    if "fsc" in chosen:
        say("Fourier shells")
        scores = _with_fourier(scores, density, work)
    if "qscore" in chosen:
        say("Q-scores")
        q = q_scores(density, work.atoms, sigma)
        mean = float(np.nanmean(q)) if np.isfinite(q).any() else float("nan")
        figures = {**scores.figures, "q_mean": mean, "q_sigma": sigma}
        if abs(sigma - SIGMA) < 1e-6:
            figures["q_expected"] = expected_q(work.resolution)
        by_residue = classes.residue_means(q, work.atoms)
        scores = replace(scores, figures=figures, atom_q=q, residue_q=by_residue)
    if "cc" in chosen or "qscore" in chosen:
        scores = replace(scores, chains=_chains(scores, density, work))
    atom_q, residue_q, rscc = scores.atom_q, scores.residue_q, scores.residue_rscc
    if "classes" in chosen and atom_q is not None and residue_q is not None and rscc is not None:
        say("classes")
        if level is None:
            level = nth_largest(density.values, int(work.computed.mask.sum()))
        by_class = classes.class_scores(density, work.computed, work.atoms, atom_q, work.radius)
        ligands = classes.ligand_scores(density, work.atoms, residue_q, rscc, level)
        missing = unmodelled(density, work.atoms, level, work.resolution)
        alternate = conformers(density, work.atoms, atom_q, work.resolution)
        figures = {**scores.figures, "contour": level, "unmodelled": missing.share}
        if alternate:
            figures["major_conformation"] = major_share(alternate)
        scores = replace(
            scores,
            classes=by_class,
            ligands=ligands,
            conformers=alternate,
            unmodelled=missing.regions,
            figures=figures,
        )
    return scores


def _with_correlations(scores: MapScores, density: DensityMap, work: OnGrid) -> MapScores:
    model, values = work.atoms, density.values
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


def _with_fourier(scores: MapScores, density: DensityMap, work: OnGrid) -> MapScores:
    figures, curves = dict(scores.figures), dict(scores.curves)
    for suffix in ("", "_masked"):
        if suffix and work.soft_mask is not None:
            observed = work.reflections.of_masked(density.values, work.soft_mask)
        else:
            observed = work.reflections.of_map(density.values)
        found = fourier.assess_model(observed, work.factors, work.factors_b0, work.reflections)
        for name in ("d99", "d_model", "d_model_b0", "d_fsc_model_0", "d_fsc_model_0143", "d_fsc_model_05"):
            figures[f"{name}{suffix}"] = getattr(found, name)
        curves[f"fsc_model{suffix}"] = found.curve
    return replace(scores, figures=figures, curves=curves)


def _chains(scores: MapScores, density: DensityMap, work: OnGrid) -> tuple[dict, ...]:
    """RSCC and mean Q of each chain, in file order."""
    model = work.atoms
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


def compare_in_cubes(
    scores: MapScores,
    density: DensityMap,
    work: OnGrid,
    grid: Grid,
    stride: int,
    first: Sequence[MapScores],
) -> MapScores:
    """Add SuperEM's local test, compared with the first map's (itself if `first` is empty)."""
    found = cubes.cube_correlations(density, work.atoms, grid, work.resolution, stride)
    before = first[0].cubes if first else None
    comparison = cubes.compare(before or found, found)
    return replace(scores, cubes=found, cube_comparison=comparison)
