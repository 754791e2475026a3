"""What is told and kept while training goes on: progress, validation, checkpoints, weights."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from cryomap.errors import WriteError
from cryomap.networks.checkpoint import save_weights
from cryomap.networks.training_ids import write_training_ids

from .checkpoints import keep_only, save_checkpoint
from .loop import State
from .recipe import Recipe
from .validation import Validated, side_by_side, validate

FIRST = (
    "held out",
    "real",
    "pairs",
    "simulated",
)  # the group by which weights are the best, as far as there are


@dataclass(frozen=True)
class Keeping:
    """What of a run stays.

    Attributes:
        out: the run's folder.
        validate_every: seconds between validations; each time the checkpoint and the weights are written.
        keep_every: steps after which weights are kept for good, as step-NNNNNNNNN.safetensors; 0: never.
        keep: the last so many of them; 0: all.
    """

    out: Path
    validate_every: float = 600.0
    keep_every: int = 0
    keep: int = 10


class Monitor:
    """Tells and keeps; only the first process of several does either.

    Args:
        fabric: of the run.
        recipe: of the run.
        state: of the run.
        keeping: what stays.
        validation: maps to validate on, in named groups.
        facts: what the card says of the training.
        steps: that the training has.
        trained_on: ids of the maps and structures.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        state: State,
        keeping: Keeping,
        validation: Mapping[str, Sequence[Validated]],
        facts: dict[str, Any],
        steps: int,
        trained_on: Iterable[str] = (),
    ):
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self.fabric, self.recipe, self.state, self.keeping = fabric, recipe, state, keeping
        self.validation, self.facts, self.trained_on = validation, facts, frozenset(trained_on)
        try:
            self.writer = SummaryWriter(keeping.out) if fabric.is_global_zero else None
        except OSError as error:
            raise WriteError(f"{keeping.out}: can't be written ({error.strerror})") from None
        self.bar = tqdm(
            total=steps,
            initial=state.step,
            unit="step",
            disable=not fabric.is_global_zero,
            mininterval=5,
        )
        self.begun = self.validated = time.monotonic()
        self.steps, self.losses, self.left_out, self.scores = 0, [], 0, {}

    def is_over(self, minutes: float | None, stop: bool) -> bool:
        """Whether the minutes are up or a stop was asked for; the first process decides, for all at one step."""
        late = minutes is not None and time.monotonic() - self.begun > 60 * minutes
        return self.fabric.broadcast(late or stop)

    def after_step(self, loss: float) -> None:
        """Count, and now and then validate and save."""
        if math.isfinite(loss):
            self.losses.append(loss)
        else:
            self.left_out += 1
        self.steps += 1
        self.bar.update()
        every = self.keeping.keep_every
        if every and self.state.step % every == 0:
            self._save_weights(f"step-{self.state.step:09d}")
            if self.fabric.is_global_zero and self.keeping.keep:
                keep_only(self.keeping.out, "step-*.safetensors", self.keeping.keep)
        if time.monotonic() - self.validated > self.keeping.validate_every:
            self.validate()
            self.save()

    def validate(self) -> None:
        """One line, and TensorBoard; the weights that did best so far are kept as best.safetensors."""
        if not self.fabric.is_global_zero:
            return
        speed = self.steps * self.recipe.optimise.batch / (time.monotonic() - self.begun)
        loss = sum(self.losses) / max(1, len(self.losses))
        skipped = f", {self.left_out} steps left out: not finite" if self.left_out else ""
        self.bar.write(f"step {self.state.step}: loss {loss:.5f}, {speed:.2f} cubes/s{skipped}")
        figures = {"loss": loss, "cubes_per_second": speed}
        card = self.recipe.card("", {}, {})
        for group, maps in self.validation.items():
            tiling = side_by_side(card.tile, card.margin)
            scores = validate(self.state.best, maps, tiling, self.fabric.device)
            self.bar.write(f"    {group}: {scores}")
            self.scores[group] = asdict(scores)
            figures |= {f"{group}/{key}": value for key, value in self.scores[group].items()}
        try:
            for key, value in figures.items():
                self.writer.add_scalar(key, value, self.state.step)
            self.writer.flush()
        except OSError as error:
            raise WriteError(f"{self.keeping.out}: can't be written ({error.strerror})") from None
        self.losses, self.left_out = [], 0
        self.validated = time.monotonic()
        self._keep_best()

    def _keep_best(self) -> None:
        group = next((name for name in FIRST if name in self.scores), None)
        if group and (score := self.scores[group]["mask"]) > self.state.best_score:
            self.state.best_score = score
            self._save_weights("best")

    def save(self) -> None:
        """Checkpoint, and the weights with their card."""
        if self.fabric.is_global_zero:
            save_checkpoint(self.state, self.recipe, self.keeping.out / "last.ckpt")
            self._save_weights(self.recipe.method)

    def _save_weights(self, name: str) -> None:
        if not self.fabric.is_global_zero:
            return
        facts = {**self.facts, "steps": self.state.step, "revision": revision()}
        version = f"{self.recipe.method}-{self.state.step}"
        card = self.recipe.card(version, facts, {"validation": dict(self.scores)})
        path = self.keeping.out / f"{name}.safetensors"
        save_weights(self.state.best, card, path)
        write_training_ids(self.trained_on, path)


def revision() -> str:
    """The git revision of this code, "+" behind it if it has uncommitted changes; "" outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except OSError:
        return ""
