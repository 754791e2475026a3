"""The files between ChimeraX and the engine's worker: the job, its maps, and what comes back of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from chimerax.core.errors import UserError
from chimerax.map import Volume

from ..cryomap.grid import Grid
from ..scene import volumes
from ..scene.nearest_residue import small_molecules

# The engine's words for what else a map may give.
EXTRAS = ("support", "deviation", "regions")


@dataclass(frozen=True)
class EnhanceSettings:
    """What the user asked for, named as the command's options are."""

    method: str | None = None
    resolution: float | None = None
    level: float | None = None
    weights: str | None = None
    device: str = "auto"
    grid_spacing: float | None = None
    mask: Volume | None = None
    model_id: tuple[int, ...] | None = None
    hide_input: bool = True
    keep_lost: bool = False
    samples: int = 1
    color_by: str | None = None
    half_maps: bool = False


@dataclass(frozen=True)
class Answer:
    """What the worker made of one map.

    Attributes:
        values: float32 (z, y, x) on `grid`.
        grid: in the coordinates of the input.
        report: of the engine.
        extras: arrays by name, those of EXTRAS that there are.
        input_grid: of the input.
    """

    values: np.ndarray
    grid: Grid
    report: dict
    extras: dict[str, np.ndarray]
    input_grid: Grid


class JobFiles:
    """A folder with a job for the worker.

    Attributes:
        names: of the maps to enhance. Half maps are followed by their mean.
    """

    def __init__(self, folder: str, maps: Sequence[Volume], wanted: EnhanceSettings) -> None:
        """Write the job.

        Raises:
            UserError: the mask misses a map, or the half maps have different grids.
        """
        self._folder = Path(folder)
        self.names = [volume.name for volume in maps]
        if wanted.half_maps:
            self._grids, entries = self._write_halves(maps, wanted)
            self.names.append(" + ".join(self.names))
        else:
            regions = [volumes.input_region(volume) for volume in maps]
            self._grids = [volumes.region_grid(*pair) for pair in zip(maps, regions, strict=True)]
            entries = [
                self._write_map(number, volume, region, wanted)
                for number, (volume, region) in enumerate(zip(maps, regions, strict=True))
            ]
        job = {
            "maps": entries,
            "method": wanted.method,
            # The worker has another working directory.
            "weights": wanted.weights and os.path.abspath(wanted.weights),
            "device": wanted.device,
            "grid_spacing": wanted.grid_spacing,
            "keep_lost": wanted.keep_lost,
            "samples": wanted.samples,
            "agreement": str(self.path("agreement.npy")) if wanted.half_maps else None,
        }
        self.path("job.json").write_text(json.dumps(job), encoding="utf-8")

    def path(self, name: str) -> Path:
        """A file of the job."""
        return self._folder / name

    def _write_halves(self, maps: Sequence[Volume], wanted: EnhanceSettings) -> tuple[list[Grid], list[dict]]:
        """Both half maps and their mean, the same part of them, at the level of the first."""
        first, second = maps
        require_halves(first, second)
        region = volumes.input_region(first)
        level = volumes.contour_level(first) if wanted.level is None else wanted.level
        entries = [self._write_map(n, volume, region, wanted, level) for n, volume in enumerate(maps)]
        mean = {**entries[0], "name": " + ".join(self.names), **self._paths(2, wanted)}
        both = [volumes.region_values(volume, region) for volume in maps]
        np.save(mean["values"], (both[0] + both[1]) / 2)
        return [volumes.region_grid(first, region)] * 3, [*entries, mean]

    def _write_map(
        self,
        number: int,
        volume: Volume,
        region: volumes.Region,
        wanted: EnhanceSettings,
        level: float | None = None,
    ) -> dict:
        np.save(self.path(f"{number}_values.npy"), volumes.region_values(volume, region))
        mask = None
        if wanted.mask is not None:
            mask = str(self.path(f"{number}_mask.npy"))
            np.save(mask, volumes.mask_on(wanted.mask, volume, region))
        grid = volumes.region_grid(volume, region)
        if level is None:
            level = volumes.contour_level(volume) if wanted.level is None else wanted.level
        return {
            "name": volume.name,
            "step": grid.step,
            "origin": grid.origin,
            "cell_angles": grid.cell_angles,
            "rotation": grid.rotation,
            "level": level,
            "resolution": wanted.resolution,
            "mask": mask,
            "sites": self._write_sites(number, volume),
            **self._paths(number, wanted),
        }

    def _write_sites(self, number: int, volume: Volume) -> str | None:
        """Where the open models have ligands and ions, in the map's coordinates."""
        atoms = small_molecules(volume.session)
        if not len(atoms):
            return None
        path = str(self.path(f"{number}_sites.npy"))
        np.save(path, volume.scene_position.inverse() * atoms.scene_coords)
        return path

    def _paths(self, number: int, wanted: EnhanceSettings) -> dict[str, str]:
        keys = [key for key in EXTRAS if key != "support" or wanted.color_by == "support"]
        return {key: str(self.path(f"{number}_{key}.npy")) for key in ("values", "output", *keys)}

    def read(self, event: dict) -> Answer:
        """What a "result" of the worker speaks of; its files are removed."""
        number = event["map"]
        extras = {}
        for key in EXTRAS:
            path = self.path(f"{number}_{key}.npy")
            if path.exists():
                extras[key] = _take(path)
        return Answer(_take(event["output"]), grid_of(event), event["report"], extras, self._grids[number])

    def read_agreement(self, event: dict) -> tuple[np.ndarray, Grid]:
        """The map of a "halves" event."""
        return _take(event["output"]), grid_of(event)


def require_halves(first: Volume, second: Volume) -> None:
    """Raise UserError unless two maps have the same grid in the same place."""
    from ..cryomap.errors import InputError
    from ..cryomap.trust.halves import require_same_grid
    from ..scene.models import full_region

    grids = [volumes.region_grid(volume, full_region(volume)) for volume in (first, second)]
    try:
        require_same_grid(*grids, (str(first), str(second)))
    except InputError as error:
        raise UserError(f"enhance: {error}") from None
    move = first.scene_position.inverse() * second.scene_position
    if not move.is_identity(tolerance=1e-3):
        raise UserError(
            f"enhance: {first} and {second} were moved against each other; half maps lie on each other"
        )


def grid_of(event: dict) -> Grid:
    """The grid that an event of the worker tells."""
    grid = event["grid"]
    return Grid(*(_tuples(grid[key]) for key in ("shape", "step", "origin", "cell_angles", "rotation")))


def _take(path: str | Path) -> np.ndarray:
    values = np.load(path)
    os.unlink(path)
    return values


def _tuples(value: list) -> tuple:
    return tuple(_tuples(item) if isinstance(item, list) else item for item in value)
