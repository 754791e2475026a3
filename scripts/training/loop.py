"""The training loop: one step, and the state that a checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .losses import CONTENT, adversarial_loss, correlation_loss, discriminator_loss, inner_correlation_loss
from .muon import Muon
from .recipe import Loss, Optimisation

Batch = Sequence[Tensor]
"""Observed, target, known, all (n, 1, z, y, x), and for cryosamu, or not, the embedding (n, 800, 512)."""


@dataclass
class State:
    """Everything that changes while training, and so must be in a checkpoint.

    Attributes:
        network: being trained.
        optimiser: its optimiser.
        average: moving average of its weights, or None.
        discriminator, discriminator_optimiser: for adversarial training, else None.
        step: steps done.
        best_score: highest of the validations so far.
    """

    network: nn.Module
    optimiser: Optimizer
    average: AveragedModel | None
    discriminator: nn.Module | None = None
    discriminator_optimiser: Optimizer | None = None
    step: int = 0
    best_score: float = -1.0

    @property
    def best(self) -> nn.Module:
        """The network to validate and to save: the average where there is one."""
        return self.average.module if self.average is not None else self.network

    def parts(self) -> dict[str, nn.Module | Optimizer]:
        """What has a state of its own, by name."""
        names = ("network", "optimiser", "average", "discriminator", "discriminator_optimiser")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts = {name: part.state_dict() for name, part in self.parts().items()}
        return {**parts, "step": self.step, "best_score": self.best_score}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.step, self.best_score = state["step"], state["best_score"]


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
    """The learning rate of a step: a linear rise, then constant or a cosine to zero at the last step."""
    rise = min(1.0, (step + 1) / o.warm_up) if o.warm_up else 1.0
    if o.schedule == "cosine":
        return o.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / o.steps)))
    return o.learning_rate * rise


def train_step(
    fabric: Fabric, state: State, batches: Iterable[Batch], loss: Loss, o: Optimisation, seed: int = 0
) -> float:
    """One step; returns the generator's loss, of all processes.

    The gradients of the batches add up to that of the recipe's batch, whatever the number of batches and of
    processes: each counts by its share of `o.batch` cubes. A loss or a gradient that isn't finite makes all
    processes leave the step out: a single overflow must not poison the weights and their average for good.

    Args:
        fabric: has set up the state's networks and optimisers.
        state: changes.
        batches: this process' part of the cubes, as many at a time as its device holds.
        loss, o: of the recipe.
        seed: with the step and the process, fixes what dropout draws, so that a resumed run goes on alike.
    """
    torch.manual_seed((seed * 1_000_003 + state.step) * 4096 + fabric.global_rank)
    optimisers = [x for x in (state.optimiser, state.discriminator_optimiser) if x is not None]
    networks = [x for x in (state.network, state.discriminator) if x is not None]
    for optimiser in optimisers:
        optimiser.zero_grad()
    total = torch.zeros((), device=fabric.device)
    for batch in batches:
        total += _add_gradients(fabric, state, batch, loss, len(batch[0]) / o.batch)
    value, finite = float(_sum_over_processes(fabric, networks, total)), []
    for network in networks:
        most = o.clip if network is state.network and o.clip else math.inf
        finite.append(nn.utils.clip_grad_norm_(network.parameters(), most).isfinite())
    if math.isfinite(value) and all(finite):
        for group in state.optimiser.param_groups:
            group["lr"] = rate_at(state.step, o)
        for optimiser in optimisers:
            optimiser.step()
        if state.average is not None:
            state.average.update_parameters(getattr(state.network, "module", state.network))
    state.step += 1
    return value


def _add_gradients(fabric: Fabric, state: State, batch: Batch, loss: Loss, share: float) -> Tensor:
    """Backward passes of one batch; its share of the loss."""
    observed, target, known, *embedding = batch
    observed = observed.contiguous(memory_format=torch.channels_last_3d)
    with fabric.no_backward_sync(state.network):
        output = state.network(observed, *embedding).float()
        total = loss.content_weight * CONTENT[loss.content](output, target, known)
        if loss.correlation:
            total = total + loss.correlation * correlation_loss(output, target, known)
        if loss.inner_correlation:
            total = total + loss.inner_correlation * inner_correlation_loss(output, target, known)
        if state.discriminator is not None:
            with _frozen(state.discriminator), fabric.no_backward_sync(state.discriminator):
                judged = state.discriminator(output)
            total = total + loss.adversarial * adversarial_loss(judged)
        fabric.backward(share * total)
    if state.discriminator is not None:
        with fabric.no_backward_sync(state.discriminator):
            logits = state.discriminator(torch.cat([target, output.detach()]))
            real, generated = logits[: len(target)], logits[len(target) :]
            fabric.backward(share * discriminator_loss(real, generated))
    return share * total.detach().float()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """What is run inside adds nothing to the network's own gradients."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _sum_over_processes(fabric: Fabric, networks: Sequence[nn.Module], loss: Tensor) -> Tensor:
    """Sum every gradient, and the loss, in one message; a parameter that no process has one of is left without."""
    if fabric.world_size == 1:
        return loss
    parameters = [p for network in networks for p in network.parameters()]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    there = torch.tensor(
        [p.grad is not None for p in parameters], device=loss.device, dtype=gradients[0].dtype
    )
    flat = torch.cat([loss.to(there.dtype)[None], there, *(g.flatten() for g in gradients)])
    flat = fabric.all_reduce(flat, reduce_op="sum")
    loss, there, flat = flat[0], flat[1 : 1 + len(there)].tolist(), flat[1 + len(there) :]
    for p, has, part in zip(parameters, there, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = part.view(p.shape).clone() if has else None
    return loss
