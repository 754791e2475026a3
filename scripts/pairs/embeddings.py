"""A folder of structural embeddings, NAME.npy, as scripts/embed_structures.py makes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from cryomap.errors import InputError


def channels(folder: str | os.PathLike) -> int:
    """Channels of the embeddings in a folder: of ESM-IF1 512, of ProteinMPNN 128.

    Raises:
        InputError: there are none, one can't be read, or they differ.
    """
    found: dict[int, Path] = {}
    for path in sorted(Path(folder).glob("*.npy")):
        try:
            _, width = np.load(path, mmap_mode="r").shape
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: not an embedding ({error}); run embed_structures.py again") from None
        found.setdefault(width, path)
    if len(found) > 1:
        told = ", ".join(f"{path.name} has {width} channels" for width, path in found.items())
        raise InputError(f"{folder}: embeddings of different sources ({told}); make all by one")
    if not found:
        raise InputError(f"{folder}: no embeddings (NAME.npy) in it; run embed_structures.py")
    return next(iter(found))


def source(folder: str | os.PathLike) -> dict[str, str]:
    """What the records of a folder of embeddings say of the encoder, the first of them."""
    for path in sorted(Path(folder).glob("*.json")):
        try:
            record = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        return {key: record[key] for key in ("by", "weights_sha256") if key in record}
    return {}


class Embeddings:
    """float32 (800, channels) by name; read when asked for, then kept.

    Args:
        folder: of NAME.npy.
        names: that will be asked for.

    Raises:
        InputError: one of them has no embedding there.
    """

    def __init__(self, folder: str | os.PathLike, names: Iterable[str]):
        self.folder, self._open = Path(folder), {}
        missing = [n for n in dict.fromkeys(names) if not (self.folder / f"{n}.npy").is_file()]
        if missing:
            raise InputError(
                f"{self.folder}: no embedding of {', '.join(missing[:5])}; run embed_structures.py"
            )

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._open:
            self._open[name] = torch.from_numpy(np.load(self.folder / f"{name}.npy"))
        return self._open[name]

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": {}}
