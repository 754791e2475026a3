"""A training recipe: one TOML file a method."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cryomap.errors import InputError
from cryomap.networks.card import Card
from simulation.settings import Settings

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
RUN = ("tile", "margin", "stride", "blend", "largest_tile", "interpolation")
RUN += ("test_time_rotations", "sharpen", "low_pass", "input_weight")


@dataclass(frozen=True)
class Loss:
    """Weights of the parts of the loss; `content` names a function in `losses.CONTENT`."""

    content: str = "mean_square"
    content_weight: float = 1.0
    correlation: float = 0.0
    inner_correlation: float = 0.0
    adversarial: float = 0.0


@dataclass(frozen=True)
class Optimisation:
    """How the loss is minimised.

    Attributes:
        optimiser: "adam", "adamw" or "muon".
        learning_rate: of a step, at its highest.
        weight_decay: of AdamW and Muon.
        schedule: "constant" or "cosine" (to zero over `steps`).
        warm_up: steps over which the rate rises from zero.
        steps: length of the training.
        clip: largest norm of the gradient; 0 for none.
        ema_decay: decay of the exponential moving average of the weights, which is what gets saved; 0 for none.
        batch: experiments (simulated) or cubes (pairs) a step, over all processes.
        cubes_per_box: cubes cut from one simulated experiment.
    """

    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: str = "constant"
    warm_up: int = 0
    steps: int = 100_000
    clip: float = 0.0
    ema_decay: float = 0.999
    batch: int = 2
    cubes_per_box: int = 2


@dataclass(frozen=True)
class Recipe:
    """A whole recipe.

    Attributes:
        method: "superem" or "cryosamu".
        cube: edge of the training cubes in voxels.
        network: keyword arguments of the method's network.
        run: how the weights are to be run: the card's fields of `RUN`.
        data: what is simulated.
        loss, optimise: see there.
        notes: goes into the card.
    """

    method: str
    cube: int
    network: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    data: Settings = field(default_factory=Settings)
    loss: Loss = field(default_factory=Loss)
    optimise: Optimisation = field(default_factory=Optimisation)
    notes: str = ""

    def card(self, version: str, training: dict[str, Any], results: dict[str, Any]) -> Card:
        """The card of weights made by this recipe."""
        run = {"tile": self.cube, "margin": 0, "stride": self.cube // 2, **self.run}
        return Card(
            method=self.method,
            version=version,
            architecture={"name": self.method, "arguments": self.network},
            normalization=dict(self.data.normalization),
            resolution=self.data.resolution,
            training={**training, "recipe": asdict(self)},
            results=results,
            notes=self.notes,
            **run,
        )


def read_recipe(path: str | os.PathLike) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: no such file, not TOML, or a key or value that isn't known.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        data = content.get("data", {})
        for key in {"resolution", "overstated", "unexplained"} & set(data):
            data[key] = tuple(data[key])
        parts = {"data": Settings(**data), "loss": Loss(**content.get("loss", {}))}
        parts["optimise"] = Optimisation(**content.get("optimise", {}))
        rest = {key: value for key, value in content.items() if key not in parts}
        unknown = (set(rest) - {f.name for f in fields(Recipe)}) | (set(rest.get("run", {})) - set(RUN))
        if unknown:
            raise TypeError(f"unknown key {sorted(unknown)[0]!r}")
        return Recipe(**rest, **parts)
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a usable recipe ({error})") from None
