"""The model card: what a weights file is, how it was trained, how it must be run, what it measured."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError

BUNDLED = Path(__file__).resolve().parents[1] / "weights"
METHODS = ("superem", "cryosamu")


@dataclass(frozen=True)
class Card:
    """NAME.json, which stands beside NAME.safetensors.

    Attributes:
        method: "superem" or "cryosamu".
        version: of the weights.
        architecture: {"name": a key of `checkpoint.ARCHITECTURES`, "arguments": its keyword arguments}.
        tile: edge of the cubes the network is run on, in voxels.
        largest_tile: cubes may be as large where that is less work; 0, the default: none is larger than `tile`.
        margin: voxels at each face of a tile whose output isn't used.
        stride: distance of neighbouring tiles in voxels.
        blend: how overlapping tiles are joined, "smooth" (weights fall towards the faces) or "mean".
        normalization: {"name": a key of `enhance.normalize.NORMALIZATIONS`, ...its arguments}.
        sharpen: B factor (A^2) by which the output is sharpened, see `enhance.sharpen.sharpened`.
        finest: finest detail (A) of the result; 0, the default, keeps all.
        turns: orientations in which every tile is run, 1 to 4, see `enhance.turns.over_turns`.
        input_share: of the input in the result, see `enhance.input_share.with_input`.
        interpolation: spline order of the resampling to `grid_step`: 1 trilinear, 3 cubic.
        grid_step: in A.
        resolution: lowest and highest resolution of the training maps, in A.
        training: data, recipe, steps, seconds, revision: whatever the trainer knows.
        results: measured after training, each with what it was measured on.
        notes: for people: what the weights are for, and where they do worse.
    """

    method: str
    version: str
    architecture: dict[str, Any]
    tile: int
    margin: int
    stride: int
    blend: str = "smooth"
    normalization: dict[str, Any] = field(default_factory=dict)
    sharpen: float = 0.0
    finest: float = 0.0
    turns: int = 1
    input_share: float = 0.0
    largest_tile: int = 0
    interpolation: int = 1
    grid_step: float = 1.0
    resolution: tuple[float, float] = (3.0, 8.0)
    training: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    notes: str = ""

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


# What the authors' program does: PEERS' state dict has no card of its own.
RELEASED_SUPEREM = Card(
    method="superem",
    version="released by the SuperEM authors",
    architecture={"name": "superem-released", "arguments": {}},
    tile=25,
    margin=0,
    stride=8,
    blend="mean",
    normalization={"name": "contour"},
    resolution=(3.0, 6.0),
    notes="The authors' own weights (academic use), run by their own pipeline; not part of this bundle.",
)


def read_card(path: str | os.PathLike) -> Card:
    """Read a model card.

    Raises:
        InputError: missing, not JSON, a field missing or unknown, or a method that isn't one.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        card = Card(**{**content, "resolution": tuple(content.get("resolution", (3.0, 8.0)))})
    except FileNotFoundError:
        raise InputError(f"{path}: the model card is missing; it belongs beside the weights file") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a model card ({error})") from None
    if card.method not in METHODS:
        raise InputError(f"{path}: method {card.method!r} is unknown; superem and cryosamu are known")
    return card


def bundled_cards() -> dict[str, Card]:
    """The cards of the bundled weights by method; a method whose weights are not bundled is left out."""
    return {m: read_card(BUNDLED / f"{m}.json") for m in METHODS if (BUNDLED / f"{m}.safetensors").is_file()}
