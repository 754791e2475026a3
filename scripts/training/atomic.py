"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cryomap.errors import InputError


class WriteError(InputError):
    """Output can't be written (a full disk, no such folder, no right to): there is no use in going on."""


@contextmanager
def replacing(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """A file to write to, which becomes `path` when the block ends and leaves nothing if it fails.

    The folder is made. A killed process leaves `.NAME.tmp`, which the next one overwrites.

    Raises:
        WriteError: it can't be written.
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error})") from None
    finally:
        temporary.unlink(missing_ok=True)
