"""The whole assessment: maps against a model, against a map, or both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ..atoms import AtomicModel
from ..density import DensityMap, in_range, resample
from ..errors import InputError
from ..grid import Grid
from ..hot_voxels import without_hot_voxels
from . import classes, cubes
from .correlation import HR_RESOLUTION
from .inputs import check_map, choose_resolution, prepare_model
from .measures import OnGrid, compare_in_cubes, compare_with_map, compare_with_model
from .qscore import SIGMA
from .results import CUBES_NOTE, SCALE_NOTE, Assessment, MapScores

METRICS = ("cc", "fsc", "qscore", "classes", "cubes")


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
) -> Assessment:
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
    _check(maps, model, against, sigma, levels, stride)
    plain = [without_hot_voxels(density) for density in (*maps, *([] if against is None else [against]))]
    scaled = [in_range(density) for density, _ in plain]
    against = None if against is None else scaled.pop()[0]
    maps = [density for density, _ in scaled]
    if levels:
        levels = [level and level / unit for level, (_, unit) in zip(levels, scaled, strict=True)]
    used, notes = choose_resolution(resolution, maps[0])
    notes += [f"{density.name}: its values were divided by {unit:g}" for density, unit in scaled if unit != 1]
    notes += [hot for _, hot in plain if hot]
    notes += [note for density in (*maps, against) if density is not None for note in density.notes]
    whole, atoms = None, 0
    if model is not None:
        whole, atoms = prepare_model(model, maps), len(model)
        if "cubes" in chosen and "all" in metrics and cubes.too_small(maps[0], whole.model):
            chosen = tuple(name for name in chosen if name != "cubes")
            notes.append(f"no cubes: the box of {maps[0].name} is smaller than one")
        notes += [*whole.notes, *_how_to_read(chosen, maps, sigma)]
    if against is not None and any(against.grid != density.grid for density in maps):
        notes.append(f"{against.name} was interpolated onto the grid of each map (trilinear)")
    work, found = None, list[MapScores]()
    for index, density in enumerate(maps):
        if work is None or work.grid != density.grid:
            own_mask = _mask_on(mask, maps[0].grid, density.grid)
            work = OnGrid(density.grid, None if whole is None else whole.model, used, own_mask)
        say = _teller(density.name, progress)
        scores = MapScores(density.name, density.frame)
        with _named(density.name):
            if against is not None:
                say("comparing maps")
                scores = compare_with_map(scores, density, _onto(against, density), work, chosen)
            if whole is not None:
                level = levels[index] if levels else None
                scores = compare_with_model(scores, density, work, chosen, sigma, level, say)
                if "cubes" in chosen:
                    say("cubes")
                    grid = cubes.common_grid(maps[0], whole.model)
                    scores = compare_in_cubes(scores, density, work, grid, stride, found[:1])
                scores = _over_all_atoms(scores, whole.kept, atoms)
                if found:
                    scores = replace(scores, ligands=_marked(found[0].ligands, scores.ligands))
        found.append(scores)
    notes += [note for scores in found for note in _beyond(scores)]
    return Assessment(tuple(found), model, against.name if against else "", used, sigma, chosen, tuple(notes))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors in the block name the map."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error) if name in str(error) else f"{name}: {error}") from None


def _onto(against: DensityMap, density: DensityMap) -> DensityMap:
    """A map on another's grid.

    Raises:
        InputError: they have no density in common.
    """
    moved = resample(against, density.grid)
    if moved.values.min() == moved.values.max():
        raise InputError(f"{against.name} does not overlap {density.name}; check the origin in their headers")
    return moved


def _beyond(scores: MapScores) -> list[str]:
    """What it means that a curve never falls below a cutoff."""
    notes = []
    for kind, curve in scores.curves.items():
        _, partner, *how = kind.split("_")
        figure = "d_fsc" if partner == "map" else "d_fsc_model"
        names = ["_".join((figure, cutoff, *how)) for cutoff in ("0143", "05")]
        above = [name for name in names if name in scores.figures and scores.figures[name] is None]
        if above:
            notes.append(
                f"{scores.name}: {' and '.join(above)} finer than {curve.d[-1]:.2f} A, the last shell of its grid"
            )
    return notes


def _teller(name: str, progress: Callable[[str], None] | None) -> Callable[[str], None]:
    """Tells the progress on a map."""
    return lambda step: progress(f"{name}: {step}") if progress else None


def _how_to_read(chosen: tuple[str, ...], maps: Sequence[DensityMap], sigma: float) -> list[str]:
    """What the reader of the figures has to know."""
    notes = []
    if "cc" in chosen:
        notes.append(SCALE_NOTE)
        notes += [
            f"{density.name}: cc_*_hr are cut at {2 * max(density.grid.step):.2f} A, all that its grid carries"
            for density in maps
            if 2 * max(density.grid.step) > HR_RESOLUTION
        ]
    if "qscore" in chosen:
        notes.append(f"Q-scores with sigma {sigma:g} A (0.6 is the publication's, EMDB reports 0.4)")
    if "cubes" in chosen:
        notes.append(CUBES_NOTE)
    return notes


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
    maps: Sequence[DensityMap],
    model: AtomicModel | None,
    against: DensityMap | None,
    sigma: float,
    levels: Sequence[float | None] | None,
    stride: int,
) -> None:
    if not maps:
        raise InputError("no map to assess")
    if model is None and against is None:
        raise InputError("nothing to compare the map with; give a model or a second map")
    for density in (*maps, *([against] if against is not None else [])):
        check_map(density)
    for level in levels or ():
        if level is not None and not np.isfinite(level):
            raise InputError(f"contour {level:g}: give the level at which you look at the map")
    if stride < 1:
        raise InputError(f"stride {stride} A between cubes: give 1 or more")
    if not (np.isfinite(sigma) and 0.05 <= sigma <= 5):
        raise InputError(f"sigma {sigma:g} A: give the width of an atom, 0.6 (published) or 0.4 A (EMDB)")


def _mask_on(mask: np.ndarray | None, source: Grid, grid: Grid) -> np.ndarray | None:
    """The mask on a map's grid, of one on the first map's.

    Raises:
        InputError: it has another shape, or leaves no voxel.
    """
    if mask is None:
        return None
    if mask.shape != source.shape:
        raise InputError(
            f"the mask has {mask.shape} voxels (z, y, x), the first map {source.shape}; resample the mask"
        )
    if source != grid:
        mask = resample(DensityMap(np.asarray(mask, np.float32), source, "mask"), grid).values
    if not (mask > 0.5).any():
        raise InputError("the mask excludes every voxel (none is above 0.5); give another mask")
    return mask


def _over_all_atoms(scores: MapScores, kept: np.ndarray, atoms: int) -> MapScores:
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
