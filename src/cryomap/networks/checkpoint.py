"""Weights files: safetensors with a model card beside, or the SuperEM authors' released state dict."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..replacing import replacing
from .card import BUNDLED, RELEASED_SUPEREM, Card, read_card
from .cryosamu import CryoSAMU
from .superem import Generator, ReleasedGenerator

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "superem": Generator,
    "superem-released": ReleasedGenerator,
    "cryosamu": CryoSAMU,
}


def load_weights(method: str | None, path: str | os.PathLike | None = None) -> tuple[nn.Module, Card]:
    """The network, in eval mode on the CPU, and its card.

    Args:
        method: "superem" or "cryosamu"; None takes the method of the file.
        path: NAME.safetensors with NAME.json beside, or the SuperEM authors' released state dict; None takes
            the bundled weights of `method`.

    Raises:
        InputError: no such file, corrupted, of the other method, or of an unknown architecture.
    """
    path = BUNDLED / f"{method}.safetensors" if path is None else Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        card = read_card(path.with_suffix(".json"))
        state = _read_safetensors(path)
    else:
        card, state = RELEASED_SUPEREM, _read_released(path)
    if method is not None and card.method != method:
        raise InputError(
            f"{path}: weights of {card.method}, not of {method}; name the method or the file anew"
        )
    network = build(card, str(path))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{path}: the weights do not fit the architecture of the card ({reason})") from None
    return network.eval(), card


def build(card: Card, source: str = "model card") -> nn.Module:
    """The card's network with fresh weights.

    Raises:
        InputError: the card (said to be from `source`) names an unknown architecture or argument.
    """
    name = card.architecture.get("name")
    if name not in ARCHITECTURES:
        raise InputError(f"{source}: architecture {name!r} is unknown; {', '.join(ARCHITECTURES)} are known")
    try:
        return ARCHITECTURES[name](**card.architecture.get("arguments", {}))
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: architecture {name!r} can't be built ({error})") from None


def save_weights(network: nn.Module, card: Card, path: str | os.PathLike) -> None:
    """Write `path` (.safetensors) and its card beside; each whole or not at all."""
    from safetensors.torch import save_file

    path = Path(path)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with replacing(path) as weights, replacing(path.with_suffix(".json")) as text:
        save_file(state, weights, metadata={"method": card.method, "version": card.version})
        Path(text).write_text(card.text(), encoding="utf-8")


def update_card(path: str | os.PathLike, **changes: Any) -> None:
    """Change fields of the card beside a weights file, the measured results say."""
    path = Path(path).with_suffix(".json")
    card = replace(read_card(path), **changes)
    with replacing(path) as temporary:
        Path(temporary).write_text(card.text(), encoding="utf-8")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: corrupted, or not a safetensors file ({error})") from None


def _read_released(path: Path) -> dict[str, torch.Tensor]:
    # weights_only: a file from elsewhere must never run code of its own.
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: corrupted, or not a plain PyTorch state dict ({reason})") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: not a plain state dict; only the SuperEM authors' released one is known")
    return state
