"""What surrounds a command: signals that stop it, readers that go away, names that a code page lacks, limits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ..errors import InputError, WriteError
from ..log_lines import HARMLESS

INTERRUPTED = 130  # the exit status after Ctrl-C
LEAST_MEMORY = 2**30  # bytes of address space; PyTorch is loaded in 0.7 of it


class Stopped(KeyboardInterrupt):
    """A signal asked the command to stop; `status` is its exit status."""

    def __init__(self, number: int):
        super().__init__()
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Signals that would end the process at once raise `Stopped` in the block, so that half-written files go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # once is enough
        raise Stopped(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Forgiving:
    """A stream whose reader may go away: the work goes on without it. No name in the text commands a terminal."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with self._forgiven():
            self._stream.write(text.translate(HARMLESS))
        return len(text)

    def flush(self) -> None:
        with self._forgiven():
            self._stream.flush()

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # What is still to be written, at the end of the program too, goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """In the block a reader may go away, and what a code page lacks is written as an escape.

    Raises:
        WriteError: at the end, where standard output is a file that can't take what was printed.
    """
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = _Forgiving(out), _Forgiving(err)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        with suppress(OSError):  # or the program would end in the same error once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise WriteError(f"standard output can't be written ({error.strerror})") from None
    finally:
        sys.stdout, sys.stderr = out, err


def require_surroundings() -> None:
    """Refuse a working folder that is gone, and a limit of address space in which the libraries can't even start.

    To be called before they are imported: where SciPy's OpenBLAS gets no memory for its buffers as it is loaded, it
    asks again without end, and NumPy's sends the signal of Ctrl-C where it gets no thread. Within a larger limit it is
    told to run one thread.

    Raises:
        InputError: there is no such folder, or such a limit.
    """
    try:
        os.getcwd()
    except OSError:
        raise InputError("the working folder is gone; change to one that is there") from None
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its buffers are 32 MB for each
    if limit < LEAST_MEMORY:
        raise InputError(
            f"address space is limited to {limit >> 20} MB; give at least {LEAST_MEMORY >> 20} (ulimit -v)"
        )
