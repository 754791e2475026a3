"""The one error the engine raises for input it can't use."""


class InputError(ValueError):
    """The input can't be used; the message names the file or map, the value, and what to do.

    The command line prints the message and exits with 2; in ChimeraX it becomes a `UserError`.
    """
