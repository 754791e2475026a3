"""DensityMap: the values of a map and where they are; reading, writing and resampling."""

from __future__ import annotations

import gzip
import os
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from .errors import InputError
from .grid import Grid, skew_matrix, three_floats
from .replacing import replacing

MODES = (0, 1, 2, 6, 12)  # signed bytes, shorts, floats, unsigned shorts, half floats
TRANSFORM_MODES = (3, 4)
LABEL = "ChimeraX-MapEnhance"  # a result of ours carries a label with it


@dataclass(frozen=True)
class DensityMap:
    """Density on a grid.

    Attributes:
        values: float32 array (z, y, x).
        grid: where the voxels are; `grid.shape == values.shape`.
        name: what messages call it, usually the file's name.
        frame: which header words gave the origin of a file, "origin" or "nstart"; "" if not from a file.
        labels: what the header says of the map's history.
    """

    values: np.ndarray
    grid: Grid
    name: str = "map"
    frame: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(f"values {self.values.shape} do not fit grid {self.grid.shape}")


def read_map(path: str | os.PathLike) -> DensityMap:
    """Read an MRC/CCP4 map, plain or compressed (.gz, .bz2), in whatever axis order it was written.

    The origin is that of the header's ORIGIN words where they are set, else NSTART x voxel size. ChimeraX reads
    .mrc files so; of .map and .ccp4 files it reads NSTART alone.

    Raises:
        InputError: no such file, not a map, truncated, a complex transform, a 2D image, an image or volume
            stack, or a voxel size of zero or less.
    """
    import mrcfile

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with mrcfile.open(path, permissive=True) as mrc:
                header, data = mrc.header.copy(), mrc.data
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a readable MRC/CCP4 map ({error})") from None
    if data is None:
        if int(header.mode) not in MODES + TRANSFORM_MODES:
            raise InputError(f"{path}: not an MRC/CCP4 map (data mode {int(header.mode)} is unknown)")
        raise InputError(f"{path}: truncated; its header promises {_dimensions(header)} voxels")
    if np.iscomplexobj(data):
        raise InputError(f"{path}: a Fourier transform (mode {int(header.mode)}), not a density map")
    _require_volume(path, header, data)
    return _from_header(path, header, data)


def _dimensions(header: np.recarray) -> str:
    return f"{int(header.nx)} x {int(header.ny)} x {int(header.nz)}"


def _require_volume(path: Path, header: np.recarray, data: np.ndarray) -> None:
    if data.ndim != 3 or int(header.ispg) > 400:
        raise InputError(f"{path}: a 2D image or a stack of volumes ({_dimensions(header)}), not one 3D map")
    if int(header.ispg) == 0 and int(header.mz) == 1 and int(header.nz) > 1:
        raise InputError(f"{path}: a stack of {int(header.nz)} 2D images, not a 3D map")
    if min(data.shape) < 2:
        raise InputError(f"{path}: a 2D image ({_dimensions(header)}), not a 3D map")


def _from_header(path: Path, header: np.recarray, data: np.ndarray) -> DensityMap:
    # The array's axes are (sections, rows, columns); mapc, mapr, maps say which of x, y, z (1, 2, 3) each is.
    column, row, section = (int(header[key]) for key in ("mapc", "mapr", "maps"))
    if sorted((column, row, section)) != [1, 2, 3]:
        column, row, section = 1, 2, 3
    labels = (section, row, column)
    values = np.ascontiguousarray(
        data.transpose([labels.index(axis) for axis in (3, 2, 1)]), dtype=np.float32
    )

    lengths = [float(header.cella[key]) for key in "xyz"]
    intervals = [int(header[key]) for key in ("mx", "my", "mz")]
    if min(intervals) <= 0:
        intervals = list(values.shape[::-1])
    # Six decimals: the header's lengths are float32, and 1.3400000436 is meant to be 1.34.
    step = three_floats(round(length / n, 6) for length, n in zip(lengths, intervals, strict=True))
    if not (min(step) > 0 and np.isfinite(step).all()):
        size = " x ".join(f"{length:g}" for length in step)
        raise InputError(f"{path}: voxel size {size} A; set the true voxel size in the header")
    angles = three_floats(header.cellb[key] for key in ("alpha", "beta", "gamma"))
    if not all(0 < angle < 180 for angle in angles):
        angles = (90.0, 90.0, 90.0)

    origin = three_floats(header.origin[key] for key in "xyz")
    frame = "origin"
    if not any(origin) or not np.isfinite(origin).all():
        starts = {column: header.nxstart, row: header.nystart, section: header.nzstart}
        start = np.array([int(starts[axis]) for axis in (1, 2, 3)])
        origin = three_floats(skew_matrix(angles) @ (start * step))
        frame = "nstart"
    return DensityMap(values, Grid(values.shape, step, origin, angles), path.name, frame, _labels(header))


def _labels(header: np.recarray) -> tuple[str, ...]:
    count = max(0, min(int(header.nlabl), len(header.label)))
    texts = (bytes(label).decode("latin-1").strip("\0 ") for label in header.label[:count])
    return tuple(text for text in texts if text)


def require_writable(path: str | os.PathLike, keep: str | os.PathLike | None = None) -> None:
    """Refuse an output before the work is done rather than after.

    Args:
        path: the file to be written.
        keep: a file that must not be overwritten, the input say.

    Raises:
        InputError: the folder is missing, the path is a folder, or it is the file to be kept.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    if keep is not None and path.exists() and Path(keep).exists() and path.samefile(keep):
        raise InputError(f"{path}: is the input; give another name for the output")


def write_map(density: DensityMap, path: str | os.PathLike) -> None:
    """Write an MRC2014 file (mode 2; compressed where the name ends in .gz), whole or not at all.

    The origin goes into the ORIGIN words, and into NSTART too where it is a whole number of voxels, so that
    programs that read either one place the map alike.

    Raises:
        InputError: the folder is missing or can't be written, or the disk is full; nothing is left behind.
        ValueError: the grid is rotated, which the format can't say.
    """
    import mrcfile

    path, grid = Path(path), density.grid
    if not np.allclose(grid.rotation, np.eye(3)):
        raise ValueError("an MRC file can't hold a rotated grid; resample it first")
    require_writable(path)
    with replacing(path) as temporary:
        with mrcfile.new(temporary, overwrite=True) as mrc:
            mrc.set_data(np.ascontiguousarray(density.values, dtype=np.float32))
            mrc.set_volume()
            mrc.voxel_size = grid.step
            mrc.header.cellb = grid.cell_angles
            mrc.header.origin = grid.origin
            start = np.linalg.inv(skew_matrix(grid.cell_angles)) @ grid.origin / grid.step
            if np.allclose(start, np.round(start), atol=1e-3):
                mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart = np.round(start).astype(int)
            _write_labels(mrc.header, density.labels or ("cryomap",))
        if path.suffix == ".gz":
            _compress(temporary)


def _write_labels(header: np.recarray, labels: tuple[str, ...]) -> None:
    """The last of the labels that there is room for, without mrcfile's time stamps, which change the bytes."""
    header.label[:] = b""
    kept = labels[-len(header.label) :]
    header.label[: len(kept)] = [label.encode("latin-1", "replace")[:80] for label in kept]
    header.nlabl = len(kept)


def _compress(path: str) -> None:
    content = Path(path).read_bytes()
    with open(path, "wb") as out, gzip.GzipFile("", "wb", 4, out, mtime=0) as packed:
        packed.write(content)


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
