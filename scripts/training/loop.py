"""The training loop: one step, and the state that a checkpoint holds."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cryomap.replacing import replacing

from .losses import CONTENT, adversarial_loss, correlation_loss, discriminator_loss, inner_correlation_loss
from .muon import Muon
from .recipe import Loss, Optimisation


@dataclass
class State:
    """Everything that changes while training, and so must be in a checkpoint.

    Attributes:
        network: being trained.
        optimiser: its optimiser.
        average: moving average of its weights, or None.
        discriminator, discriminator_optimiser: for adversarial training, else None.
        step: steps done.
    """

    network: nn.Module
    optimiser: Optimizer
    average: AveragedModel | None
    discriminator: nn.Module | None = None
    discriminator_optimiser: Optimizer | None = None
    step: int = 0

    @property
    def best(self) -> nn.Module:
        """The network to validate and to save: the average where there is one."""
        return self.average.module if self.average is not None else self.network

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts = {"network": self.network, "optimiser": self.optimiser, "average": self.average}
        parts |= {
            "discriminator": self.discriminator,
            "discriminator_optimiser": self.discriminator_optimiser,
        }
        held = {key: part.state_dict() for key, part in parts.items() if part is not None}
        return {**held, "step": self.step, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for key in ("network", "optimiser", "average", "discriminator", "discriminator_optimiser"):
            part = getattr(self, key)
            if part is not None:
                part.load_state_dict(state[key])
        self.step = state["step"]
        torch.set_rng_state(state["random"])


def make_optimiser(parameters: Iterable[nn.Parameter], o: Optimisation) -> Optimizer:
    """The recipe's optimiser."""
    if o.optimiser == "adam":
        return torch.optim.Adam(parameters, o.learning_rate)
    if o.optimiser == "muon":
        return Muon(parameters, o.learning_rate, o.weight_decay)
    return torch.optim.AdamW(parameters, o.learning_rate, weight_decay=o.weight_decay)


def make_average(network: nn.Module, o: Optimisation) -> AveragedModel | None:
    """The moving average the recipe asks for."""
    if not o.ema_decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(o.ema_decay))


def rate_at(step: int, o: Optimisation) -> float:
    """The rate of a step: a linear rise, then constant or a cosine to zero at the last step."""
    rise = min(1.0, (step + 1) / o.warm_up) if o.warm_up else 1.0
    if o.schedule == "cosine":
        return o.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / o.steps)))
    return o.learning_rate * rise


def train_step(fabric: Fabric, state: State, batch: Sequence[Tensor], loss: Loss, o: Optimisation) -> float:
    """One step; returns the generator's loss.

    Args:
        fabric: has set up the state's networks and optimisers.
        state: changes.
        batch: observed, target, both (n, 1, z, y, x), and for cryosamu, or not, the embedding (n, 800, 512).
        loss, o: of the recipe.
    """
    observed, target, *embedding = batch
    observed = observed.contiguous(memory_format=torch.channels_last_3d)
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(state.step, o)
    output = state.network(observed, *embedding).float()
    total = loss.content_weight * CONTENT[loss.content](output, target)
    if loss.correlation:
        total = total + loss.correlation * correlation_loss(output, target)
    if loss.inner_correlation:
        total = total + loss.inner_correlation * inner_correlation_loss(output, target)
    if state.discriminator is not None:
        _discriminator_step(fabric, state, output.detach(), target)
        total = total + loss.adversarial * adversarial_loss(state.discriminator(output))
    state.optimiser.zero_grad()
    fabric.backward(total)
    if o.clip:
        fabric.clip_gradients(state.network, state.optimiser, max_norm=o.clip, error_if_nonfinite=False)
    value = float(total.detach())
    if math.isfinite(value):
        # A single overflow in low precision must not poison the weights and the average for good.
        state.optimiser.step()
    if state.average is not None:
        state.average.update_parameters(
            state.network.module if hasattr(state.network, "module") else state.network
        )
    state.step += 1
    return value


def _discriminator_step(fabric: Fabric, state: State, generated: Tensor, real: Tensor) -> None:
    logits = state.discriminator(torch.cat([real, generated]))
    state.discriminator_optimiser.zero_grad()
    fabric.backward(discriminator_loss(logits[: len(real)], logits[len(real) :]))
    state.discriminator_optimiser.step()


def save_checkpoint(state: State, path: str | os.PathLike) -> None:
    """Write a checkpoint, whole or not at all: the last one survives a kill or a full disk."""
    with replacing(Path(path)) as temporary:
        torch.save(state.state_dict(), temporary)
