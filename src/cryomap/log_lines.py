"""The log as lines on a terminal."""

from __future__ import annotations

import logging
from typing import TextIO

# Control characters, by which a name could command a terminal, as escapes; what moves by a line, tab or bar is ours.
HARMLESS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


class LogLines(logging.StreamHandler):
    """The log in lines. Warnings are called so; the same note on several maps is told of the first alone."""

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, unless it is a note that was told."""
        if record.name.endswith(".notes"):
            note = record.getMessage().partition(": ")[2]
            if note in self._told:
                return
            self._told.add(note)
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Its text."""
        kinds = {"notes": "note: ", "lost": ""}
        warning = "warning: " if record.levelno >= logging.WARNING else ""
        return kinds.get(record.name.rpartition(".")[2], warning) + record.getMessage().translate(HARMLESS)
