"""Where the words of an MRC header put a map, read and written: steps, cell angles, ORIGIN, NSTART, and a rotation."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from .errors import InputError
from .grid import IDENTITY, Grid, skew_matrix, three_floats, three_ints

ROTATION = b"Chimera rotation: "  # the label by which Chimera and ChimeraX keep a turned grid
NSTART_FIRST = (".map", ".ccp4")  # ChimeraX reads NSTART alone in files of these names
VOXEL_SIZES = (0.01, 1000.0)  # A
FARTHEST = 10  # sizes of the box; a larger NSTART was never set, as ChimeraX has it
FLATTEST = 0.05  # volume of a cell / that of the box with the same edges


def place_of(
    words: np.void, axes: tuple[int, int, int], suffix: str, voxel_size: float | None = None
) -> tuple[Grid, str, list[str]]:
    """The grid of a header, which words gave its origin ("origin" or "nstart"), and what was taken otherwise.

    Args:
        words: of the header.
        axes: which of x, y, z (0, 1, 2) columns, rows and sections are.
        suffix: of the file's name, lower case.
        voxel_size: in A, taken where the header has none that can be.

    Raises:
        InputError: a number that can't be; without the file's name.
    """
    notes: list[str] = []
    size = words["size"].tolist()
    shape = three_ints(size[axes.index(axis)] for axis in (2, 1, 0))
    step = _voxel_size(words, shape, voxel_size)
    angles = _cell_angles(words)
    origin, frame = _origin(words, axes, shape, step, angles, suffix, notes)
    return Grid(shape, step, origin, angles, _rotation(words, notes)), frame, notes


def start_of(grid: Grid) -> tuple[int, int, int] | None:
    """What NSTART says the grid's origin; None where that is no whole number of steps."""
    start = np.linalg.inv(skew_matrix(grid.cell_angles)) @ grid.origin / grid.step
    if not np.allclose(start, np.round(start), atol=1e-3) or abs(start).max() >= 2**31:
        return None
    return three_ints(np.round(start))


def is_told_by_nstart(grid: Grid) -> bool:
    """Whether a program that reads NSTART alone, as ChimeraX does of files called .map, will find the place."""
    start = start_of(grid)
    return start is not None and max(map(abs, start)) <= FARTHEST * max(grid.shape)


def set_place(words: np.void, grid: Grid) -> list[bytes]:
    """Say in a header where a grid is; the labels that this takes: one for a rotation.

    ORIGIN and NSTART say the same place where the origin is a whole number of voxels; else NSTART is 0.
    """
    words["lengths"] = np.array(grid.size) * grid.step
    words["angles"] = grid.cell_angles
    words["origin"] = grid.origin
    words["start"] = start_of(grid) or 0
    if np.allclose(grid.rotation, IDENTITY):
        return []
    turn = Rotation.from_matrix(grid.rotation).as_rotvec(degrees=True)
    angle = float(np.linalg.norm(turn))
    return [ROTATION + b"%12.8f %12.8f %12.8f %12.8f" % (*(turn / angle), angle)]


def _voxel_size(
    words: np.void, shape: tuple[int, int, int], instead: float | None
) -> tuple[float, float, float]:
    intervals = words["intervals"].tolist()
    if min(intervals) <= 0:
        intervals = shape[::-1]
    # Six decimals: the header's lengths are float32, and 1.3400000436 is meant to be 1.34.
    step = tuple(round(length / n, 6) for length, n in zip(words["lengths"].tolist(), intervals, strict=True))
    if not all(VOXEL_SIZES[0] <= length <= VOXEL_SIZES[1] for length in step):
        if instead is not None:
            return (instead, instead, instead)
        size = " x ".join(f"{length:g}" for length in step)
        raise InputError(
            f"voxel size {size} A; set the true one in the header, or give it (--voxel-size) to enhance"
        )
    return step


def _cell_angles(words: np.void) -> tuple[float, float, float]:
    angles = tuple(words["angles"].tolist())
    if 0.0 in angles:  # never set
        return (90.0, 90.0, 90.0)
    a, b, c = (math.cos(math.radians(angle)) for angle in angles)
    volume2 = 1 - a * a - b * b - c * c + 2 * a * b * c
    if not (all(0 < angle < 180 for angle in angles) and volume2 >= FLATTEST**2 and sum(angles) < 360):
        shown = ", ".join(f"{angle:g}" for angle in angles)
        raise InputError(f"no cell has the angles {shown} degrees; correct the header (90, 90, 90 mostly)")
    return angles


def _origin(
    words: np.void,
    axes: tuple[int, int, int],
    shape: tuple[int, int, int],
    step: tuple[float, float, float],
    angles: tuple[float, float, float],
    suffix: str,
    notes: list[str],
) -> tuple[tuple[float, float, float], str]:
    """Position of the first voxel in A, and the words that say it.

    ChimeraX takes ORIGIN where it is set, else NSTART; in .map and .ccp4 files NSTART alone. This takes ORIGIN
    there, too, where NSTART is 0: such files are common, and ORIGIN is plain.
    """
    origin = words["origin"]
    unset = not np.isfinite(origin).all() or bool((origin + np.array(step, np.float32) == origin).any())
    if unset or words["map"] != b"MAP ":
        if unset:
            shown = ", ".join(f"{x:g}" for x in origin.tolist())
            notes.append(f"ORIGIN of {shown} is no place; NSTART is taken")
        origin = np.zeros(3, np.float32)
    start = np.array([int(words["start"][axes.index(axis)]) for axis in range(3)])
    if (abs(start) > FARTHEST * max(*words["intervals"].tolist(), *shape)).any():
        notes.append(f"NSTART of {tuple(start.tolist())} was never set; 0 is taken")
        start[:] = 0
    by_start = skew_matrix(angles) @ (start * step)
    disagree = origin.any() and bool((abs(by_start - origin) > 0.1 * np.array(step)).any())
    if suffix in NSTART_FIRST and start.any():
        if disagree:
            notes.append(f"ORIGIN and NSTART disagree; NSTART is taken, as ChimeraX does in {suffix} files")
        return three_floats(by_start), "nstart"
    if not origin.any():
        return three_floats(by_start), "nstart"
    if suffix in NSTART_FIRST:
        notes.append(
            f"placed by ORIGIN; ChimeraX reads NSTART alone in {suffix} files, and opens it at 0, 0, 0: "
            "name it .mrc"
        )
    return three_floats(origin), "origin"


def _rotation(words: np.void, notes: list[str]) -> tuple[tuple[float, float, float], ...]:
    rotation: tuple[tuple[float, float, float], ...] = IDENTITY
    for label in words["labels"]:
        text = label.tobytes()
        if not text.startswith(ROTATION):
            continue
        try:
            *axis, angle = (float(word) for word in text[len(ROTATION) :].rstrip(b"\0 ").split())
            length = math.hypot(*axis)
            if len(axis) != 3 or not (0 < length < math.inf and math.isfinite(angle)):
                raise ValueError
        except ValueError:
            raise InputError(
                f"its label {text.rstrip(bytes(1))!r} is no rotation; correct or remove it"
            ) from None
        turn = Rotation.from_rotvec(np.array(axis) / length * angle, degrees=True).as_matrix()
        rotation = tuple(three_floats(row) for row in turn)
        notes.append(
            "turned by its label 'Chimera rotation', as ChimeraX does; other programs ignore that label"
        )
    return rotation
