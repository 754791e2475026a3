"""Being told to stop: end with a checkpoint instead of dying between two."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def stop_request() -> Iterator[Event]:
    """An event that SIGTERM (a scheduler's time limit) or Ctrl-C sets; a second Ctrl-C interrupts as ever.

    A second SIGTERM changes nothing, neither in the block, where the run is to wind up, nor after it.
    """
    asked = Event()

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        if asked.is_set():
            before[signal.SIGTERM] = signal.SIG_IGN
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_stopping_to_the_trainer(_worker: int) -> None:
    """For a loader's processes: a signal to the whole process group must not take the cubes from the last steps."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
