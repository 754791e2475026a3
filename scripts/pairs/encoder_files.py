"""Checkpoints of the inverse-folding encoders, which others wrote."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

from cryomap.errors import InputError


def read_checkpoint(path: Path, of: str, keys: Sequence[str], remedy: str, safe: Sequence[type] = ()) -> dict:
    """What a checkpoint holds; no code of its own is run.

    Args:
        path: of the file.
        of: the encoder's name.
        keys: that it must have: its settings and its weights.
        remedy: what to do where there is no such file.
        safe: classes that it may hold beside tensors and plain values.

    Raises:
        InputError: no such file, or not such a checkpoint.
    """
    import torch

    if not path.is_file():
        raise InputError(f"{path}: no such file; {remedy}")
    try:
        with torch.serialization.safe_globals(list(safe)):
            data = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path}: not {of} checkpoint ({error!s:.200})") from None
    if not isinstance(data, dict) or not set(keys) <= data.keys():
        raise InputError(f"{path}: not {of} checkpoint (it has no settings and weights)")
    return data
