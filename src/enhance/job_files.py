"""The files between ChimeraX and the engine's worker: the job with its maps, and what comes back of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from chimerax.core.errors import UserError
from chimerax.map import Volume

from ..cryomap.density import DensityMap
from ..cryomap.enhancement.report import Report
from ..cryomap.errors import InputError
from ..cryomap.job import Job, MapInput, Options, Result, write_job
from ..cryomap.trust.halves import require_same_grid
from ..scene import volumes
from ..scene.models import full_region
from ..scene.nearest_residue import small_molecules


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: the engine's options, and those of the command that are about models."""

    options: Options = field(default_factory=Options)
    mask: Volume | None = None
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
    """

    report: Report
    values: np.ndarray
    deviation: np.ndarray | None = None


def write_files(folder: str, maps: Sequence[Volume], wanted: Wanted) -> Path:
    """Write maps as files and a job for the worker; returns the job's file.

    Raises:
        UserError: the mask misses a map.
    """
    options = wanted.options
    if options.weights:  # the worker has another working directory
        options = replace(options, weights=os.path.abspath(options.weights))
    regions = [volumes.input_region(maps[0] if options.half_maps else volume) for volume in maps]
    inputs = tuple(
        _write_map(Path(folder, str(number)), volume, region, wanted)
        for number, (volume, region) in enumerate(zip(maps, regions, strict=True))
    )
    path = Path(folder, "job.json")
    write_job(Job(inputs, folder, options, wanted.color_by == "support"), path)
    return path


def _write_map(stem: Path, volume: Volume, region: volumes.Region, wanted: Wanted) -> MapInput:
    level = wanted.options.level
    mask = None if wanted.mask is None else volumes.mask_on(wanted.mask, volume, region)
    return MapInput(
        name=volume.name,
        values=_save(stem, "values", volumes.region_values(volume, region)),
        grid=volumes.region_grid(volume, region),
        level=volumes.contour_level(volume) if level is None else level,
        mask=None if mask is None else _save(stem, "mask", mask),
        sites=_write_sites(stem, volume),
    )


def _write_sites(stem: Path, volume: Volume) -> str | None:
    """Where the open models have ligands and ions, in the map's coordinates."""
    atoms = small_molecules(volume.session)
    return _save(stem, "sites", volume.scene_position.inverse() * atoms.scene_coords) if len(atoms) else None


def _save(stem: Path, what: str, values: np.ndarray) -> str:
    path = f"{stem}_{what}.npy"
    np.save(path, values)
    return path


def read_answer(result: Result) -> Answer:
    """What a result of the worker speaks of; its files are removed."""
    report = result.report
    if report.trust is not None and result.regions is not None:
        support = result.support and DensityMap(take(result.support), report.input_grid)
        trust = replace(report.trust.with_voxels(take(result.regions)), support=support)
        report = replace(report, trust=trust)
    deviation = result.deviation and take(result.deviation)
    return Answer(report, take(result.output), deviation)


def take(path: str) -> np.ndarray:
    """The array in a file, which is removed."""
    values = np.load(path)
    os.unlink(path)
    return values


def require_halves(maps: Sequence[Volume]) -> None:
    """Raise UserError unless there are two maps that have the same grid in the same place."""
    if len(maps) != 2:
        raise UserError(f"enhance: halfMaps takes the two half maps of one reconstruction, not {len(maps)}")
    first, second = maps
    grids = [volumes.region_grid(volume, full_region(volume)) for volume in maps]
    try:
        require_same_grid(*grids, (str(first), str(second)))
    except InputError as error:
        raise UserError(f"enhance: {error}") from None
    move = first.scene_position.inverse() * second.scene_position
    if not move.is_identity(tolerance=1e-3):
        raise UserError(
            f"enhance: {first} and {second} were moved against each other; half maps lie on each other"
        )
