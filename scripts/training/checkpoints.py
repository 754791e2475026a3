"""What a run keeps on disk: the checkpoint that it goes on from, its best weights, and those of every so many steps."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cryomap.errors import InputError
from cryomap.networks.training_ids import ids_path
from cryomap.replacing import replacing

from .loop import State
from .recipe import Recipe

NOT_COMPARED = ("notes", "run")  # of a recipe: they don't change the training


def save_checkpoint(state: State, recipe: Recipe, path: str | os.PathLike) -> None:
    """Write a checkpoint, whole or not at all: the last one survives a kill or a full disk.

    Raises:
        WriteError: it can't be written.
    """
    with replacing(path) as temporary:
        try:
            torch.save({**state.state_dict(), "recipe": _compared(recipe)}, temporary)
        except RuntimeError as error:  # PyTorch's own writer says so of a full disk
            raise OSError(str(error).strip().splitlines()[0]) from None


def load_checkpoint(state: State, recipe: Recipe, path: str | os.PathLike, device: torch.device) -> None:
    """Go on from a checkpoint.

    Raises:
        InputError: it is damaged, of another recipe, or holds a value that isn't a number.
    """
    remedy = "remove it to begin anew, or take another --out"
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(content, dict) or not isinstance(content.get("step"), int) or content["step"] < 0:
            raise ValueError("not a checkpoint of this trainer")
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or ["it is empty"])[0][:120]
        raise InputError(f"{path}: a damaged checkpoint ({reason}); {remedy}") from None
    difference = _difference(content.get("recipe"), _compared(recipe))
    if difference:
        raise InputError(f"{path}: a checkpoint of another recipe ({difference}); {remedy}")
    for name, value in _tensors(content):
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"{path}: {name} holds values that aren't numbers; {remedy}")
    try:
        state.load_state_dict(content)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:120]
        raise InputError(f"{path}: doesn't fit the recipe's network ({reason}); {remedy}") from None


def _compared(recipe: Recipe) -> dict[str, Any]:
    return _plain({key: value for key, value in asdict(recipe).items() if key not in NOT_COMPARED})


def _plain(value: Any) -> Any:
    """As a checkpoint brings it back: lists for tuples."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _difference(there: Any, here: Any, name: str = "recipe") -> str:
    """Where two recipes differ first, or ""."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            found = _difference(there.get(key), here.get(key), f"{name}.{key}".removeprefix("recipe."))
            if found:
                return found
        return ""
    return "" if there == here else f"{name} is {there!r} there and {here!r} here"


def _tensors(content: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield name, content
    elif isinstance(content, (dict, list, tuple)):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from _tensors(value, f"{name}.{key}".strip("."))


def keep_only(folder: Path, pattern: str, count: int) -> None:
    """Remove all but the last `count` weights, by name, of those that match, and what belongs to them."""
    for path in sorted(folder.glob(pattern))[: -count or None]:
        for file in (path, path.with_suffix(".json"), ids_path(path)):
            file.unlink(missing_ok=True)
