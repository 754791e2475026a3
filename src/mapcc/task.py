"""The calculation of `mapcc` in a thread, so that the window lives on and the task manager can stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chimerax.core.errors import UserError
from chimerax.core.session import Session

from ..cryomap.errors import Cancelled, InputError
from ..cryomap.metrics.results import Assessment
from ..runtime.background import BackgroundTask
from ..scene.engine_text import user_error


class MapccTask(BackgroundTask):
    """One assessment; its trigger "progress" tells the steps in words.

    Attributes:
        answer: what `show` made of the report, once it's done.
    """

    def __init__(
        self,
        session: Session,
        title: str,
        assess: Callable[[Callable[[str], None]], Assessment],
        show: Callable[[Assessment], object],
    ) -> None:
        """Prepare.

        Args:
            session: the session.
            title: what the task manager calls it.
            assess: does the work, in a thread, with a function to call before each step.
            show: shows the report, in the main thread.
        """
        super().__init__(session, title)
        self.answer: object = None
        self._assess, self._show = assess, show

    def work(self) -> Iterator[Assessment]:
        """Calculate, in the task's thread."""
        try:
            yield self._assess(self._step)
        except InputError as error:
            raise user_error("mapcc", error) from None
        except MemoryError:
            raise UserError("mapcc: memory ran out; leave out cubes, or crop the maps") from None
        except Cancelled:
            return

    def _step(self, text: str) -> None:
        if self.stopped:
            raise Cancelled
        self._post(text)

    def stop_work(self) -> None:
        """Nothing more to do: the next step does not begin."""

    def handle(self, event: str | Assessment) -> None:
        """Tell the step, or show the report."""
        if isinstance(event, Assessment):
            self.answer = self._show(event)
        else:
            self.session.logger.status(f"mapcc: {event}", blank_after=0)
            self.triggers.activate_trigger("progress", event)

    def finish(self) -> None:
        """Clear the status line."""
        self.session.logger.status("")
