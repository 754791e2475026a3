"""CryoSAMU's network: a structure-aware multimodal U-Net.

Source: Zhang & Dao Duc, "CryoSAMU: Enhancing 3D Cryo-EM Density Maps of Protein Structures at Intermediate
Resolution with Structure-Aware Multimodal U-Nets", section 3.3 and Figure 1b.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import CrossAttention, LinearSelfAttention
from .norm import normalisation
from .space_to_depth import CHANNELS, to_depth, to_space

LEVELS = 4
ENCODER_BLOCKS = 2
CONTEXT = 512  # channels of ESM-IF1's embeddings, which the paper takes


class ResidualBlock(nn.Module):
    """Twice (group norm, SiLU, dropout, 3x3x3 convolution) with a shortcut, 1x1x1 where the width changes."""

    def __init__(self, channels_in: int, channels_out: int, groups: int | None, dropout: float):
        super().__init__()
        self.first = self._half(channels_in, channels_out, groups, dropout)
        self.second = self._half(channels_out, channels_out, groups, dropout)
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv3d(channels_in, channels_out, 1)
        if not groups:
            # Without group norm a deep sum of branches grows; starting each at zero keeps it trainable.
            nn.init.zeros_(self.second[-1].get_parameter("weight"))

    @staticmethod
    def _half(channels_in: int, channels_out: int, groups: int | None, dropout: float) -> nn.Sequential:
        norm = normalisation(channels_in, groups)
        conv = nn.Conv3d(channels_in, channels_out, 3, padding=1)
        return nn.Sequential(norm, nn.SiLU(), nn.Dropout(dropout), conv)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, z, y, x) to (n, channels_out, z, y, x)."""
        return self.shortcut(x) + self.second(self.first(x))


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, z, y, x) to (n, channels, 2z, 2y, 2x)."""
        return self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))


class CryoSAMU(nn.Module):
    """The paper's U-Net: one channel in, one out; four levels, linear self-attention after each of the first three.

    The bottleneck is residual block, linear self-attention, cross-attention to the structural embedding
    (bypassed without one), residual block. The decoder mirrors the encoder; each of its three blocks a level
    takes one of the encoder's skips. The paper leaves widths open: base 32, multipliers 1, 2, 2, 4 and 32
    groups are our choice, 12 million parameters.

    Args:
        base: channels of the first level.
        multipliers: width of each level in units of `base`.
        groups: groups of the group norms; 0 for layer norms of each voxel, None for no normalisation.
        dropout: probability, in training only.
        heads: attention heads.
        attention_pool: for each of the first three levels, the edge of the cubes of voxels that attention
            sees as one (1: the paper), or 0 for no attention there.
        context: channels of the structural embedding; 0: the network takes none and has no cross-attention.
        space_to_depth: the whole U-Net works on a lattice so many times coarser, each of whose points holds the
            voxels about it as channels (the paper: 1).
    """

    def __init__(
        self,
        base: int = 32,
        multipliers: Sequence[int] = (1, 2, 2, 4),
        groups: int | None = 32,
        dropout: float = 0.2,
        heads: int = 4,
        attention_pool: Sequence[int] = (1, 1, 1),
        context: int = CONTEXT,
        space_to_depth: int = 1,
    ):
        super().__init__()
        self.space_to_depth = space_to_depth
        self.multiple = 2 ** (LEVELS - 1) * space_to_depth  # of which every side of a map must be one
        widths = [base * m for m in multipliers]

        def block(channels_in: int, channels_out: int) -> ResidualBlock:
            return ResidualBlock(channels_in, channels_out, groups, dropout)

        def attention(level: int) -> nn.Module:
            if level >= LEVELS - 1 or not attention_pool[level]:
                return nn.Identity()
            return LinearSelfAttention(widths[level], heads, groups=groups, pool=attention_pool[level])

        self.head = nn.Conv3d(space_to_depth**3, base, 3, padding=1)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        skips, width = [base], base
        for level in range(LEVELS):
            stage = nn.ModuleList()
            for i in range(ENCODER_BLOCKS):
                after = attention(level) if i == ENCODER_BLOCKS - 1 else nn.Identity()
                stage.append(nn.Sequential(block(width, widths[level]), after))
                width = widths[level]
                skips.append(width)
            self.encoder.append(stage)
            if level < LEVELS - 1:
                self.down.append(nn.Conv3d(width, width, 3, stride=2, padding=1))
                skips.append(width)

        self.before = nn.Sequential(block(width, width), LinearSelfAttention(width, heads, groups=groups))
        self.cross = CrossAttention(width, context, heads)
        self.after = block(width, width)

        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(LEVELS)):
            stage = nn.ModuleList()
            for i in range(ENCODER_BLOCKS + 1):
                after = attention(level) if i == ENCODER_BLOCKS else nn.Identity()
                stage.append(nn.Sequential(block(width + skips.pop(), widths[level]), after))
                width = widths[level]
            self.decoder.append(stage)
            self.up.append(Upsample(width) if level else nn.Identity())

        norm = normalisation(base, groups)
        last = 1 if space_to_depth == 1 else CHANNELS * space_to_depth**3
        self.tail = nn.Sequential(norm, nn.SiLU(), nn.Conv3d(base, last, 3, padding=1))
        project = (nn.SiLU(), nn.Conv3d(CHANNELS, 1, 3, padding=1))
        self.project = nn.Identity() if space_to_depth == 1 else nn.Sequential(*project)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """A map and, in training, its structure's embedding, to a better map.

        Args:
            x: (n, 1, z, y, x), each of z, y, x a multiple of 8 times space_to_depth.
            embedding: (n, residues, context), or None to bypass the cross-attention.

        Returns:
            (n, 1, z, y, x), not clipped.
        """
        return self.draw(self.features(x, embedding))

    def features(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """What the last decoder block knows of a map, see `forward`: (n, base, z, y, x), each axis / space_to_depth."""
        x = self.head(to_depth(x, self.space_to_depth))
        skips = [x]
        for level, stage in enumerate(self.encoder):
            for step in stage.children():
                x = step(x)
                skips.append(x)
            if level < LEVELS - 1:
                x = self.down[level](x)
                skips.append(x)
        x = self.after(self.cross(self.before(x), embedding))
        for stage, up in zip(self.decoder, self.up, strict=True):
            for step in stage.children():
                x = step(torch.cat([x, skips.pop()], dim=1))
            x = up(x)
        return x

    def draw(self, features: Tensor) -> Tensor:
        """The map (n, 1, z, y, x) that `features` stand for."""
        return self.project(to_space(self.tail(features), self.space_to_depth))
