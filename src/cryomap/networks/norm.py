"""The normalisations that the U-Net can be built with."""

from __future__ import annotations

from torch import Tensor, nn


def normalisation(channels: int, groups: int | None) -> nn.Module:
    """Group norm of so many groups; 0: each voxel's channels by themselves; None: none.

    Group norm (the paper's) makes the result in one place depend on what else the tile holds; per voxel it doesn't.
    """
    if groups is None:
        return nn.Identity()
    return nn.GroupNorm(groups, channels) if groups else VoxelNorm(channels)


class VoxelNorm(nn.LayerNorm):
    """Layer norm over the channels of each voxel."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, z, y, x) to the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
