"""Space to depth: a map on a coarser lattice whose points hold their voxels as channels, and back."""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = 8  # at full resolution, behind a network that worked on the coarser lattice


def to_depth(x: Tensor, factor: int) -> Tensor:
    """(n, c, z, y, x) to (n, c factor^3, z / factor, y / factor, x / factor); nothing is lost."""
    if factor == 1:
        return x
    x = x.unflatten(4, (-1, factor)).unflatten(3, (-1, factor)).unflatten(2, (-1, factor))
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4).contiguous(memory_format=torch.channels_last_3d)


def to_space(x: Tensor, factor: int) -> Tensor:
    """The inverse of `to_depth`."""
    if factor == 1:
        return x
    x = x.unflatten(1, (-1, factor, factor, factor)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.flatten(6, 7).flatten(4, 5).flatten(2, 3).contiguous(memory_format=torch.channels_last_3d)
