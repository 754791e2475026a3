"""Download files of EMDB and the PDB: resumed where they stopped, checked, in place whole or not at all.

Neither archive publishes a checksum beside an entry's files. What there is to check against: a list of
checksums the user gives, a digest in the server's answer, the length the server announces, and the CRC-32 and
length at the end of every .gz file. The SHA-256 of what passed is kept as NAME.sha256 (`sha256sum --check`
reads it), so that a file damaged later is noticed and replaced.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryomap.errors import InputError, WriteError

from .checksums import Checksum, announced_checksums, digest, fault, read_checksums

BLOCK = 1 << 20
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "ChimeraX-MapEnhance"}
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


class _BrokenError(Exception):
    """The transfer broke in a way that another attempt may mend."""


class _WrongError(Exception):
    """The whole file came, and fails its checks."""


class _AbsentError(Exception):
    """This server hasn't got the file."""


def fetch(
    urls: list[str],
    path: str | os.PathLike,
    checksum: Checksum | None = None,
    attempts: int = 6,
    pause: float = 1.0,
    timeout: float = 60.0,
) -> Path:
    """Make sure that `path` is there and whole, downloading it if it isn't.

    A broken transfer goes on from where it stopped, in this run or in a later one, unless the server's file
    has changed meanwhile; what has come so far is in `.NAME.part`.

    Args:
        urls: the same file on one or more servers, in order of preference.
        path: where it goes; its folder is made.
        checksum: what it must match, if known beforehand.
        attempts: how often each server is tried before it is given up.
        pause: seconds before the second attempt, doubled before each further one.
        timeout: seconds without a byte after which a transfer counts as broken.

    Raises:
        InputError: no server has the file, it fails its checks on each, or an address isn't one of HTTP(S).
        WriteError: it can't be written (disk full).
    """
    path, causes = Path(path), []
    for url in urls:
        _require_http(url)
    if path.is_file() and _still_good(path, checksum):
        return path
    for url in urls:
        wrong = 0
        for attempt in range(attempts):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                _download(url, path, checksum, timeout)
                return path
            except _AbsentError as error:
                causes.append(f"{url}: {error}")
                break
            except _WrongError as error:
                causes.append(f"{url}: {error}")
                wrong += 1
                if wrong == 2:
                    break
            except _BrokenError as error:
                causes.append(f"{url}: {error}")
    raise InputError(f"{path.name}: can't be downloaded ({'; '.join(dict.fromkeys(causes))})")


def announced_size(urls: list[str], timeout: float = 20.0) -> int:
    """Bytes of a file, as the first server that has it says; 0 if none does."""
    for url in urls:
        _require_http(url)
        request = urllib.request.Request(url, headers=HEADERS, method="HEAD")
        try:
            with OPENER.open(request, timeout=timeout) as response:
                return int(response.headers.get("Content-Length") or 0)
        except (OSError, http.client.HTTPException, ValueError):
            continue
    return 0


def _require_http(url: str) -> None:
    if not (url.isascii() and url.lower().startswith(("http://", "https://"))):
        raise InputError(f"{url!r}: only http:// and https:// addresses are downloaded from, of ASCII letters")


def _opener() -> urllib.request.OpenerDirector:
    """Follows HTTP(S) alone, redirections too: never a file of this machine."""
    opener = urllib.request.OpenerDirector()
    names = "Proxy Unknown HTTP HTTPDefaultError HTTPRedirect HTTPS"
    for handler in (getattr(urllib.request, f"{name}Handler") for name in names.split()):
        opener.add_handler(handler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


def _download(url: str, path: Path, checksum: Checksum | None, timeout: float) -> None:
    announced = _transfer(url, path, timeout)
    part = _part(path)
    problem = fault(part, [c for c in (checksum, *announced) if c], path.suffix == ".gz")
    if problem:
        _drop(part, _state(path))
        raise _WrongError(problem)
    with open(part, "rb") as handle:
        os.fsync(handle.fileno())
    _write_file(receipt(path), f"{digest(part, 'sha256')}  {path.name}\n")
    os.replace(part, path)
    _drop(_state(path))


def _transfer(url: str, path: Path, timeout: float) -> list[Checksum]:
    """Bring the rest of the file into the part file; the digests the server announced."""
    part, state = _part(path), _state(path)
    have = part.stat().st_size if part.exists() else 0
    response = _open(url, have, _validator(state, url), timeout, part)
    with response:
        resumed = response.status == 206 and _range_start(response) == have
        if response.status == 206 and not resumed:
            _drop(part)
            raise _BrokenError("the server sent another range than asked for")
        start = have if resumed else 0
        etag = response.headers.get("ETag") or "W/"
        validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
        _write_file(state, json.dumps({"url": url, "validator": validator}))
        length = response.headers.get("Content-Length")
        _receive(response, part, start)
    got = part.stat().st_size
    if length is not None and got != start + int(length):
        raise _BrokenError(f"broke off after {got} of {start + int(length)} bytes")
    return announced_checksums(response.headers, whole=not resumed)


def _open(url: str, have: int, validator: str | None, timeout: float, part: Path):
    headers = dict(HEADERS)
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    try:
        return OPENER.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            _drop(part)
            raise _BrokenError("what was kept from before does not fit the file") from None
        kind = _BrokenError if error.code in TEMPORARY else _AbsentError
        raise kind(f"HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(getattr(error, "reason", None) or error or type(error).__name__) from None


def _validator(state: Path, url: str) -> str | None:
    try:
        kept = json.loads(state.read_text())
        return kept["validator"] if kept["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _range_start(response) -> int | None:
    # Content-Range: bytes 1000-4999/5000
    try:
        return int(response.headers["Content-Range"].split()[1].split("-")[0])
    except (KeyError, IndexError, ValueError, AttributeError):
        return None


def _receive(response, part: Path, start: int) -> None:
    with _writing(part), open(part, "r+b" if start else "wb", buffering=0) as handle:
        handle.seek(start)
        handle.truncate()
        while block := _read(response):
            while block:
                block = block[handle.write(block) :]


def _read(response) -> bytes:
    try:
        return response.read1(BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"broke off ({error or type(error).__name__})") from None


def _write_file(path: Path, content: str) -> None:
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{path.parent}: can't be written ({error.strerror or error}); what has come so far is kept, and "
            "another run goes on from there"
        ) from None


def _still_good(path: Path, checksum: Checksum | None) -> bool:
    """Whether a file that is there is the one that was checked, or, put there by hand, passes the checks."""
    wanted = [checksum] if checksum else []
    kept = receipt(path)
    if kept.is_file():
        wanted += read_checksums(kept).values()
    return fault(path, wanted, path.suffix == ".gz" and not kept.is_file()) is None


def _part(path: Path) -> Path:
    return path.parent / f".{path.name}.part"


def _state(path: Path) -> Path:
    return path.parent / f".{path.name}.part.json"


def receipt(path: Path) -> Path:
    """Where the SHA-256 of a downloaded file is kept."""
    return path.parent / f"{path.name}.sha256"


def _drop(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


OPENER = _opener()
