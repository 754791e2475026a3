"""What training minimises. Every loss is a mean over cubes, so that a batch may be worked off in parts.

`known` says where the target is known: 1, or 0 where a voxel doesn't count; the shape of the target.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sum_of_squares(output: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """SuperEM equation 3: squared error summed over a cube; the mean of the cubes."""
    return (known * (output - target) ** 2).flatten(1).sum(dim=1).mean()


def mean_square(output: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Mean squared error. Its minimum is the mean of what the density could be, where it is uncertain."""
    return (known * (output - target) ** 2).mean()


def smooth_l1(output: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """CryoSAMU equation 7."""
    return (known * functional.smooth_l1_loss(output, target, reduction="none")).mean()


CONTENT = {"sum_of_squares": sum_of_squares, "mean_square": mean_square, "smooth_l1": smooth_l1}


def correlation_loss(output: Tensor, target: Tensor, known: Tensor, enough: float = 0.02) -> Tensor:
    """1 - Pearson correlation of each cube, mean over cubes; 0 for cubes with hardly any target.

    Args:
        output: (n, 1, z, y, x).
        target, known: the same shape.
        enough: standard deviation of the target from which a cube counts.
    """
    a, b, w = output.flatten(1), target.flatten(1), known.flatten(1)
    w = w / w.sum(dim=1, keepdim=True).clamp(min=1)
    a, b = (v - (w * v).sum(dim=1, keepdim=True) for v in (a, b))
    covariance, *variances = ((w * u * v).sum(dim=1) for u, v in ((a, b), (a, a), (b, b)))
    correlation = covariance / (variances[0] * variances[1] + 1e-8).sqrt()
    return ((1 - correlation) * (variances[1] > enough**2)).mean()


def inner_correlation_loss(output: Tensor, target: Tensor, known: Tensor, level: float = 0.03) -> Tensor:
    """The same over the voxels where the target is above `level`: CC_mask, which a right outline alone won't raise."""
    return correlation_loss(output, target, known * (target > level))


def adversarial_loss(logits: Tensor) -> Tensor:
    """SuperEM equation 4: -D(G(LR)), D the probability of being real, from the discriminator's (n, 2) logits."""
    return -logits.softmax(dim=1)[:, 1].mean()


def discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """Cross-entropy of the discriminator, the negative of what it maximises in SuperEM equation 1."""
    real = functional.cross_entropy(real_logits, torch.ones_like(real_logits[:, 0], dtype=torch.long))
    generated = functional.cross_entropy(
        generated_logits, torch.zeros_like(generated_logits[:, 0], dtype=torch.long)
    )
    return real + generated
