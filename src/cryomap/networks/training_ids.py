"""Which maps and structures weights were trained on: NAME-training.txt beside the weights, an EMDB or PDB id a line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..containers import content, read_at_most
from ..errors import InputError
from ..replacing import replacing

MOST_BYTES = 1 << 22
_EMDB = re.compile(r"emdb?[-_ ]?(\d{4,5})(?!\d)", re.IGNORECASE)


def ids_path(weights: str | os.PathLike) -> Path:
    """The file beside a weights file."""
    weights = Path(weights)
    return weights.with_name(f"{weights.stem}-training.txt")


def training_ids(weights: str | os.PathLike) -> frozenset[str]:
    """The ids, as in "EMD-5168" and "3MFP"; none if there is no such file.

    Raises:
        InputError: it can't be read.
    """
    path = ids_path(weights)
    if not path.is_file():
        return frozenset()
    with content(path, "list of training entries") as file:
        text = read_at_most(file, MOST_BYTES)
    try:
        lines = text.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a list of EMDB and PDB ids; remove it, or get it again") from None
    return frozenset(line.strip() for line in lines if line.strip())


def write_training_ids(ids: Iterable[str], weights: str | os.PathLike) -> None:
    """Write them beside a weights file, maps first; nothing if there are none.

    Raises:
        WriteError: it can't be written.
    """
    lines = sorted(set(ids), key=lambda one: (not one.startswith("EMD-"), one))
    if lines:
        with replacing(ids_path(weights)) as temporary:
            Path(temporary).write_text("\n".join([*lines, ""]), encoding="ascii")


def seen(texts: Iterable[str], ids: frozenset[str]) -> str:
    """The EMDB id that a map's name or labels say, if it's one of `ids`; else ""."""
    said = (f"EMD-{number}" for text in texts for number in _EMDB.findall(text))
    return next((one for one in said if one in ids), "")
