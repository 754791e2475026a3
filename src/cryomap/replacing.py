"""Files that are there whole or not at all."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import WriteError

LONGEST_NAME = 255 - len("..xxxxxxxx.tmp")  # bytes


@contextmanager
def replacing(path: str | os.PathLike, make_folders: bool = False) -> Iterator[str]:
    """The name of an empty file beside `path` that takes its place when the block ends, and is removed if it fails.

    A link stays, and what it leads to is replaced; a device is written into. What a process that was killed left
    of the same file is removed.

    Args:
        path: the file to be.
        make_folders: make the folder that it goes into, as far as it isn't there.

    Raises:
        WriteError: it can't be written.
    """
    target, temporary, lock = Path(os.path.realpath(path)), None, None
    try:
        if make_folders:
            target.parent.mkdir(parents=True, exist_ok=True)
        device = is_device(target)
        if not device:
            _remove_leftovers(target)
        lock, temporary = tempfile.mkstemp(".tmp", _prefix(target), dir=None if device else target.parent)
        _lock(lock)
        yield temporary
        if device:
            with open(temporary, "rb") as whole, open(target, "wb") as into:
                shutil.copyfileobj(whole, into)
            return
        _bring_to_disk(temporary)
        with suppress(OSError):  # some network file systems have no rights to change
            os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error})") from None
    finally:
        if lock is not None:
            os.close(lock)
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def is_device(path: Path) -> bool:
    """Whether that is a device like /dev/null, which takes what is written and stays what it is."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _prefix(target: Path) -> str:
    """How the names of half-written files of `target` begin; of a long name, what leaves room for the rest."""
    return f".{os.fsdecode(os.fsencode(target.name)[:LONGEST_NAME])}."


def _remove_leftovers(target: Path) -> None:
    """Remove half-written files of `target` whose process is gone: those in the making are locked by theirs."""
    ours = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]{8}\.tmp")
    for name in glob.glob(f"{glob.escape(_prefix(target))}*.tmp", root_dir=target.parent):
        if ours.fullmatch(name):
            with suppress(OSError), open(target.parent / name, "rb") as file:
                _lock(file.fileno())
                os.unlink(target.parent / name)


def _lock(handle: int) -> None:
    """Lock a file as long as it's open; OSError if another process has. Windows keeps open files by itself."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _bring_to_disk(path: str) -> None:
    # Or, after a crash of the machine, an empty file could have taken the place of a whole one.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
