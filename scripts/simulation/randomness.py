"""Random numbers and smooth random fields, from one torch.Generator, so that a seed fixes an experiment."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from .box import Box


def uniform(low: float, high: float, rng: Generator) -> float:
    """A number between low and high."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def chance(probability: float, rng: Generator) -> bool:
    """True with this probability."""
    return float(torch.rand((), generator=rng)) < probability


def choice(n: int, rng: Generator) -> int:
    """A whole number from 0 to n - 1."""
    return int(torch.randint(n, (), generator=rng))


def rotation(rng: Generator) -> Tensor:
    """A uniformly distributed 3 x 3 rotation matrix (a normalised random quaternion)."""
    w, x, y, z = torch.nn.functional.normalize(torch.randn(4, generator=rng), dim=0).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def direction(rng: Generator) -> Tensor:
    """A uniformly distributed unit vector (3,)."""
    return torch.nn.functional.normalize(torch.randn(3, generator=rng), dim=0)


def normal(shape: tuple[int, ...], rng: Generator, device: torch.device | str) -> Tensor:
    """Standard normal numbers, made on the device: a box of them is too much to carry over."""
    there = Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    return torch.randn(shape, generator=there, device=device)


def smooth_field(box: Box, length: float, rng: Generator) -> Tensor:
    """A random field (z, y, x) of mean 0 and variance 1 that varies over about `length` A."""
    blur = torch.exp(-0.5 * (math.pi * length * box.frequencies) ** 2)
    spectrum = box.fourier(normal(box.shape, rng, box.device)) * blur
    spectrum[0, 0, 0] = 0
    field = box.real(spectrum)
    return field / field.std().clamp_min(1e-6)
