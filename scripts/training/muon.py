"""Muon: steps in which every direction of a weight matrix counts alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


class Muon(torch.optim.AdamW):
    """Muon for the kernels of convolutions and matrices, AdamW for biases, slopes and scales.

    A kernel (out, in, z, y, x) is a matrix (out, in z y x), which `torch.optim.Muon` doesn't take. The momentum of
    its gradient is made orthogonal and given the size of an AdamW step, so that `learning_rate` means the same to both.

    Source: K. Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024); the size of the step:
    Liu et al., "Muon is scalable for LLM training" (2025).

    Args:
        parameters: to optimise.
        learning_rate: of a step.
        weight_decay: of AdamW.
        momentum: of the gradient of matrices.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
    ):
        matrices, others = [], []
        for p in parameters:
            (matrices if p.ndim > 1 else others).append(p)
        groups = [{"params": matrices, "momentum": momentum}, {"params": others, "momentum": 0.0}]
        super().__init__([g for g in groups if g["params"]], lr=learning_rate, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One step; matrices first, so that AdamW finds no gradient of theirs."""
        for group in self.param_groups:
            for p in group["params"]:
                if group["momentum"] and p.grad is not None:
                    self._matrix_step(p, group)
                    p.grad = None
        super().step(closure)

    def _matrix_step(self, p: nn.Parameter, group: dict) -> None:
        state = self.state[p]
        if not state:
            # AdamW looks for a step when it loads a checkpoint.
            state.update(step=torch.zeros(()), momentum_buffer=torch.zeros_like(p.grad))
        state["step"] += 1
        momentum = state["momentum_buffer"]
        momentum.mul_(group["momentum"]).add_(p.grad)
        direction = orthogonal(p.grad.add(momentum, alpha=group["momentum"]).flatten(1))
        size = 0.2 * max(direction.shape) ** 0.5
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(direction.reshape(p.shape), alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """About U V^T of the matrix's U S V^T: Newton-Schulz rounds bring singular values near 1 (0.7 to 1.2).

    Args:
        matrix: (rows, columns).
        rounds: each makes a singular value s to 3.4445 s - 4.775 s^3 + 2.0315 s^5 (Jordan's coefficients).
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T, rounds).T
    x = matrix / matrix.norm().clamp(min=1e-7)
    # A round multiplies x from the left by a polynomial of x x^T: all of them are worked out on that square matrix,
    # a fiftieth of x in a convolution, and x itself is multiplied once.
    gram = x @ x.T
    identity = product = torch.eye(len(gram), dtype=x.dtype, device=x.device)
    for _ in range(rounds):
        factor = 3.4445 * identity - 4.775 * gram + 2.0315 * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ x
