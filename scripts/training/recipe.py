"""A training recipe: one TOML file a method."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cryomap.enhancement.cubes import Tiling
from cryomap.enhancement.normalize import NORMALIZATIONS
from cryomap.errors import InputError
from cryomap.networks.card import METHODS, Card
from cryomap.networks.checkpoint import build
from cryomap.typed_json import from_plain
from simulation.settings import RECIPES, Settings

from .losses import CONTENT

FEEDS = ("simulated", "real")


@dataclass(frozen=True)
class Loss:
    """Weights of the parts of the loss; `content` names a function in `losses.CONTENT`."""

    content: str = "mean_square"
    content_weight: float = 1.0
    correlation: float = 0.0
    inner_correlation: float = 0.0
    adversarial: float = 0.0

    def __post_init__(self) -> None:
        _require(self.content in CONTENT, f"content {self.content!r}: not one of {', '.join(CONTENT)}")


@dataclass(frozen=True)
class Optimisation:
    """How the loss is minimised.

    Attributes:
        optimiser: "adam", "adamw" or "muon".
        learning_rate: of a step, at its highest.
        weight_decay: of AdamW and Muon.
        schedule: "constant" or "cosine" (to zero over `steps`).
        warm_up: steps over which the rate rises from zero.
        steps: length of the training, where cubes are drawn without end.
        epochs: length of the training on prepared pairs: so many times each cube.
        clip: largest norm of the gradient; 0 for none.
        ema_decay: decay of the exponential moving average of the weights, which is what gets saved; 0 for none.
        batch: cubes a step, over all processes.
        per_device: cubes that a device works on at a time, their gradients added up; 0: all that fall to it.
        cubes_per_box: cubes cut from one simulated experiment, and what batches are shared out in.
    """

    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: str = "constant"
    warm_up: int = 0
    steps: int = 100_000
    epochs: float = 0.0
    clip: float = 0.0
    ema_decay: float = 0.999
    batch: int = 4
    per_device: int = 0
    cubes_per_box: int = 2

    def __post_init__(self) -> None:
        for name, known in (("optimiser", ("adam", "adamw", "muon")), ("schedule", ("constant", "cosine"))):
            value = getattr(self, name)
            _require(value in known, f"{name} {value!r}: not one of {', '.join(known)}")
        for name in ("learning_rate", "steps", "batch", "cubes_per_box"):
            _require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        for name in ("weight_decay", "warm_up", "epochs", "clip", "per_device"):
            _require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        _require(0 <= self.ema_decay < 1, f"ema_decay {self.ema_decay}: must be from 0 to below 1")
        uneven = self.batch % self.cubes_per_box
        _require(not uneven, f"batch {self.batch}: not a multiple of cubes_per_box {self.cubes_per_box}")

    @property
    def boxes(self) -> int:
        """Boxes of `cubes_per_box` cubes a step."""
        return self.batch // self.cubes_per_box

    def for_cubes(self, cubes: int) -> Optimisation:
        """With the steps that make the epochs of so many prepared cubes; as it is where either is 0."""
        if not self.epochs * cubes:
            return self
        return replace(self, steps=max(1, round(self.epochs * cubes / self.batch)))


@dataclass(frozen=True)
class RealMaps:
    """Random changes of real maps, see `real_cubes`.

    Attributes:
        poorer: resolutions (A) between which maps are made poorer; None leaves them as they are.
        poorer_share: of the maps within the recipe's resolutions that this is done to; finer ones always.
        b_factor: lowest and highest B factor (A^2) that is added; below 0: taken back.
        b_share, free_rotation, anisotropic, resampled, masked, unmasked, contrast: probabilities of each; `unmasked`
            puts noise where a mask left nothing, as most maps with models were masked and most others are not.
        finer, coarser: maps are taken from so much (A) below the recipe's resolutions up to so much above them;
            all finer ones where they are made poorer.
    """

    poorer: tuple[float, float] | None = None
    poorer_share: float = 0.7
    b_factor: tuple[float, float] = (-25.0, 60.0)
    b_share: float = 0.5
    free_rotation: float = 0.0
    anisotropic: float = 0.0
    resampled: float = 0.0
    masked: float = 0.0
    unmasked: float = 0.0
    contrast: float = 0.0
    finer: float = 0.4
    coarser: float = 0.6


@dataclass(frozen=True)
class Recipe:
    """A whole recipe.

    Attributes:
        method: "superem" or "cryosamu".
        cube: edge of the training cubes in voxels.
        network: keyword arguments of the method's network.
        run: how the weights are to be run: fields of the card.
        data: what is simulated, and how targets are made, of real maps too.
        shares: of the feeds "simulated" and "real" in the cubes; none: only what the command line gives.
        real: random changes of real maps; None: real cubes are those of prepare_pairs.py.
        augment_pairs: whether prepared cubes get CryoSAMU's augmentations.
        loss, optimise: see there.
        notes: goes into the card.
    """

    method: str
    cube: int
    network: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    data: Settings = field(default_factory=Settings)
    shares: dict[str, float] = field(default_factory=dict)
    real: RealMaps | None = None
    augment_pairs: bool = True
    loss: Loss = field(default_factory=Loss)
    optimise: Optimisation = field(default_factory=Optimisation)
    notes: str = ""

    def __post_init__(self) -> None:
        _require(self.method in METHODS, f"method {self.method!r}: not one of {', '.join(METHODS)}")
        _require(8 <= self.cube <= self.data.box, f"cube {self.cube}: must be 8 to the box's {self.data.box}")
        name = self.data.normalization.get("name")
        _require(name in NORMALIZATIONS, f"normalization {name!r}: not one of {', '.join(NORMALIZATIONS)}")
        good = set(self.shares) <= set(FEEDS) and all(share >= 0 for share in self.shares.values())
        good = good and (not self.shares or sum(self.shares.values()) > 0)
        _require(good, f"shares {self.shares}: of {' and '.join(FEEDS)}, 0 or more, not all 0")
        card = self.card("", {}, {})
        build(card, "network")
        Tiling(card.tile, card.stride, card.margin, card.blend)

    def for_embeddings(self, channels: int) -> Recipe:
        """With the cross-attention that embeddings of so many channels need; of 0: with none.

        Raises:
            InputError: the recipe's network says otherwise, or never takes embeddings.
        """
        if self.method != "cryosamu":
            if channels:
                raise InputError(f"--embeddings: {self.method} takes none; leave them out")
            return self
        said = self.network.get("context", channels)
        if said != channels:
            given = f"the embeddings have {channels} channels" if channels else "no --embeddings are given"
            raise InputError(
                f"the recipe's network has context = {said}, but {given}: write context = {channels}, or leave it out"
            )
        return replace(self, network={**self.network, "context": channels})

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
    """Read a recipe: a TOML file, or the name of one in scripts/recipes.

    Raises:
        InputError: no such file, not TOML, or a key or value that isn't known.
    """
    bundled = RECIPES / f"{path}.toml"
    path = bundled if bundled.is_file() else path
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return from_plain(Recipe, content, "recipe")
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a usable recipe ({error})") from None


def _require(good: bool, message: str) -> None:
    if not good:
        raise ValueError(message)
