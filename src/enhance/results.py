"""Which maps of a session are results of `enhance`, and of which."""

from __future__ import annotations

import re

from chimerax.core.session import Session
from chimerax.map import Volume

from ..cryomap.networks.card import METHODS
from ..trust.model import TrustModel

# The name of a result says what it was made from, in sessions, too.
_NAME = re.compile(rf"(.+) (?:{'|'.join(METHODS)})")


def result_name(given: str, method: str) -> str:
    """What a result is called."""
    return f"{given} {method}"


def is_input(volume: Volume) -> bool:
    """Whether a map came from elsewhere: neither a result nor one of the maps that tell how far to trust it."""
    return not _NAME.fullmatch(volume.name) and not isinstance(volume.parent, TrustModel)


def newest_input(session: Session) -> Volume | None:
    """The map opened last that isn't ours; rather one that is shown, or whose result is."""
    inputs = [volume for volume in session.models.list(type=Volume) if is_input(volume)]

    def rank(volume: Volume) -> tuple[bool, tuple[int, ...]]:
        result = newest_result(volume)
        return volume.display or (result is not None and result.display), volume.id

    return max(inputs, key=rank, default=None)


def newest_result(given: Volume) -> Volume | None:
    """The result opened last of a map; None if there is none."""
    found = [volume for volume in given.session.models.list(type=Volume) if _is_of(volume, given)]
    return max(found, key=lambda volume: volume.id, default=None)


def _is_of(volume: Volume, given: Volume) -> bool:
    name = _NAME.fullmatch(volume.name)
    return name is not None and (name[1] == given.name or name[1].startswith(f"{given.name} + "))
