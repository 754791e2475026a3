"""What the engine says, with the signs of the field: on the command line it says A and A^3, in ASCII."""

from __future__ import annotations

import re

from chimerax.core.errors import UserError

_UNIT = re.compile(r"(?<=\d) A(\^[23])?(?=[\s,;:)]|\.?$|\. )")
_POWERS = {None: "", "^2": "²", "^3": "³"}


def with_signs(text: str) -> str:
    """The text with Å, Å² and Å³ behind its numbers."""
    return _UNIT.sub(lambda found: f" Å{_POWERS[found[1]]}", text)


def user_error(command: str, error: Exception | str) -> UserError:
    """The engine's error as that of a command."""
    return UserError(f"{command}: {with_signs(str(error))}")
