"""Where results may go: told before the work, by what files are and not by their names."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .containers import COMPRESSED, plain_suffix
from .errors import InputError, WriteError
from .replacing import is_device

MAP_SUFFIXES = (".mrc", ".map", ".ccp4", ".rec")


def require_outputs(
    outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike | None] = ()
) -> None:
    """Refuse outputs before the work is done rather than after.

    Args:
        outputs: files to be written.
        inputs: files that must stay what they are: whatever is read; None and what isn't there count for nothing.

    Raises:
        InputError: a folder, a pipe, no name; a file that is read, or written twice, under whatever name.
        WriteError: a folder that is missing or can't be written into.
    """
    taken = {key: f"the same file as {path}" for path in inputs if path and (key := _identity(path))}
    folders: set[Path] = set()
    for path in outputs:
        _require_possible(path, folders)
        if is_device(Path(path)):
            continue
        keys = [key for key in (_identity(path), _place(path)) if key]
        for key in keys:
            if key in taken:
                raise InputError(f"{path}: is {taken[key]}; give another name for the output")
        taken |= dict.fromkeys(keys, f"another output, too, {path}")


def require_map_output(path: str | os.PathLike) -> None:
    """Refuse a name that promises anything but an MRC/CCP4 map.

    Raises:
        InputError: it ends in .hdf or .txt, say, or is the dash that stands for standard output elsewhere.
    """
    if str(path) == "-":
        raise InputError("-: a map isn't printed; give the name of a file, ./- if that is its name")
    suffix = plain_suffix(path)
    if suffix and suffix not in MAP_SUFFIXES:
        raise InputError(
            f"{path}: a map is written as {', '.join(MAP_SUFFIXES)}, with {' or '.join(COMPRESSED)} behind if you like;"
            f" not as {suffix}"
        )


def _require_possible(path: str | os.PathLike, tried: set[Path]) -> None:
    """Refuse a path that no file can be written to; `tried` are folders that were tried before."""
    if not str(path):
        raise InputError("the name of an output is empty; give the name of a file to write")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error})") from None
    except ValueError:
        raise InputError(f"{os.fspath(path)!r}: no name of a file") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: a folder; give the name of a file to write")
    if stat.S_ISCHR(mode):
        if not os.access(path, os.W_OK):
            raise WriteError(f"{path}: a device that can't be written into")
        return
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: a pipe, socket or disk; give the name of a file to write")
    folder = Path(os.path.realpath(path)).parent
    if not os.path.isdir(folder):
        raise WriteError(f"{path}: the folder {Path(path).parent} does not exist")
    if folder in tried:
        return
    tried.add(folder)
    try:  # what rights say isn't what a network file system does
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error})") from None


def _identity(path: str | os.PathLike) -> tuple | None:
    """What tells a file from all others, whatever it's called; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _place(path: str | os.PathLike) -> tuple:
    """Where a file is or would be: its folder and its name, in which some file systems don't tell A from a."""
    target = Path(os.path.realpath(path))
    return _identity(target.parent), target.name.casefold()
