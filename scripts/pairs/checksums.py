"""Digests of files: given by the user, announced by a server, or held by the file itself (gzip)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryomap.errors import InputError

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
HEADER_NAMES = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}


@dataclass(frozen=True)
class Checksum:
    """A file's digest: `algorithm` as hashlib names it, `value` in lower-case hexadecimal."""

    algorithm: str
    value: str


def read_checksums(path: str | os.PathLike) -> dict[str, Checksum]:
    """The checksums in a file as md5sum, sha1sum, sha256sum or sha512sum write it, by file name.

    Raises:
        InputError: no such file, or a line that is not a digest and a name.
    """
    path, found = Path(path), {}
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        value, _, name = line.strip().partition(" ")
        if len(value) not in ALGORITHMS or not name.strip(" *"):
            raise InputError(f"{path}, line {number}: not a checksum and a file name: {line[:60]!r}")
        found[Path(name.strip(" *")).name] = Checksum(ALGORITHMS[len(value)], value.lower())
    return found


def announced_checksums(headers: Mapping[str, str], whole: bool) -> list[Checksum]:
    """Digests of the whole file in the headers of an answer, as far as hashlib knows their algorithms.

    Repr-Digest (RFC 9530) and Digest (RFC 3230) speak of the whole file; Content-MD5 (RFC 1864) of what was
    sent, so it counts only where the `whole` file was.
    """
    fields = []
    for header in ("Repr-Digest", "Digest"):
        for item in (headers.get(header) or "").split(","):
            algorithm, _, value = item.strip().partition("=")
            fields.append((HEADER_NAMES.get(algorithm.lower()), value.strip(":")))
    if whole and headers.get("Content-MD5"):
        fields.append(("md5", headers["Content-MD5"]))
    found = []
    for algorithm, value in fields:
        try:
            found += [Checksum(algorithm, base64.b64decode(value, validate=True).hex())] if algorithm else []
        except ValueError:
            continue
    return found


def digest(path: Path, algorithm: str) -> str:
    """A file's digest in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def fault(path: Path, checksums: list[Checksum], compressed: bool) -> str | None:
    """What is wrong with a file, or None.

    Args:
        path: the file.
        checksums: what it must match.
        compressed: whether it must be a whole gzip file, by the CRC-32 and the length at its end.
    """
    for wanted in checksums:
        value = digest(path, wanted.algorithm)
        if value != wanted.value:
            return f"its {wanted.algorithm} is {value}, not {wanted.value}"
    if compressed:
        try:
            with gzip.open(path) as content:
                while content.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            return f"not a whole gzip file: {error}"
    return None
