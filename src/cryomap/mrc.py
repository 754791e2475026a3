"""The MRC/CCP4 format: what a header says, whether the file keeps it, and a header for what is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from .errors import InputError
from .grid import IDENTITY, Grid, skew_matrix, three_floats, three_ints

HEADER_BYTES = 1024
_HEADER = np.dtype(
    [
        ("size", "3i4"), ("mode", "i4"), ("start", "3i4"), ("intervals", "3i4"), ("lengths", "3f4"),
        ("angles", "3f4"), ("axes", "3i4"), ("range", "3f4"), ("space_group", "i4"), ("extended", "i4"),
        ("extra", "V100"), ("origin", "3f4"), ("map", "S4"), ("stamp", "V4"), ("rms", "f4"),
        ("label_count", "i4"), ("labels", "10V80"),
    ]
)  # fmt: skip
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_UNSIGNED = {"i1": "u1", "i2": "u2"}
_OTHER_MODES = {
    3: "a Fourier transform", 4: "a Fourier transform", 16: "a color picture", 101: "packed 4-bit values"
}  # fmt: skip
_IMOD_STAMP = 1146047817
_ROTATION = b"Chimera rotation: "  # the label by which Chimera and ChimeraX keep a turned grid
NSTART_FIRST = (".map", ".ccp4")  # ChimeraX reads NSTART alone in files of these names
VOXEL_SIZES = (0.01, 1000.0)  # A
FLATTEST = 0.05  # volume of a cell / that of the box with the same edges


@dataclass(frozen=True)
class Header:
    """What an MRC header says.

    Attributes:
        size: voxels (columns, rows, sections), the order of the file.
        dtype: of a voxel, byte order included.
        extended: bytes of extended header it promises.
        axes: which of x, y, z (0, 1, 2) columns, rows and sections are.
        grid: where the voxels are, in x, y, z.
        frame: which words gave the origin, "origin" or "nstart".
        labels: the texts that it holds, that of a rotation left out.
        notes: what was taken otherwise than the words say, in sentences.
    """

    size: tuple[int, int, int]
    dtype: np.dtype
    extended: int
    axes: tuple[int, int, int]
    grid: Grid
    frame: str
    labels: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def data_bytes(self) -> int:
        """Of all voxels together."""
        return math.prod(self.size) * self.dtype.itemsize

    def values(self, content: bytearray, offset: int) -> np.ndarray:
        """The voxels that begin at `offset` of `content`, float32 (z, y, x)."""
        stored = np.frombuffer(content, self.dtype, math.prod(self.size), offset).reshape(self.size[::-1])
        order = [self.axes[::-1].index(axis) for axis in (2, 1, 0)]
        return np.require(stored.transpose(order), np.float32, ["C", "A", "W"])


def parse_header(first: bytes, suffix: str = ".mrc") -> Header:
    """Read the 1024 bytes of a header as ChimeraX does, unless the file plainly says otherwise.

    Args:
        first: the file's first bytes.
        suffix: of its name, lower case; it decides which words place the map where they disagree.

    Raises:
        InputError: no MRC header, or a number in it that can't be; without the file's name.
    """
    if len(first) < HEADER_BYTES:
        raise InputError(f"not a readable MRC/CCP4 map: {len(first)} bytes, less than a header")
    words, order = _words(first)
    size = three_ints(words["size"])
    kind, notes = _voxel_type(words, order, size)
    _require_volume(words, size)
    axes = three_ints(int(axis) - 1 for axis in words["axes"])
    if sorted(axes) != [0, 1, 2]:
        if any(words["axes"]):
            notes.append(f"MAPC, MAPR, MAPS of {tuple(words['axes'].tolist())} are no axes; 1, 2, 3 is taken")
        axes = (0, 1, 2)
    shape = three_ints(size[axes.index(axis)] for axis in (2, 1, 0))
    step = _voxel_size(words, shape)
    angles = _cell_angles(words)
    origin, frame = _origin(words, axes, shape, step, angles, suffix, notes)
    grid = Grid(shape, step, origin, angles, _rotation(words, notes))
    extended = int(words["extended"])
    return Header(size, kind, extended, axes, grid, frame, _labels(words), tuple(notes))


def _words(first: bytes) -> tuple[np.void, str]:
    """The header's words and their byte order: that in which it makes sense."""
    found = {order: np.frombuffer(first, _HEADER.newbyteorder(order), 1)[0] for order in ("<", ">")}
    likely = [order for order, words in found.items() if _makes_sense(words)]
    stamped = found["<"]["map"] == b"MAP "
    if not likely and not stamped:
        raise InputError("not an MRC/CCP4 map")
    big = first[212:213] == b"\x11"  # of the machine stamp; older files leave it empty
    order = likely[0] if len(likely) == 1 else ">" if big else "<"
    return found[order], order


def _makes_sense(words: np.void) -> bool:
    known = int(words["mode"]) in _TYPES or int(words["mode"]) in _OTHER_MODES
    return known and all(0 < n < 65536 for n in words["size"].tolist())


def _voxel_type(words: np.void, order: str, size: tuple[int, int, int]) -> tuple[np.dtype, list[str]]:
    mode = int(words["mode"])
    if mode not in _TYPES:
        what = _OTHER_MODES.get(mode)
        if what:
            raise InputError(f"{what} (mode {mode}), not a density map")
        raise InputError(f"not an MRC/CCP4 map (data mode {mode} is unknown)")
    if min(size) <= 0:
        raise InputError(f"its header promises {_product(size)} voxels; the file or its header is damaged")
    kind, notes = _TYPES[mode], []
    if kind in _UNSIGNED:
        why = _why_unsigned(words, kind)
        if why:
            kind = _UNSIGNED[kind]
            notes.append(f"values of mode {mode} are taken as unsigned: {why}")
    return np.dtype(order + kind), notes


def _why_unsigned(words: np.void, kind: str) -> str:
    """What says that integers have no sign; "" if nothing does."""
    low, high = float(words["range"][0]), float(words["range"][1])
    if kind == "i1":
        stamp, flags = np.frombuffer(words["extra"].tobytes(), words["mode"].dtype, 2, 56).tolist()
        if stamp == _IMOD_STAMP:
            return "" if flags & 1 else "IMOD's flag says so"
        if words["map"] != b"MAP " and not low < 0:
            return "the header is of before 2000"
    largest = 127 if kind == "i1" else 32767
    return f"the header's maximum is {high:g}" if low >= 0 and largest < high <= 2 * largest + 1 else ""


def _product(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _require_volume(words: np.void, size: tuple[int, int, int]) -> None:
    group, mz = int(words["space_group"]), int(words["intervals"][2])
    if 401 <= group <= 630:
        raise InputError(f"a stack of volumes ({_product(size)}), not one 3D map")
    if group == 0 and mz == 1 and size[2] > 1:
        raise InputError(f"a stack of {size[2]} 2D images, not a 3D map")
    if min(size) < 2:
        raise InputError(f"a 2D image ({_product(size)}), not a 3D map")


def _voxel_size(words: np.void, shape: tuple[int, int, int]) -> tuple[float, float, float]:
    intervals = words["intervals"].tolist()
    if min(intervals) <= 0:
        intervals = shape[::-1]
    # Six decimals: the header's lengths are float32, and 1.3400000436 is meant to be 1.34.
    step = tuple(round(length / n, 6) for length, n in zip(words["lengths"].tolist(), intervals, strict=True))
    if not all(VOXEL_SIZES[0] <= length <= VOXEL_SIZES[1] for length in step):
        size = " x ".join(f"{length:g}" for length in step)
        raise InputError(f"voxel size {size} A; set the true voxel size in the header")
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
    if (abs(start) > 10 * max(*words["intervals"].tolist(), *shape)).any():
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
        if not text.startswith(_ROTATION):
            continue
        try:
            *axis, angle = (float(word) for word in text[len(_ROTATION) :].rstrip(b"\0 ").split())
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


def _labels(words: np.void) -> tuple[str, ...]:
    count = max(0, min(int(words["label_count"]), len(words["labels"])))
    texts = [
        label.tobytes() for label in words["labels"][:count] if not label.tobytes().startswith(_ROTATION)
    ]
    return tuple(text for text in (text.decode("latin-1").strip("\0 ") for text in texts) if text)


SLACK = 1 << 20  # bytes read beyond what a header promises


def data_start(header: Header, content: bytearray) -> tuple[int, str]:
    """Where the voxels begin in what follows the header, and what is odd about that, or "".

    Args:
        header: of the file.
        content: what follows the header, up to `SLACK` bytes more than the header promises.

    Raises:
        InputError: there is less than the header promises, or so much more that its counts must be wrong.
    """
    extended, data, size = header.extended, header.data_bytes, len(content)
    if size == data and extended:
        return 0, f"its header announces an extended header of {extended} bytes, which isn't there"
    if extended < 0:
        raise InputError(f"its header announces an extended header of {extended} bytes; correct NSYMBT")
    excess = size - extended - data
    if excess < 0:
        raise InputError(f"truncated; its header promises {_product(header.size)} voxels")
    if excess == 0:
        return extended, ""
    tail = content[extended + data :]
    padding = not any(tail)
    if (excess >= SLACK and not padding) or (excess < SLACK and _fills_planes(header, excess)):
        voxels = f"{_product(header.size)} voxels of {header.dtype.itemsize} bytes"
        raise InputError(f"longer than its header promises, {voxels}; correct the header")
    unannounced = extended == 0 and excess % 1024 == 0 and excess < SLACK
    if unannounced and (not padding or (not any(content[:excess]) and _is_shifted(header, content, excess))):
        return excess, f"{excess} bytes before the voxels are taken for an extended header not announced"
    return extended, f"{excess} bytes more than its header promises are ignored"


def _fills_planes(header: Header, excess: int) -> bool:
    """Whether the excess is whole planes of voxels, as where a count in the header is wrong."""
    voxels = math.prod(header.size)
    return any(excess % (voxels // n * header.dtype.itemsize) == 0 for n in header.size)


def _is_shifted(header: Header, content: bytearray, excess: int) -> bool:
    """Whether the voxels are those at the file's end: the density then stays off the faces of the box."""
    on_faces = []
    for offset in (0, excess):
        values = abs(header.values(content, offset))
        on_faces.append(sum(float(values.take((0, -1), axis).sum()) for axis in range(3)))
    return on_faces[1] < on_faces[0]


def header_bytes(values: np.ndarray, grid: Grid, labels: Sequence[str]) -> bytes:
    """The header of an MRC2014 file of mode 2.

    ORIGIN and NSTART say the same place where the origin is a whole number of voxels; else NSTART is 0.

    Args:
        values: float32 (z, y, x).
        grid: where they are; a rotation goes into a label.
        labels: of the map's history; the last of them that there is room for. No time stamp: the same map makes
            the same bytes.
    """
    words = np.zeros(1, _HEADER.newbyteorder("<"))[0]
    words["size"] = words["intervals"] = grid.size
    words["mode"] = 2
    words["lengths"] = np.array(grid.size) * grid.step
    words["angles"] = grid.cell_angles
    words["axes"] = (1, 2, 3)
    words["range"] = values.min(), values.max(), values.mean(dtype=np.float64)
    words["rms"] = values.std(dtype=np.float64)
    words["space_group"] = 1
    words["origin"] = grid.origin
    start = np.linalg.inv(skew_matrix(grid.cell_angles)) @ grid.origin / grid.step
    if np.allclose(start, np.round(start), atol=1e-3) and abs(start).max() < 2**31:
        words["start"] = np.round(start)
    words["map"] = b"MAP "
    extra = bytearray(100)
    extra[12:16] = (20140).to_bytes(4, "little")  # NVERSION
    words["extra"] = np.void(bytes(extra))
    words["stamp"] = np.void(b"DD\0\0")
    texts = [label.encode("latin-1", "replace")[:80] for label in labels]
    if not np.allclose(grid.rotation, IDENTITY):
        turn = Rotation.from_matrix(grid.rotation).as_rotvec(degrees=True)
        angle = float(np.linalg.norm(turn))
        texts.append(_ROTATION + b"%12.8f %12.8f %12.8f %12.8f" % (*(turn / angle), angle))
    texts = texts[-len(words["labels"]) :]
    words["label_count"] = len(texts)
    for i, text in enumerate(texts):
        words["labels"][i] = np.void(text.ljust(80, b"\0"))
    return words.tobytes()
