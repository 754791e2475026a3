"""DensityMap: the values of a map and where they are; reading, writing and resampling."""

from __future__ import annotations

import bz2
import gzip
import logging
import math
import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from scipy import ndimage

from .containers import content, kind_of, plain_suffix, read_at_most
from .errors import InputError, memory_for
from .grid import Grid, three_floats
from .mrc import HEADER_BYTES, SLACK, Header, data_start, header_bytes, parse_header
from .mrc_place import NSTART_FIRST, is_told_by_nstart
from .replacing import replacing

log = logging.getLogger(__name__)

MOST_COMPRESSION = 1040  # what gzip can make of a byte; a map that promises more isn't all there
LABEL = "ChimeraX-MapEnhance"  # a result of ours carries a label with it
LEAST, MOST = 1e-6, 1e6  # of the largest value; beyond, a map is scaled
WRITTEN = "cryomap"  # the label of what else we write


@dataclass(frozen=True)
class DensityMap:
    """Density on a grid.

    Attributes:
        values: float32 array (z, y, x).
        grid: where the voxels are; `grid.shape == values.shape`.
        name: what messages call it, usually the file's name.
        frame: which header words gave the origin of a file, "origin" or "nstart"; "" if not from a file.
        labels: what the header says of the map's history; the place of the map aside.
        notes: what was taken otherwise than a file's header says, in sentences that name the file.
    """

    values: np.ndarray
    grid: Grid
    name: str = "map"
    frame: str = ""
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(f"values {self.values.shape} do not fit grid {self.grid.shape}")


def read_map(path: str | os.PathLike, voxel_size: float | None = None) -> DensityMap:
    """Read an MRC/CCP4 map, plain or compressed (gzip, bzip2), in whatever axis order it was written.

    The header is read first, and what it promises is compared with the file before anything large is read.
    Where the words of a header leave a choice ChimeraX's is taken, and `notes` says so (see `mrc`).

    Args:
        path: the file.
        voxel_size: in A, in place of the header's; the origin stays the voxel that it was.

    Raises:
        InputError: no such file, not a map, truncated, a complex transform, a 2D image, an image or volume
            stack, or a number in the header that can't be.
        MemoryError: its voxels don't fit into memory.
    """
    name = Path(path).name
    with content(path, "MRC/CCP4 map") as file:
        first = file.read(HEADER_BYTES)
        what = kind_of(first)
        if what:
            raise InputError(f"{path}: not an MRC/CCP4 map: {what}")
        try:
            header = parse_header(first, plain_suffix(path), voxel_size)
            with memory_for(f"{path}, {header.grid}"):
                voxels = _voxels(file, header)
                offset, note = data_start(header, voxels)
                values = header.values(voxels, offset)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    notes = tuple(f"{name}: {text}" for text in (*header.notes, note) if text)
    density = DensityMap(values, header.grid, name, header.frame, header.labels, notes)
    return density if voxel_size is None else _with_voxel_size(density, voxel_size)


def _voxels(file: BufferedIOBase, header: Header) -> bytearray:
    """What follows the header, but no more than it promises and a little; nothing if there can't be so much."""
    promised = header.data_bytes
    most = os.stat(file.fileno()).st_size * (MOST_COMPRESSION if isinstance(file, gzip.GzipFile) else 1)
    if promised > most and not isinstance(file, bz2.BZ2File):
        return bytearray()
    return read_at_most(file, promised + max(0, header.extended) + SLACK)


def in_range(density: DensityMap) -> tuple[DensityMap, float]:
    """The map with values whose powers float32 can hold, and the power of two that it was divided by for that."""
    high = float(np.abs(density.values).max())
    if LEAST < high < MOST or not 0 < high < np.inf:
        return density, 1.0
    unit = 2.0 ** math.floor(math.log2(high))
    return replace(density, values=(density.values / np.float32(unit)).astype(np.float32)), unit


def is_ours(path: str | os.PathLike) -> bool:
    """Whether a file is a map that this package wrote, or the nothing that is left of one."""
    try:
        with content(path, "map") as file:
            first = file.read(HEADER_BYTES)
            return not first or any(t == WRITTEN or LABEL in t for t in parse_header(first).labels)
    except InputError:
        return False


def write_map(density: DensityMap, path: str | os.PathLike) -> None:
    """Write an MRC2014 file (mode 2; compressed where the name ends in .gz or .bz2), whole or not at all.

    The same map makes the same bytes. See `mrc_place.set_place` for how the place is written; a rotated grid is
    kept in the label that Chimera and ChimeraX read.

    Raises:
        InputError: the folder is missing or can't be written, or the disk is full; nothing is left behind.
    """
    path = Path(path)
    suffix = plain_suffix(path)
    if suffix in NSTART_FIRST and not is_told_by_nstart(density.grid):
        reason = f"NSTART, all that is read of a {suffix} file, can't say its place"
        log.warning("%s: ChimeraX will open it at 0, 0, 0, since %s; name it .mrc", path, reason)
    values = np.ascontiguousarray(density.values, "<f4")
    with (
        replacing(path) as temporary,
        open(temporary, "wb") as plain,
        _packer(plain, path.suffix.lower()) as out,
    ):
        out.write(header_bytes(values, density.grid, density.labels or (WRITTEN,)))
        out.write(values.data.cast("B"))


def _packer(plain: BufferedIOBase, suffix: str) -> AbstractContextManager:
    """What compresses into an open file as its name's suffix asks."""
    if suffix == ".gz":
        return gzip.GzipFile("", "wb", 4, plain, mtime=0)
    return bz2.BZ2File(plain, "wb") if suffix == ".bz2" else nullcontext(plain)


def _with_voxel_size(density: DensityMap, size: float) -> DensityMap:
    old = density.grid
    new = replace(old, step=(size, size, size))
    origin = new.axes @ np.linalg.solve(old.axes, np.array(old.origin))
    return replace(density, grid=replace(new, origin=three_floats(origin)))


def resample(density: DensityMap, grid: Grid, order: int = 1) -> DensityMap:
    """The density at the points of another grid.

    Args:
        density: the map.
        grid: the wanted points; anywhere, at any angle.
        order: 1 is trilinear, as the papers do it; 3 a cubic spline, which keeps more of the fine detail.

    Returns:
        A map on `grid`; density is 0 outside the given map's box.
    """
    source = density.grid
    if grid == source:
        return density
    # scipy wants the matrix from output to input indices, in array order (z, y, x).
    matrix = (np.linalg.inv(source.axes) @ grid.axes)[::-1, ::-1]
    offset = source.to_indices(np.array(grid.origin))[::-1]
    values = np.empty(grid.shape, np.float32)
    for first in range(0, grid.shape[0], SLAB):
        part = values[first : first + SLAB]
        _interpolate(density.values, matrix, offset + matrix[:, 0] * first, part, order)
    return DensityMap(values, grid, density.name)


def mask_on(mask: DensityMap, density: DensityMap) -> DensityMap:
    """A mask on a map's grid (trilinear).

    Raises:
        InputError: voxels that are no numbers, none above 0 in it or in the map's box, or the map's numbers of voxels
            and origin with other steps.
    """
    _require_same_scale(mask, density)
    if not np.isfinite(mask.values).all():
        raise InputError(f"{mask.name}: the mask has voxels that are no numbers; set them to 0")
    high = float(mask.values.max())
    if not high > 0:
        raise InputError(f"{mask.name}: a mask needs values above 0; its largest is {high:g}")
    found = resample(mask, density.grid)
    if not found.values.max() > 0:
        raise InputError(f"{mask.name}: the mask doesn't overlap {density.name}; check its position")
    return found


def _require_same_scale(mask: DensityMap, density: DensityMap) -> None:
    """Refuse a mask that was made on a map's voxels, but whose header has another voxel size."""
    one, other = mask.grid, density.grid
    same_start = np.allclose(one.origin, other.origin, atol=0.5 * min(other.step)) or not np.any(one.origin)
    if one.shape == other.shape and same_start and not np.allclose(one.step, other.step, rtol=0.01):
        own, right = (" x ".join(f"{s:g}" for s in grid.step) for grid in (one, other))
        raise InputError(
            f"{mask.name}: has the voxels of {density.name}, but {own} A instead of {right} A for their size;"
            " correct its header"
        )


def values_at(density: DensityMap, points: np.ndarray) -> np.ndarray:
    """The density at points x, y, z in A (n, 3), trilinear; 0 outside the box. float64 (n,)."""
    indices = density.grid.to_indices(points)[:, ::-1]
    return ndimage.map_coordinates(density.values, indices.T, np.float64, order=1)


SLAB = 64  # sections; a spline needs its input in float64, so a large map is done in parts
SPLINE_REACH = 24  # voxels; a cubic spline's coefficients feel a neighbour at this distance by 1e-14


def _interpolate(
    source: np.ndarray, matrix: np.ndarray, offset: np.ndarray, result: np.ndarray, order: int
) -> None:
    """Fill `result` with source values at indices matrix @ (z, y, x) + offset, from no more than it takes."""
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * (np.array(result.shape) - 1) @ matrix.T + offset
    reach = SPLINE_REACH if order > 1 else 1
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - reach, 0, source.shape)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + reach + 1, 0, source.shape)
    if (low >= high).any():
        result[...] = 0
        return
    part = source[tuple(map(slice, low, high))]
    diagonal = np.diag(matrix)
    is_diagonal = np.allclose(matrix, np.diag(diagonal), atol=1e-9)
    with warnings.catch_warnings():
        # scipy warns that it means by a diagonal what is meant here; ChimeraX would show that in its Log.
        warnings.filterwarnings("ignore", "The behavior of affine_transform with a 1-D array")
        ndimage.affine_transform(
            part,
            diagonal if is_diagonal else matrix,
            offset - low,
            result.shape,
            result,
            order=order,
            mode="grid-constant",
        )
