"""The methods: which one suits a map, and how its weights want to be run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import nn

from ..errors import InputError
from ..job import Options
from ..networks.card import BUNDLED, Card
from ..networks.checkpoint import load_weights
from ..networks.training_ids import training_ids
from .bricks import BrickRule, place_bricks
from .cubes import Tiling, place_as_released, place_evenly
from .device import Predictor, choose_device, describe
from .normalize import NORMALIZATIONS, normalize
from .tiles import Placement

SUPEREM_LIMIT = 4.5  # A; better resolved maps are for superem, the others for cryosamu

log = logging.getLogger(__name__)


def choose(options: Options) -> tuple[str | None, str]:
    """The method's name, None to take that of the weights file, and why, in words for the log ("" if it's named)."""
    resolution = options.resolution
    if options.method is not None or options.weights is not None:
        return options.method, ""
    if resolution is None:
        return "superem", "method superem, since no resolution was given"
    if resolution <= SUPEREM_LIMIT:
        return "superem", f"method superem, since {resolution:g} A is at most {SUPEREM_LIMIT:g} A"
    return "cryosamu", f"method cryosamu, since {resolution:g} A is above {SUPEREM_LIMIT:g} A"


@dataclass(frozen=True)
class Method:
    """A network ready to run.

    Attributes:
        card: what it is.
        weights: where it came from, for reports.
        predictor: runs it.
        trained_on: ids of the maps and structures, as far as they are known.
        place_tiles: from the density on the network's grid (z, y, x), the threshold below which there is only
            noise, and the contour level to the tiles worth running.
    """

    card: Card
    weights: str
    predictor: Predictor
    place_tiles: Callable[[np.ndarray, float, float], Placement]
    trained_on: frozenset[str] = frozenset()

    @property
    def is_released(self) -> bool:
        """Whether these are the SuperEM authors' own weights, run by their own pipeline."""
        return self.card.architecture["name"] == "superem-released"

    def normalize(self, values: np.ndarray, level: float) -> np.ndarray:
        """Scale density as the network expects it.

        Raises:
            ValueError: no density to scale by.
        """
        how = dict(self.card.normalization)
        if how["name"] == "contour":
            how["level"] = level
        return normalize(values, how)


def load(options: Options) -> Method:
    """The network of these options on its device.

    Raises:
        InputError: as `load_method`.
    """
    name, reason = choose(options)
    if reason:
        log.info(reason)
    return load_method(name, options.weights, options.device)


def load_method(name: str | None, weights: str | os.PathLike | None = None, device: str = "auto") -> Method:
    """Load a method's weights onto a device.

    Args:
        name: "superem" or "cryosamu"; None takes the method of the weights file.
        weights: a weights file, or None for the bundled ones.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: the weights are missing, corrupted, of the other method, or of an unknown kind; or the
            device isn't there.
    """
    where = choose_device(device)
    if device == "auto" and where.type == "cpu":
        log.info("no GPU that PyTorch can use; running on the CPU")
    network, card = load_weights(name, weights)
    try:
        place = _place(card, network)
        _require_normalization(card.normalization)
    except ValueError as error:
        raise InputError(f"{weights or card.method}: the model card is wrong ({error})") from None
    method = Method(
        card=card,
        weights=str(weights) if weights else f"bundled {card.method} {card.version}",
        predictor=Predictor(network, where, max(card.tile, card.largest_tile)),
        place_tiles=place,
        trained_on=training_ids(weights or BUNDLED / f"{card.method}.safetensors"),
    )
    log.info("%s, %s on %s", card.method, method.weights, describe(where))
    return method


def _require_normalization(how: Mapping[str, object]) -> None:
    """Refuse a normalization that is unknown, or whose arguments are, by scaling a small sample.

    Raises:
        ValueError: it can't be used.
    """
    name = how.get("name")
    if not isinstance(name, str) or name not in NORMALIZATIONS:
        raise ValueError(f"normalization {name!r} is unknown; {', '.join(NORMALIZATIONS)} are known")
    sample = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    try:
        scaled = normalize(sample, {**how, **({"level": 0.0} if name == "contour" else {})})
    except (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError, AttributeError) as error:
        raise ValueError(f"normalization {dict(how)}: {str(error).splitlines()[0]}") from None
    if not np.isfinite(scaled).all():
        raise ValueError(f"normalization {dict(how)} makes no finite numbers")


def _place(card: Card, network: nn.Module) -> Callable[[np.ndarray, float, float], Placement]:
    """How the card's network wants a map cut.

    Raises:
        ValueError: the card's numbers leave gaps.
    """
    tiling = Tiling(card.tile, card.stride, card.margin, card.blend)
    if card.architecture["name"] == "superem-released":
        return lambda values, _noise, level: place_as_released(values, level, tiling)
    if card.largest_tile <= card.tile:
        return lambda values, noise, _level: place_evenly(values, noise, tiling)
    multiple = cast(int, network.multiple)  # of networks that see a map by parts of it
    rule = BrickRule(card.margin, tiling.core - tiling.stride, multiple, card.largest_tile)
    return lambda values, noise, _level: place_bricks(values, noise, rule)
