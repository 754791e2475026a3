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

from ..containers import require_file
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
_UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, IndexError,
    AttributeError, zipfile.BadZipFile,
)  # fmt: skip


def load_weights(method: str | None, path: str | os.PathLike | None = None) -> tuple[nn.Module, Card]:
    """The network, in eval mode on the CPU, and its card.

    Args:
        method: "superem" or "cryosamu"; None takes the method of the file.
        path: NAME.safetensors with NAME.json beside, or the SuperEM authors' released state dict; None takes
            the bundled weights of `method`.

    Raises:
        InputError: no such file, corrupted, of the other method, or of an unknown architecture.
    """
    is_bundled = path is None
    path = BUNDLED / f"{method}.safetensors" if path is None else Path(path)
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such weights file")
    require_file(path)
    if path.suffix == ".safetensors":
        card = read_card(path.with_suffix(".json"))
        state = _read_safetensors(path)
    else:
        card, state = RELEASED_SUPEREM, _read_released(path)
    if method is not None and card.method != method:
        raise InputError(
            f"{path}: weights of {card.method}, not of {method}; name the method or the file anew"
        )
    with torch.device("meta"):  # what the card asks for costs nothing before it is known to fit
        network = build(card, str(path))
    kinds = {name: parameter.dtype for name, parameter in network.state_dict().items()}
    try:
        network.load_state_dict({k: v.to(kinds.get(k, v.dtype)) for k, v in state.items()}, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"{path}: the weights do not fit the architecture of the card ({_reason(error, -1)})"
        ) from None
    network = network.eval().requires_grad_(True)
    if not is_bundled:
        _require_sane(network, card, path)
    return network, card


def _require_sane(network: nn.Module, card: Card, path: Path) -> None:
    """Refuse weights that make no map: numbers that aren't, arguments that only show when the network runs."""
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"{path}: {name} holds NaN or infinite weights, of a training that diverged, say"
            )
    side = 16 + card.tile % 16  # as divisible as the card's tiles, and small
    try:
        with torch.inference_mode():
            made = network(torch.rand(1, 1, side, side, side))
    except (RuntimeError, TypeError, ValueError, IndexError, ZeroDivisionError, AttributeError) as error:
        raise InputError(f"{path}: the network of its card can't be run ({_reason(error)})") from None
    if made.shape != (1, 1, side, side, side) or not torch.isfinite(made).all():
        raise InputError(f"{path}: the network makes no map of finite numbers")


def _reason(error: Exception, line: int = 0) -> str:
    """One line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[line].strip()[:200]


def build(card: Card, source: str = "model card") -> nn.Module:
    """The card's network with fresh weights.

    Raises:
        InputError: the card (said to be from `source`) names an unknown architecture or argument.
    """
    name = card.architecture.get("name")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise InputError(f"{source}: architecture {name!r} is unknown; {', '.join(ARCHITECTURES)} are known")
    try:
        return ARCHITECTURES[name](**card.architecture.get("arguments", {}))
    except (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError, AttributeError) as error:
        raise InputError(f"{source}: architecture {name!r} can't be built ({_reason(error)})") from None


def without_untrained_attention(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """A network, in eval mode, and its card without a cross-attention that no embedding ever taught.

    Others come back as they are. What the network makes of maps is the same: they have no embedding, and without
    one the cross-attention is bypassed.
    """
    if not isinstance(network, CryoSAMU) or not network.cross.is_untrained():
        return network, card
    arguments = {**card.architecture.get("arguments", {}), "context": 0}
    card = replace(card, architecture={**card.architecture, "arguments": arguments})
    bare, state = build(card), network.state_dict()
    bare.load_state_dict({name: state[name] for name in bare.state_dict()})
    return bare.eval(), card


def save_weights(network: nn.Module, card: Card, path: str | os.PathLike) -> None:
    """Write `path` (.safetensors) and its card beside; each whole or not at all.

    Raises:
        WriteError: they can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with replacing(path) as weights, replacing(path.with_suffix(".json")) as text:
        try:
            save_file(state, weights, metadata={"method": card.method, "version": card.version})
        except SafetensorError as error:  # so it says that a disk is full
            raise OSError(str(error)) from None
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
    except pickle.UnpicklingError:  # whose message advises to load the file unsafely
        raise InputError(
            f"{path}: not a plain PyTorch state dict: damaged, or with other Python objects, which are never loaded;"
            " give a .safetensors file with its card, or the SuperEM authors' state dict"
        ) from None
    except _UNREADABLE as error:
        # What others say of bytes that are no pickle, a number mostly, helps nobody.
        reason = f" ({_reason(error)})" if isinstance(error, (RuntimeError, OSError)) else ""
        raise InputError(f"{path}: corrupted, or not a plain PyTorch state dict{reason}") from None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise InputError(f"{path}: not a plain state dict; only the SuperEM authors' released one is known")
    return state
