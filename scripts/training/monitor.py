"""What is told and kept while training goes on: progress, validation, checkpoints, weights."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from cryomap.networks.checkpoint import save_weights
from simulation.experiment import Experiment

from .loop import State, save_checkpoint
from .recipe import Recipe
from .validation import validate


class Report:
    """Tells and keeps; only the first process of several does either.

    Args:
        fabric: of the run.
        recipe: of the run.
        state: of the run.
        out: the run's folder.
        experiments: to validate on, in named groups: simulated, real.
        facts: what the card says of the training data.
        every: seconds between validations.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        state: State,
        out: Path,
        experiments: Mapping[str, Sequence[Experiment]],
        facts: dict[str, Any],
        every: float,
    ):
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self.fabric, self.recipe, self.state, self.out = fabric, recipe, state, out
        self.experiments, self.facts, self.every = experiments, facts, every
        self.writer = SummaryWriter(out) if fabric.is_global_zero else None
        self.bar = tqdm(
            total=recipe.optimise.steps,
            initial=state.step,
            unit="step",
            disable=not fabric.is_global_zero,
            mininterval=5,
        )
        self.begun = self.validated = time.monotonic()
        self.cubes, self.losses, self.scores = 0, [], {}

    def is_over(self, minutes: float | None, stop: bool) -> bool:
        """Whether the minutes are up or a stop was asked for; the first process decides, for all at one step."""
        late = minutes is not None and time.monotonic() - self.begun > 60 * minutes
        return self.fabric.broadcast(late or stop)

    def after_step(self, loss: float, cubes: int) -> None:
        """Count, and now and then validate and save."""
        self.losses.append(loss)
        self.cubes += cubes * self.fabric.world_size
        self.bar.update()
        if time.monotonic() - self.validated > self.every:
            self.validate()
            self.save()

    def validate(self) -> None:
        """One line, and TensorBoard."""
        if not self.fabric.is_global_zero:
            return
        speed = self.cubes / (time.monotonic() - self.begun)
        loss = sum(self.losses) / max(1, len(self.losses))
        self.bar.write(f"step {self.state.step}: loss {loss:.5f}, {speed:.2f} cubes/s")
        figures = {"loss": loss, "cubes_per_second": speed}
        for group, experiments in self.experiments.items():
            scores = validate(self.state.best, experiments, self.fabric.device)
            self.bar.write(f"    {group}: {scores}")
            self.scores[group] = asdict(scores)
            figures |= {f"{group}/{key}": value for key, value in self.scores[group].items()}
        for key, value in figures.items():
            self.writer.add_scalar(key, value, self.state.step)
        self.writer.flush()
        self.losses = []
        self.validated = time.monotonic()

    def save(self) -> None:
        """Checkpoint, and the weights with their card."""
        if not self.fabric.is_global_zero:
            return
        save_checkpoint(self.state, self.out / "last.ckpt")
        facts = {**self.facts, "steps": self.state.step, "revision": revision()}
        card = self.recipe.card(f"{self.recipe.method}-{self.state.step}", facts, {"validation": self.scores})
        save_weights(self.state.best, card, self.out / f"{self.recipe.method}.safetensors")


def revision() -> str:
    """The git revision of this code, "+" behind it if it has uncommitted changes; "" outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except OSError:
        return ""
