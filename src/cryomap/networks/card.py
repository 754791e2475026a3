"""The model card: what a weights file is, how it was trained, how it must be run, what it measured."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..containers import content, read_at_most
from ..errors import InputError
from ..trust.confidence import TERMS

BUNDLED = Path(__file__).resolve().parents[1] / "weights"
METHODS = ("superem", "cryosamu")
REAL_MAPS, SIMULATED = "real maps", "simulated complexes"  # keys of the results
FORMAT = 2  # of the card's fields; cards without a number are of format 1
MOST_BYTES = 1 << 24  # of a card
# What a field may be: whole numbers or any, from the least to the most.
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "tile": (int, 8, 256),
    "margin": (int, 0, 128),
    "stride": (int, 1, 256),
    "largest_tile": (int, 0, 256),
    "test_time_rotations": (int, 1, 4),
    "interpolation": (int, 1, 3),
    "sharpen": (float, -500, 500),
    "low_pass": (float, 0, 20),
    "input_weight": (float, 0, 1),
    "grid_step": (float, 0.2, 5),
}
_WORDS = {"method": METHODS, "blend": ("smooth", "mean")}
_RENAMED = {"finest": "low_pass", "turns": "test_time_rotations", "input_share": "input_weight"}


def _require_number(name: str, value: object, kind: type, low: float, high: float) -> None:
    kinds = int if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} {value!r}: not {what} from {low:g} to {high:g}")


def _require_small(value: object, name: str) -> None:
    """Refuse arguments beyond all measure, before anything is built by them."""
    if isinstance(value, (list, tuple, dict)):
        if len(value) > 16:
            raise ValueError(f"{name}: {len(value)} entries are too many")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _require_small(item, f"{name}, {key}" if isinstance(value, dict) else name)
    elif isinstance(value, (int, float)) and not abs(value) <= 1024:
        raise ValueError(f"{name} {value!r}: beyond 1024")


@dataclass(frozen=True)
class Card:
    """NAME.json, which stands beside NAME.safetensors.

    Attributes:
        method: "superem" or "cryosamu".
        version: of the weights.
        architecture: {"name": a key of `checkpoint.ARCHITECTURES`, "arguments": its keyword arguments}.
        tile: edge of the cubes the network is run on, in voxels.
        largest_tile: bricks of any shape may be run that hold no more than a cube of this edge, see
            `enhancement.bricks`; 0, the default: cubes of `tile` alone.
        margin: voxels at each face of a tile whose output isn't used.
        stride: distance of neighbouring tiles in voxels.
        blend: how overlapping tiles are joined, "smooth" (weights fall towards the faces) or "mean".
        normalization: {"name": a key of `normalize.NORMALIZATIONS`, ...its arguments}.
        sharpen: B factor (A^2) by which the output is sharpened, or blurred if it is below 0, see `sharpened`.
        low_pass: finer detail than this (A) fades from the result; 0, the default, keeps all.
        test_time_rotations: orientations in which every tile is run, 1 to 4, see `over_rotations`.
        input_weight: of the input in the result, 0 to 1, see `input_weight.with_input`.
        interpolation: spline order of the resampling to `grid_step`: 1 trilinear, 3 cubic.
        grid_step: in A.
        confidence: coefficients by which density becomes the probability of an atom, see `trust.confidence`; none:
            it isn't calibrated.
        resolution: lowest and highest resolution of the training maps, in A.
        training: data, recipe, steps, seconds, revision: whatever the trainer knows, in the words of its time.
        results: measured: "validation" by the trainer, "confidence" by scripts/calibrate_confidence.py, `REAL_MAPS` and
            `SIMULATED` taken over by scripts/record_evaluation.py.
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
    confidence: tuple[float, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises ValueError where a field is not what it must be."""
        for name, (kind, low, high) in _NUMBERS.items():
            _require_number(name, getattr(self, name), kind, low, high)
        for name, known in _WORDS.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} {value!r} is unknown; {' and '.join(known)} are known")
        for name, kind in (("version", str), ("notes", str), ("architecture", dict), ("normalization", dict),
                           ("training", dict), ("results", dict)):  # fmt: skip
            if not isinstance(value := getattr(self, name), kind):
                raise ValueError(f"{name} {value!r}: not {'text' if kind is str else 'an object'}")
        if not isinstance(self.resolution, tuple) or len(self.resolution) != 2:
            raise ValueError(f"resolution {self.resolution!r}: not two numbers")
        for bound in self.resolution:
            _require_number("resolution", bound, float, 0, 100)
        if not isinstance(self.confidence, tuple) or len(self.confidence) not in (0, TERMS):
            raise ValueError(f"confidence {self.confidence!r}: not {TERMS} numbers, or none")
        for coefficient in self.confidence:
            _require_number("confidence", coefficient, float, -100, 100)
        if self.resolution[0] > self.resolution[1]:
            raise ValueError(f"resolution {self.resolution!r}: the lowest is above the highest")
        for name in ("architecture", "normalization"):
            _require_small(getattr(self, name), name)

    def text(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> list[str]:
        """What a user has to know, in a few sentences: range, training, three figures, limits."""
        low, high = self.resolution
        told = [f"{self.version}, for maps at {low:g} to {high:g} A."]
        if "structures" in self.training:
            data = self.training["data"]
            if isinstance(data, dict):  # kinds of data with their shares
                data = ", ".join(f"{share:.0%} {kind}" for kind, share in data.items()) + " maps"
            told.append(f"Trained on {data} of {self.training['structures']} structures.")
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
        InputError: missing, not JSON, or a field missing, unknown, of the wrong type or beyond its bounds.
    """
    path = Path(path)
    if not os.path.lexists(path):
        raise InputError(f"{path}: the model card is missing; it belongs beside the weights file")
    with content(path, "model card") as file:
        text = read_at_most(file, MOST_BYTES)
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("no JSON object")
        fields = _up_to_date(fields)
        for name in ("resolution", "confidence"):
            if isinstance(fields.get(name), list):
                fields[name] = tuple(fields[name])
        return Card(**fields)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: not a model card ({str(error)[:200]})") from None


def _up_to_date(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a card of any format in today's words.

    Raises:
        ValueError: a format that isn't known yet.
    """
    found = fields.get("format", 1)
    if found not in range(1, FORMAT + 1):
        raise ValueError(f"format {found!r}; up to {FORMAT} are known: a newer version may read it")
    if found == 1:
        fields = {_RENAMED.get(key, key): value for key, value in fields.items()}
        arguments = fields["architecture"].get("arguments", {})
        if "fold" in arguments:
            new = {"space_to_depth" if key == "fold" else key: value for key, value in arguments.items()}
            fields["architecture"] = {**fields["architecture"], "arguments": new}
    return {**fields, "format": FORMAT}


def bundled_cards() -> dict[str, Card]:
    """The cards of the bundled weights by method; a method whose weights are not bundled is left out."""
    return {m: read_card(BUNDLED / f"{m}.json") for m in METHODS if (BUNDLED / f"{m}.safetensors").is_file()}
