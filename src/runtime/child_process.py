"""A child process that is read line by line and never outlives ChimeraX."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import IO

_running: weakref.WeakSet[ChildProcess] = weakref.WeakSet()


class ChildProcess:
    """A command whose standard output is iterated over, and which can be stopped from any thread.

    On POSIX the command leads a process group of its own, so that stopping it also stops what it started
    and a Ctrl-C in the terminal reaches ChimeraX alone. On Windows it gets no console window; a virtual
    environment's python.exe there runs the real one in a job object that dies with it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: dict[str, str],
        folder: str | None = None,
        errors: IO[str] | int = subprocess.STDOUT,
    ) -> None:
        """Start the command.

        Args:
            command: program and arguments.
            environment: all of its environment variables.
            folder: its working directory.
            errors: where its standard error goes: an open file, or into the lines of its output.

        Raises:
            OSError: the program can't be started.
        """
        options = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=environment,
            encoding="utf-8",
            errors="replace",
            start_new_session=sys.platform != "win32",
            **options,
        )
        _running.add(self)

    def lines(self) -> Iterator[str]:
        """Lines of the output as they come, without line ends, until the process is gone."""
        with self._process.stdout as output:
            for line in output:
                yield line.rstrip("\r\n")
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it closed its output but hangs
            self.stop(at_once=True)
            self._process.wait()
        _running.discard(self)

    @property
    def exit_code(self) -> int | None:
        """Its exit status; minus the signal's number on POSIX if killed by one; None while it runs."""
        return self._process.poll()

    def stop(self, at_once: bool = False) -> None:
        """Ask it to end (`SIGTERM`; `SIGKILL` after 5 s), or end it `at_once`, as Windows always does."""
        if self._process.poll() is not None:
            return
        if not at_once:
            timer = threading.Timer(5, self.stop, (True,))
            timer.daemon = True
            timer.start()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL if at_once else signal.SIGTERM)


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment for another Python: without ChimeraX's Python settings, with UTF-8 output.

    Bytecode isn't written, as it would stay behind in the bundle's folder when the bundle is removed.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment.update(PYTHONUTF8="1", PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
    return environment | extra


@atexit.register
def _stop_all() -> None:
    for process in list(_running):
        process.stop(at_once=True)
