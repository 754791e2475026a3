"""Space to depth: a map on a coarser lattice whose points hold their voxels as channels, and back."""

from __future__ import annotations

import torch
from torch import Tensor

UNFOLDED = 8  # channels at full resolution behind a network that worked on a folded map


def fold_voxels(x: Tensor, fold: int) -> Tensor:
    """(n, c, z, y, x) to (n, c fold^3, z / fold, y / fold, x / fold): space to depth, nothing is lost."""
    if fold == 1:
        return x
    x = x.unflatten(4, (-1, fold)).unflatten(3, (-1, fold)).unflatten(2, (-1, fold))
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4).contiguous(memory_format=torch.channels_last_3d)


def unfold_voxels(x: Tensor, fold: int) -> Tensor:
    """The inverse of `fold_voxels`."""
    if fold == 1:
        return x
    x = x.unflatten(1, (-1, fold, fold, fold)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.flatten(6, 7).flatten(4, 5).flatten(2, 3).contiguous(memory_format=torch.channels_last_3d)
