"""The MRC/CCP4 format: what a header says, whether the file keeps it, and a header for what is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .background import mean_and_deviation
from .errors import InputError
from .grid import Grid, three_ints
from .mrc_place import ROTATION, place_of, set_place

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


def parse_header(first: bytes, suffix: str = ".mrc", voxel_size: float | None = None) -> Header:
    """Read the 1024 bytes of a header as ChimeraX does, unless the file plainly says otherwise.

    Args:
        first: the file's first bytes.
        suffix: of its name, lower case; it decides which words place the map where they disagree.
        voxel_size: in A, taken where the header has none that can be.

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
    grid, frame, placed = place_of(words, axes, suffix, voxel_size)
    extended = int(words["extended"])
    return Header(size, kind, extended, axes, grid, frame, _labels(words), (*notes, *placed))


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


def _labels(words: np.void) -> tuple[str, ...]:
    count = max(0, min(int(words["label_count"]), len(words["labels"])))
    texts = [label.tobytes() for label in words["labels"][:count] if not label.tobytes().startswith(ROTATION)]
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

    Args:
        values: float32 (z, y, x).
        grid: where they are, see `set_place`.
        labels: of the map's history; the last of them that there is room for. No time stamp: the same map makes
            the same bytes.
    """
    words = np.zeros(1, _HEADER.newbyteorder("<"))[0]
    words["size"] = words["intervals"] = grid.size
    words["mode"] = 2
    words["axes"] = (1, 2, 3)
    mean, words["rms"] = mean_and_deviation(values)
    words["range"] = values.min(), values.max(), mean
    words["space_group"] = 1
    words["map"] = b"MAP "
    extra = bytearray(100)
    extra[12:16] = (20140).to_bytes(4, "little")  # NVERSION
    words["extra"] = np.void(bytes(extra))
    words["stamp"] = np.void(b"DD\0\0")
    texts = [label.encode("latin-1", "replace")[:80] for label in labels]
    texts += set_place(words, grid)
    texts = texts[-len(words["labels"]) :]
    words["label_count"] = len(texts)
    for i, text in enumerate(texts):
        words["labels"][i] = np.void(text.ljust(80, b"\0"))
    return words.tobytes()
