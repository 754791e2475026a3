"""Work that takes all of a machine is done one after another, in the order in which it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A line in which threads wait."""

    def __init__(self) -> None:
        self._line: list[T] = []
        self._changed = Condition()

    def join(self, one: T) -> None:
        """Take the last place in the line."""
        with self._changed:
            self._line.append(one)

    def wait(self, one: T, gives_up: Callable[[], bool]) -> Iterator[T]:
        """Wait to be the first in the line, or until `gives_up` and `wake`; yields each other that comes first."""
        ahead: T | None = None

        def is_over() -> bool:
            return gives_up() or self._line[0] is one

        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=ahead: is_over() or self._line[0] is not seen)
                if is_over():
                    return
                ahead = self._line[0]
            yield ahead

    def leave(self, one: T) -> None:
        """Go out of the line, wherever in it."""
        with self._changed:
            self._line.remove(one)
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait ask whether they give up."""
        with self._changed:
            self._changed.notify_all()
