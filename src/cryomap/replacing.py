"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import WriteError


@contextmanager
def replacing(path: str | os.PathLike, make_folders: bool = False) -> Iterator[str]:
    """The name of an empty file beside `path` that takes its place when the block ends, and is removed if it fails.

    Args:
        path: the file to be.
        make_folders: make the folder that it goes into, as far as it isn't there.

    Raises:
        WriteError: it can't be written.
    """
    path, temporary = Path(path), None
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(".tmp", f".{path.name}.", dir=path.parent)
        os.close(handle)
        yield temporary
        _bring_to_disk(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error})") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _bring_to_disk(path: str) -> None:
    # Or, after a crash of the machine, an empty file could have taken the place of a whole one.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
