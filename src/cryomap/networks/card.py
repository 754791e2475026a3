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
REAL_MAPS, SIMULATED = "real maps", "simulated complexes"  # keys of the results
FORMAT = 2  # of the card's fields; cards without a number are of format 1
_RENAMED = {"finest": "low_pass", "turns": "test_time_rotations", "input_share": "input_weight"}


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
        normalization: {"name": a key of `normalize.NORMALIZATIONS`, ...its arguments}.
        sharpen: B factor (A^2) by which the output is sharpened, see `sharpened`.
        low_pass: finer detail than this (A) fades from the result; 0, the default, keeps all.
        test_time_rotations: orientations in which every tile is run, 1 to 4, see `over_rotations`.
        input_weight: of the input in the result, 0 to 1, see `input_weight.with_input`.
        interpolation: spline order of the resampling to `grid_step`: 1 trilinear, 3 cubic.
        grid_step: in A.
        resolution: lowest and highest resolution of the training maps, in A.
        training: data, recipe, steps, seconds, revision: whatever the trainer knows, in the words of its time.
        results: measured after training: "validation" by the trainer, `REAL_MAPS` by scripts/evaluate.py --record,
            `SIMULATED` by scripts/benchmark_q.py --record.
        notes: two sentences for a user: what the weights were trained on, and where they do worse. How they came
            about is told in NAME-history.md.
        format: of the fields of this file.
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
    low_pass: float = 0.0
    test_time_rotations: int = 1
    input_weight: float = 0.0
    largest_tile: int = 0
    interpolation: int = 1
    grid_step: float = 1.0
    resolution: tuple[float, float] = (3.0, 8.0)
    training: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    format: int = FORMAT

    def text(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> list[str]:
        """What a user has to know, in a few sentences: range, training, three figures, limits."""
        low, high = self.resolution
        told = [f"{self.version}, for maps at {low:g} to {high:g} A."]
        if "structures" in self.training:
            told.append(f"Trained on {self.training['data']} of {self.training['structures']} structures.")
        if found := self.results.get(REAL_MAPS):
            before, after = found["deposited"], found[self.method]
            told.append(
                f"On {found['maps']} real maps: CC_mask_hr {before['cc_mask_hr']:.3f}, then "
                f"{after['cc_mask_hr']:.3f}; mean Q {before['q_mean']:.3f}, then {after['q_mean']:.3f}."
            )
        if found := self.results.get(SIMULATED, {}).get("ion"):
            told.append(f"Q of ions on simulated maps: {found['before']:.3f}, then {found['after']:.3f}.")
        return [*told, *([self.notes] if self.notes else [])]


# What the authors' program does: the state dict that they released has no card.
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
        content = _up_to_date(json.loads(path.read_text(encoding="utf-8")))
        card = Card(**{**content, "resolution": tuple(content.get("resolution", (3.0, 8.0)))})
    except FileNotFoundError:
        raise InputError(f"{path}: the model card is missing; it belongs beside the weights file") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: not a model card ({error})") from None
    if card.method not in METHODS:
        raise InputError(f"{path}: method {card.method!r} is unknown; superem and cryosamu are known")
    return card


def _up_to_date(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of a card of any format in today's words.

    Raises:
        ValueError: a format that isn't known yet.
    """
    found = content.get("format", 1)
    if found not in range(1, FORMAT + 1):
        raise ValueError(f"format {found!r}; up to {FORMAT} are known: a newer version may read it")
    if found == 1:
        content = {_RENAMED.get(key, key): value for key, value in content.items()}
        arguments = content["architecture"].get("arguments", {})
        if "fold" in arguments:
            new = {"space_to_depth" if key == "fold" else key: value for key, value in arguments.items()}
            content["architecture"] = {**content["architecture"], "arguments": new}
    return {**content, "format": FORMAT}


def bundled_cards() -> dict[str, Card]:
    """The cards of the bundled weights by method; a method whose weights are not bundled is left out."""
    return {m: read_card(BUNDLED / f"{m}.json") for m in METHODS if (BUNDLED / f"{m}.safetensors").is_file()}
