"""Looking at a map and its enhanced one together: fading, and contours that enclose the same volume."""

from __future__ import annotations

import weakref

import numpy as np
from chimerax.core.commands import run
from chimerax.core.session import Session
from chimerax.map import Volume

from ..cryomap.contour import enclosed_volume, level_for_volume
from ..scene.models import full_region
from ..scene.volumes import contour_level, region_values


class Fader:
    """Shows one map at share 0, another at 1, and both, more or less transparent, between.

    A map that is shown fully has the transparency that it was given elsewhere.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._own: weakref.WeakKeyDictionary[Volume, float] = weakref.WeakKeyDictionary()  # opacities, 0 to 1
        self._made: weakref.WeakKeyDictionary[Volume, float] = weakref.WeakKeyDictionary()

    def fade(self, first: Volume, second: Volume, share: float, log: bool) -> None:
        """Run the commands; those of transparency, of which there are many, in the Log if wanted."""
        for volume, opacity in ((first, 1 - share), (second, share)):
            shown = opacity >= 0.01
            if shown != volume.display:  # each is something to undo
                run(self._session, f"{'show' if shown else 'hide'} {volume.atomspec} models")
            if shown:
                run(self._session, self._transparency(volume, opacity), log=log)

    def _transparency(self, volume: Volume, opacity: float) -> str:
        now = _opacity(volume)
        if abs(now - self._made.get(volume, -1)) > 0.01:
            self._own[volume] = now
        self._made[volume] = self._own[volume] * opacity
        return f"transparency {volume.atomspec} {100 * (1 - self._made[volume]):.0f}"


def _opacity(volume: Volume) -> float:
    return volume.surfaces[0].color[3] / 255 if volume.surfaces else 1.0


def equal_volume_level(first: Volume, second: Volume) -> float:
    """The level at which `second` encloses as much as `first` does at its contour, where both have data.

    Volumes are counted in voxels at full resolution, as `enhance` does it.
    """
    values = _common_values(first, second)
    enclosed = enclosed_volume(values, contour_level(first), first.data.voxel_volume())
    other = region_values(second, full_region(second))
    return level_for_volume(other, enclosed, second.data.voxel_volume())


def _common_values(first: Volume, second: Volume) -> np.ndarray:
    """Values of `first` in the box of `second`, which may be that of a region."""
    corners = np.array(np.meshgrid(*((0, n - 1) for n in second.data.size))).reshape(3, -1).T
    to_first = (first.scene_position * first.data.ijk_to_xyz_transform).inverse()
    inside = to_first * (second.scene_position * second.data.ijk_to_xyz_transform) * corners
    low = np.clip(np.floor(inside.min(axis=0) + 0.01), 0, np.array(first.data.size) - 1).astype(int)
    high = np.clip(np.ceil(inside.max(axis=0) - 0.01), low, np.array(first.data.size) - 1).astype(int)
    return region_values(first, (tuple(map(int, low)), tuple(map(int, high)), (1, 1, 1)))


class LevelLink:
    """Keeps the contour of a result at the volume that its input's contour encloses, until `end`.

    ChimeraX tells of every step of the mouse; `later` is called then, and should call `update` soon.
    """

    def __init__(self, first: Volume, second: Volume, later) -> None:
        self._first, self._second = weakref.ref(first), weakref.ref(second)
        self._later = later
        self._level = contour_level(first)
        first.add_volume_change_callback(self._changed)

    def _changed(self, volume: Volume, change: str) -> None:
        if change == "thresholds changed" and contour_level(volume) != self._level:
            self._later()

    def update(self) -> None:
        """Set the result's level anew."""
        first, second = self._first(), self._second()
        if first is None or second is None or first.deleted or second.deleted:
            return
        level = contour_level(first)
        if level != self._level:
            self._level = level
            second.set_parameters(surface_levels=[equal_volume_level(first, second)])
            second.update_drawings()

    def end(self) -> None:
        """No longer follow the input."""
        first = self._first()
        if first is not None and not first.deleted:
            first.remove_volume_change_callback(self._changed)
