"""The files between ChimeraX and the engine's worker: the job with its maps, and what comes back of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from chimerax.atomic import Atoms
from chimerax.core.errors import UserError
from chimerax.map import Volume

from ..cryomap.atoms import save_atoms
from ..cryomap.density import DensityMap
from ..cryomap.enhancement import check
from ..cryomap.enhancement.report import Report
from ..cryomap.errors import InputError
from ..cryomap.grid import Grid
from ..cryomap.job import Job, MapInput, Options, Result, write_job
from ..cryomap.metrics.changes import MoleculeChange
from ..cryomap.trust.halves import require_same_grid
from ..cryomap.trust.judgement import Trust
from ..cryomap.trust.preserved import about_atoms, soft_edge
from ..scene import volumes
from ..scene.engine_text import user_error
from ..scene.models import atomic_model, full_region
from ..scene.nearest_residue import atoms_in, small_molecules
from ..scene.residue_values import residue_spec


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: the engine's options, and those of the command that are about models."""

    options: Options = field(default_factory=Options)
    mask: Volume | None = None
    preserve: Atoms | Volume | None = None
    model_id: tuple[int, ...] | None = None
    hide_input: bool = True
    color_by: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the worker made of one map.

    Attributes:
        report: of the engine; its trust has the voxels of the regions, and the support if it was wanted.
        values: float32 (z, y, x) on the report's output grid.
        deviation: of several samples, on the same grid.
        confidence: the probability of an atom, on the same grid, if it was wanted.
    """

    report: Report
    values: np.ndarray
    deviation: np.ndarray | None = None
    confidence: np.ndarray | None = None


def write_files(folder: str, maps: Sequence[Volume], wanted: Wanted) -> tuple[Path, list[tuple[str, ...]]]:
    """Write maps as files and a job for the worker.

    Returns:
        The job's file, and for each map how commands name the residues of the model that it was given.

    Raises:
        UserError: the mask or what is to be preserved misses a map.
    """
    options = wanted.options
    if options.weights:  # the worker has another working directory
        options = replace(options, weights=os.path.abspath(options.weights))
    regions = [volumes.input_region(maps[0] if options.half_maps else volume) for volume in maps]
    written = [
        _write_map(Path(folder, str(number)), volume, region, wanted)
        for number, (volume, region) in enumerate(zip(maps, regions, strict=True))
    ]
    inputs = tuple(given for given, _ in written)
    path = Path(folder, "job.json")
    write_job(Job(inputs, folder, options, wanted.color_by == "support"), path)
    return path, [names for _, names in written]


def _write_map(
    stem: Path, volume: Volume, region: volumes.Region, wanted: Wanted
) -> tuple[MapInput, tuple[str, ...]]:
    level = wanted.options.level
    mask = None if wanted.mask is None else volumes.mask_on(wanted.mask, volume, region)
    grid = volumes.region_grid(volume, region)
    preserve = None if wanted.preserve is None else _preserved(wanted.preserve, volume, region, grid)
    model, names = _write_model(stem, volume, grid)
    return MapInput(
        name=volume.name,
        values=_save(stem, "values", volumes.region_values(volume, region)),
        grid=grid,
        level=volumes.contour_level(volume) if level is None else level,
        mask=None if mask is None else _save(stem, "mask", mask),
        preserve=None if preserve is None else _save(stem, "preserve", preserve),
        sites=_write_sites(stem, volume),
        model=model,
    ), names


def _preserved(chosen: Atoms | Volume, volume: Volume, region: volumes.Region, grid: Grid) -> np.ndarray:
    """Where the input stays: 0..1 on a map's grid."""
    if isinstance(chosen, Volume):
        return soft_edge(volumes.mask_on(chosen, volume, region), grid)
    weight = about_atoms(volume.scene_position.inverse() * chosen.scene_coords, grid)
    if not weight.any():
        raise UserError(f"enhance: none of the {len(chosen)} atoms to preserve lies in {volume}")
    return weight


def _write_model(stem: Path, volume: Volume, grid: Grid) -> tuple[str | None, tuple[str, ...]]:
    """The open models that lie in a map, as one file in its coordinates, and how commands name their residues."""
    if find_spec("gemmi") is None:  # says what a residue is
        return None, ()
    atoms = atoms_in(volume, grid)
    if not len(atoms):
        return None, ()
    model, residues = atomic_model(atoms, volume.scene_position)
    names = tuple(f"{residue_spec(residue)} {residue.name}" for residue in residues)
    numbered = tuple(
        replace(residue, chain_id="", number=index, insertion_code="")
        for index, residue in enumerate(model.residues)
    )
    path = f"{stem}_model.npz"
    save_atoms(replace(model, residues=numbered), path)
    return path, names


def with_names(trust: Trust, names: tuple[str, ...]) -> Trust:
    """The judgement with its molecules named as commands do; the worker knows their numbers alone."""
    if trust.molecules is None:
        return trust

    def named(changes: tuple[MoleculeChange, ...]) -> tuple[MoleculeChange, ...]:
        numbers = [int(change.residue.split()[0].removeprefix("/:")) for change in changes]
        return tuple(replace(c, residue=names[n]) for c, n in zip(changes, numbers, strict=True))

    found = trust.molecules
    found = replace(found, molecules=named(found.molecules), nucleotides=named(found.nucleotides))
    return replace(trust, molecules=found)


def _write_sites(stem: Path, volume: Volume) -> str | None:
    """Where the open models have ligands and ions, in the map's coordinates."""
    atoms = small_molecules(volume.session)
    return _save(stem, "sites", volume.scene_position.inverse() * atoms.scene_coords) if len(atoms) else None


def _save(stem: Path, what: str, values: np.ndarray) -> str:
    path = f"{stem}_{what}.npy"
    np.save(path, values)
    return path


def read_answer(result: Result, names: tuple[str, ...]) -> Answer:
    """What a result of the worker speaks of, its residues named; its files are removed."""
    report = result.report
    if report.trust is not None and result.regions is not None:
        support = result.support and DensityMap(take(result.support), report.input_grid)
        trust = replace(report.trust.with_voxels(take(result.regions)), support=support)
        report = replace(report, trust=with_names(trust, names))
    more = (path and take(path) for path in (result.deviation, result.confidence))
    return Answer(report, take(result.output), *more)


def take(path: str) -> np.ndarray:
    """The array in a file, which is removed."""
    values = np.load(path)
    os.unlink(path)
    return values


def require_level(maps: Sequence[Volume], level: float) -> None:
    """Raise UserError if the contour level is beyond a map's values."""
    for volume in maps:
        region = volumes.input_region(volume)
        grid = volumes.region_grid(volume, region)
        try:
            check.require_level(DensityMap(volumes.region_values(volume, region), grid, str(volume)), level)
        except InputError as error:
            raise user_error("enhance", error) from None


def require_halves(maps: Sequence[Volume]) -> None:
    """Raise UserError unless there are two maps that have the same grid in the same place."""
    if len(maps) != 2:
        raise UserError(f"enhance: halfMaps takes the two half maps of one reconstruction, not {len(maps)}")
    first, second = maps
    grids = [volumes.region_grid(volume, full_region(volume)) for volume in maps]
    try:
        require_same_grid(*grids, (str(first), str(second)))
    except InputError as error:
        raise user_error("enhance", error) from None
    move = first.scene_position.inverse() * second.scene_position
    if not move.is_identity(tolerance=1e-3):
        raise UserError(
            f"enhance: {first} and {second} were moved against each other; half maps lie on each other"
        )
