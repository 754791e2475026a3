"""Files by what they are: plain, gzip or bzip2 by their first bytes, and the names of what is none of ours."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from .errors import InputError

GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
COMPRESSED = (".gz", ".bz2")
# First bytes of what people give by mistake; unpacking or converting is up to them.
KINDS = (
    (GZIP, "gzip data; unpack it"),
    (BZIP2, "bzip2 data; unpack it"),
    (b"\xfd7zXZ\0", "an xz archive; unpack it"),
    (b"(\xb5/\xfd", "a zstd archive; unpack it"),
    (b"PK\3\4", "a zip archive; unpack it"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive; unpack it"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file; open it in ChimeraX and save it as .mrc"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs.github.com", "a Git LFS pointer, not the file itself; run git lfs pull"),
)
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_CHUNK = 1 << 22


@contextmanager
def content(path: str | os.PathLike, what: str) -> Iterator[BufferedIOBase]:
    """A file open for reading, unpacked on the way if it is gzip or bzip2.

    Args:
        path: the file.
        what: what it should be, for the message: "MRC/CCP4 map", say.

    Raises:
        InputError: no such file, not a file, not to be read, or damaged, then or while it is read.
    """
    path = require_file(path)
    try:
        with open(path, "rb") as plain:
            first = plain.read(3)
            plain.seek(0)
            if first.startswith(GZIP):
                with gzip.open(plain) as unpacked:
                    yield unpacked
            elif first == BZIP2:
                with bz2.open(plain) as unpacked:
                    yield unpacked
            else:
                yield plain
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except gzip.BadGzipFile as error:
        other = str(error).startswith("Not a gzipped file")
        told = "other bytes follow its gzip data; unpack it" if other else error
        raise InputError(f"{path}: not a readable {what} ({told})") from None
    except _BROKEN as error:
        raise InputError(f"{path}: not a readable {what} ({error})") from None


def require_file(path: str | os.PathLike) -> Path:
    """The path, if there is a file.

    Raises:
        InputError: it says what there is instead.
    """
    text = os.fspath(path)
    if not text:
        raise InputError("the name of a file to read is empty; give one")
    if re.match(r"[a-z]+://", text):
        raise InputError(f"{text}: an address; download the file and give its name")
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{text}: a link that leads back to itself") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(f"{text}: can't be read ({error.strerror})") from None
        if path.is_symlink():
            raise InputError(f"{text}: a link to {os.readlink(path)}, which does not exist") from None
        raise InputError(f"{text}: no such file") from None
    except ValueError:
        raise InputError(f"{text!r}: no such file") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{text}: a folder; give the name of a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{text}: a device or pipe, not a file")
    return path


def plain_suffix(path: str | os.PathLike) -> str:
    """Of a file's name, lower case, that of its compression left out: ".map" of A.MAP.gz."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(COMPRESSED[0]).removesuffix(COMPRESSED[1])).suffix


def read_at_most(file: BufferedIOBase, count: int) -> bytearray:
    """The next `count` bytes or what there is of them; memory grows with what is there, not with `count`."""
    found = bytearray()
    while len(found) < count:
        part = file.read(min(_CHUNK, count - len(found)))
        if not part:
            break
        found += part
    return found


def kind_of(first: bytes) -> str:
    """What the first bytes of a file tell that it is; "" if nothing that is known."""
    for magic, name in KINDS:
        if first.startswith(magic):
            return name
    if not first:
        return "empty"
    if first[257:262] == b"ustar":
        return "a tar archive; unpack it"
    start = first[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page; the download went wrong"
    if b"\0" not in first and sum(byte >= 32 or byte in b"\t\r\n\f" for byte in first) > 0.95 * len(first):
        return "a text file"
    return "nothing but zeros" if not any(first) else ""
