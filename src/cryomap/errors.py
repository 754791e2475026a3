"""What the engine raises on purpose: for input it can't use, and where its caller asked it to stop."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """The input can't be used; the message names the file or map, the value, and what to do.

    The command line prints the message and exits with 2; in ChimeraX it becomes a `UserError`.
    """


class OutsideError(InputError):
    """Atoms and a map lie apart."""


class WriteError(InputError):
    """Output can't be written (a full disk, no such folder, no right to): there is no use in going on with the rest."""


class Cancelled(Exception):
    """Raise it in a progress callback to stop a calculation; nothing is written."""


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Out of memory in the block, in whatever words a library says it, is a MemoryError that names what it's for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(what) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of whatever library says that memory ran out."""
    phrases = (
        "out of memory",
        "not enough memory",
        "can't allocate memory",
        "cannot allocate memory",
        "alloc_failed",
    )
    return isinstance(error, MemoryError) or any(phrase in str(error).lower() for phrase in phrases)
