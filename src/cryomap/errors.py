"""What the engine raises on purpose: for input it can't use, and where its caller asked it to stop."""


class InputError(ValueError):
    """The input can't be used; the message names the file or map, the value, and what to do.

    The command line prints the message and exits with 2; in ChimeraX it becomes a `UserError`.
    """


class WriteError(InputError):
    """Output can't be written (a full disk, no such folder, no right to): there is no use in going on with the rest."""


class Cancelled(Exception):
    """Raise it in a progress callback to stop a calculation; nothing is written."""
