"""ChimeraX maps to the engine's arrays and grids, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from chimerax.core.errors import UserError
from chimerax.core.models import Model
from chimerax.core.session import Session
from chimerax.map import Volume, volume_from_grid_data
from chimerax.map_data import ArrayGridData

from ..cryomap.grid import Grid

# Index bounds (x, y, z), both included, and the subsampling, as ChimeraX keeps them.
Region = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


def short_name(name: str, most: int = 36) -> str:
    """A name of at most so many letters, cut in its middle, for where a long one pushes out the rest."""
    return name if len(name) <= most else f"{name[: (most - 1) // 2]}…{name[-(most // 2) :]}"


def with_short_names(text: str, names: Iterable[str]) -> str:
    """A text in which these names are short, the longest of them first as one may hold another."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, short_name(name))
    return text


def input_region(volume: Volume) -> Region:
    """The part of a map to work on: what is shown of it, at full resolution.

    A display subsampled for speed is the map's all the same. One shown plane (ChimeraX opens big maps that
    way) stands for the whole map.
    """
    subregion = "all" if volume.showing_one_plane else None
    low, high, _ = volume.subregion(1, subregion)
    return tuple(map(int, low)), tuple(map(int, high)), (1, 1, 1)


def region_values(volume: Volume, region: Region) -> np.ndarray:
    """Values of a region, float32 (z, y, x)."""
    values = volume.region_matrix(region)
    if np.iscomplexobj(values) or values.ndim != 3:
        raise UserError(f"{volume}: its values are not real numbers on a 3D grid; it's not a density map")
    return np.ascontiguousarray(values, np.float32)


def region_grid(volume: Volume, region: Region) -> Grid:
    """Where the voxels of a region are, in the map's own coordinates (its `position` left out)."""
    data = volume.data
    origin, step = volume.region_origin_and_step(region)
    size = volume.matrix_size(region=region)
    return Grid(
        tuple(int(n) for n in size[::-1]),
        tuple(map(float, step)),
        tuple(map(float, origin)),
        tuple(map(float, data.cell_angles)),
        tuple(tuple(map(float, row)) for row in data.rotation),
    )


def contour_level(volume: Volume) -> float:
    """The level a map is contoured at: the lowest positive one, if any is; ChimeraX's first choice if not shown."""
    levels = [surface.level for surface in volume.surfaces] or volume.initial_surface_levels()[0]
    return float(min((level for level in levels if level > 0), default=min(levels)))


def mask_on(mask: Volume, volume: Volume, region: Region) -> np.ndarray:
    """Which voxels of a map's region lie where `mask` is at or above its contour level: bool (z, y, x).

    The mask's values are interpolated trilinearly where the maps lie in the scene; outside its box there are none.
    """
    to_scene = volume.scene_position * volume.matrix_indices_to_xyz_transform(1, region[:2])
    nx, ny, nz = volume.matrix_size(region=region)
    inside = np.empty((nz, ny, nx), bool)
    level = contour_level(mask)
    plane = np.zeros((ny * nx, 3), np.float32)
    plane[:, 1], plane[:, 0] = (axis.ravel() for axis in np.indices((ny, nx)))
    for z in range(nz):
        plane[:, 2] = z
        values, outside = mask.interpolated_values(plane, to_scene, out_of_bounds_list=True)
        values[outside] = -np.inf
        inside[z] = (values >= level).reshape(ny, nx)
    if not inside.any():
        highest = float(mask.full_matrix().max())
        if highest < level:  # where ChimeraX shows a mask of zeros and ones at first
            raise UserError(
                f"mask {mask}: nothing lies inside its contour, as its values reach {highest:.4g} only;"
                f" lower its level first: volume #{mask.id_string} level {highest / 2:.4g}"
            )
        raise UserError(f"mask {mask}: nothing of {volume} lies inside its contour (level {level:.4g})")
    return inside


def result_ids(
    session: Session, model_id: tuple[int, ...] | None, count: int
) -> list[tuple[int, ...] | None]:
    """Model numbers for `count` results: `model_id` for a single one, else numbers below it.

    Raises:
        UserError: the number is taken, or the model it would be part of isn't open, or is more than a group.
    """
    if model_id is None:
        return [None] * count
    text = ".".join(map(str, model_id))
    if session.models.have_id(model_id):
        raise UserError(f"modelId #{text}: there is such a model already; close it or choose another number")
    if len(model_id) > 1:
        above = text.rpartition(".")[0]
        group = next((model for model in session.models if model.id == model_id[:-1]), None)
        if group is None:
            raise UserError(f"modelId #{text}: there is no model #{above} to add it to")
        if type(group) is not Model:
            raise UserError(
                f"modelId #{text}: #{above} is {group.name}, not a group of models; choose another number"
            )
    return [model_id] if count == 1 else [(*model_id, number) for number in range(1, count + 1)]


def _next_free(session: Session, model_id: tuple[int, ...]) -> tuple[int, ...]:
    while session.models.have_id(model_id):
        model_id = (*model_id[:-1], model_id[-1] + 1)
    return model_id


def open_result(
    session: Session,
    name: str,
    values: np.ndarray,
    grid: Grid,
    like: Volume,
    level: float | None,
    model_id: tuple[int, ...] | None = None,
) -> Volume:
    """Open a new map that lies on `like` and is shown as it is.

    Args:
        session: the session.
        name: the new model's name.
        values: float32 (z, y, x).
        grid: where the values are, in the coordinates of `like`.
        like: the map it was made from; its position and display style are copied.
        level: contour level to show; None leaves the choice to ChimeraX.
        model_id: wanted number, if it's still free; a missing group model above it is opened.
    """
    if model_id is not None and session.models.have_id(model_id):
        # Taken while the engine ran: better another number than no result.
        model_id = None if len(model_id) == 1 else _next_free(session, model_id)
    if model_id is not None and len(model_id) > 1 and not session.models.have_id(model_id[:-1]):
        group = Model("enhanced maps", session)
        group.id = model_id[:-1]
        session.models.add([group])
    data = ArrayGridData(values, grid.origin, grid.step, grid.cell_angles, grid.rotation, name=name)
    result = volume_from_grid_data(data, session, model_id=model_id)
    result.copy_settings_from(like, copy_region=False, copy_colors=False, copy_thresholds=False)
    # On a grid of 1 A surfaces look faceted. This looks like half the spacing, which takes eight times the memory, and
    # encloses 1 % less than the plain surface; smoothing alone 2 to 4 %.
    result.set_parameters(subdivide_surface=True, surface_smoothing=True)
    result.scene_position = like.scene_position
    if level is not None and like.showing_image():
        result.add_surface(level, rgba=result.default_rgba, display=False)  # for when a surface is wanted
    elif level is not None:
        result.set_parameters(surface_levels=[level])
    return result
