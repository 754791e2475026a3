"""A task that works in a thread and reports to ChimeraX's main thread."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from queue import SimpleQueue
from threading import Event
from typing import Any

from chimerax.core.errors import NotABug, UserError
from chimerax.core.session import Session
from chimerax.core.tasks import Task, TaskState
from chimerax.core.triggerset import TriggerSet

triggers = TriggerSet()
triggers.add_trigger("begun")  # with each BackgroundTask, for the panel


class BackgroundTask(Task):
    """Work done outside the main thread; ChimeraX's task manager shows it and `taskman kill` stops it.

    A subclass yields events from `work`, which runs in a thread of its own; each reaches `handle` in the main
    thread, in order, and then `finish` is called once. `triggers` tells others: "progress" with what the
    subclass documents, and "done" with the task itself.

    Attributes:
        title: what the task manager calls it.
        stopped: whether someone stopped it.
        error: what went wrong, known once it's done.
        done: whether all is over, `finish` included.
    """

    SESSION_SAVE = False

    def __init__(self, session: Session, title: str) -> None:
        self.title = title
        self.stopped = False
        self.error: Exception | None = None
        self.done = False
        self.triggers = TriggerSet()
        self.triggers.add_trigger("progress")
        self.triggers.add_trigger("done")
        self._events: SimpleQueue = SimpleQueue()
        self._started = Event()
        self._blocking = False
        super().__init__(session)
        self.start_time = datetime.now()  # the Task Manager asks for it even before the start

    def work(self) -> Iterator[Any]:
        """Do the work in a thread that must not touch ChimeraX, and yield what is to be told."""
        raise NotImplementedError

    def handle(self, event: Any) -> None:
        """Act on an event, in the main thread."""
        raise NotImplementedError

    def finish(self) -> None:
        """Clean up, in the main thread; `error` and `stopped` say how the work ended."""

    def stop_work(self) -> None:
        """Make `work` end soon; called from any thread."""
        raise NotImplementedError

    def begin(self, block: bool) -> None:
        """Start the work, and with `block` wait for its end.

        Raises:
            UserError: with `block` alone, what went wrong; without it the error goes to the log.
        """
        self._blocking = block
        self.start()
        self._started.set()
        triggers.activate_trigger("begun", self)
        if not block:
            return
        try:
            while not self.done:
                self._take(self._events.get())
        except KeyboardInterrupt:
            self.terminate()
            while not self.done:
                self._take(self._events.get())
            raise
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        """Run `work` in the task's thread."""
        self._started.wait()  # else a short job could end before `start` has called it running
        error = None
        try:
            for event in self.work():
                self._post(event)
        except Exception as failure:
            error = failure
        self.end_time = datetime.now()
        self._post(_End(error))

    def terminate(self) -> None:
        """Stop the task, or take one that is over off the list, as `taskman kill` does."""
        if self.done:
            self.session.tasks.remove(self)
        if self.done or self.stopped:
            return
        self.stopped = True
        self.stop_work()
        super().terminate()

    def __str__(self) -> str:
        return f"{self.title} (task {self.id}, {self.state.value})"

    def _post(self, event: Any) -> None:
        self._events.put(event)
        session = self.session
        if not self._blocking and session is not None:
            session.ui.thread_safe(self._take_all)

    def _take_all(self) -> None:
        while not self._events.empty():
            self._take(self._events.get())

    def _take(self, event: Any) -> None:
        try:
            if not isinstance(event, _End):
                if not self.stopped:
                    self.handle(event)
                return
            self.error = self.error or event.error
            if self.stopped:
                self.error = UserError(f"{self.title} was stopped")
            self.finish()
        except Exception as failure:
            self.error = self.error or failure
            if not isinstance(event, _End):
                self.stop_work()
                return
        self.done = True
        self._tell_state()
        if not self._blocking:
            self._log_error()
        self.triggers.activate_trigger("done", self)

    def _tell_state(self) -> None:
        """Say that it failed, where ChimeraX says that every thread that ended has finished."""
        if self.error is None or self.stopped:
            return
        if thread := self._thread:
            thread.join()  # it has nothing more to do than to call itself finished
        self.state = TaskState.FAILED

    def _log_error(self) -> None:
        logger = self.session.logger
        if self.stopped:
            logger.info(str(self.error))
        elif isinstance(self.error, NotABug):
            logger.error(str(self.error))
        elif self.error is not None:
            logger.report_exception(exc_info=(type(self.error), self.error, self.error.__traceback__))


class _End:
    """The last event: the work is over."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


def should_block(session: Session, block: bool | None) -> bool:
    """Whether a command waits for its task: as told, else in scripts; always where no window can go on."""
    if not session.ui.is_gui:
        return True
    return bool(session.in_script) if block is None else block
