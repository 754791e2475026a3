"""SuperEM's networks: the generator that makes the better map and the discriminator that trains it.

Source: Maddhuri Venkata Subramaniya, Terashi & Kihara, "Super-Resolution Cryo-EM Maps With 3D Deep Generative
Networks", Figure 1 and "GAN architecture of SuperEM".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .space_to_depth import CHANNELS, to_depth, to_space


def _norm(name: str, channels: int) -> nn.Module:
    """Instance norm is the paper's; none leaves the map's own amplitudes alone, whatever the tile's size."""
    if name == "instance":
        return nn.InstanceNorm3d(channels)
    if name == "none":
        return nn.Identity()
    raise ValueError(f"norm {name!r}: instance or none")


class ResidualBlock(nn.Module):
    """x + f(x), f = (conv, norm, PReLU, dropout, conv, norm, PReLU); the order within f is our choice."""

    def __init__(self, channels: int, dilation: int, norm: str, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.norm1 = _norm(norm, channels)
        self.relu1 = nn.PReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.norm2 = _norm(norm, channels)
        self.relu2 = nn.PReLU()
        if norm == "none":
            # Without normalisation a deep sum of branches grows; starting each at zero keeps it trainable.
            for parameter in self.conv2.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, z, y, x) to the same shape."""
        branch = self.dropout(self.relu1(self.norm1(self.conv1(x))))
        return x + self.relu2(self.norm2(self.conv2(branch)))


class Generator(nn.Module):
    """The paper's generator: a low-resolution map in, a map of 0..1 out, same shape.

    A 3x3x3 convolution to 32 channels, 15 residual blocks, a last 3x3x3 convolution of 32 channels, tanh
    rescaled to 0..1; stride 1 throughout. The paper leaves open how its 32 last channels become one density;
    here a further 3x3x3 convolution does it, as in the authors' released program. 859,874 parameters.

    Args:
        channels: width of every convolution.
        blocks: number of residual blocks.
        dilations: dilation of each block in turn, repeated as needed; the paper has none, (1,).
        norm: "instance" (the paper) or "none".
        dropout: probability, in training only.
        space_to_depth: the blocks work on a lattice so many times coarser, each of whose points holds the voxels
            about it as channels (the paper: 1); the edges of the maps must be multiples of it.
    """

    def __init__(
        self,
        channels: int = 32,
        blocks: int = 15,
        dilations: Sequence[int] = (1,),
        norm: str = "instance",
        dropout: float = 0.25,
        space_to_depth: int = 1,
    ):
        super().__init__()
        self.space_to_depth = space_to_depth
        self.multiple = space_to_depth  # of which every side of a map must be one
        voxels = space_to_depth**3  # of the map in one of the coarser lattice
        self.head = nn.Sequential(nn.Conv3d(voxels, channels, 3, padding=1), nn.PReLU())
        chosen = [
            dilations[i * len(dilations) // blocks] if len(dilations) > 1 else dilations[0]
            for i in range(blocks)
        ]
        self.blocks = nn.Sequential(*(ResidualBlock(channels, d, norm, dropout) for d in chosen))
        last = channels if voxels == 1 else CHANNELS * voxels
        self.tail = nn.Sequential(nn.Conv3d(channels, last, 3, padding=1), nn.PReLU())
        self.project = nn.Sequential(nn.Conv3d(last // voxels, 1, 3, padding=1), nn.PReLU(init=1.0))
        # Training starts from almost empty density, as most of a map is, not from 0.5 everywhere.
        nn.init.constant_(self.project.get_parameter("0.bias"), -1.5)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, z, y, x) to (n, 1, z, y, x)."""
        return self.draw(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the last block knows of a map (n, 1, z, y, x): (n, channels, z, y, x), each axis / space_to_depth."""
        return self.blocks(self.head(to_depth(x, self.space_to_depth)))

    def draw(self, features: Tensor) -> Tensor:
        """The map (n, 1, z, y, x) that `features` stand for."""
        x = self.project(to_space(self.tail(features), self.space_to_depth))
        # In float32: bfloat16 has steps of .004 near tanh's -1, where most density is.
        return (torch.tanh(x.float()) + 1) / 2


class Discriminator(nn.Module):
    """The paper's discriminator: whether a cube is a simulated high-resolution one or generated.

    Ten 3x3x3 convolutions, 32 channels doubled after every two, each with PReLU, dropout 0.25 and group norm
    (group size 16), then softmax over real and generated. The paper leaves open how the cube shrinks: here
    the first convolution of each pair but the first has stride 2, and the mean over space feeds one linear layer.

    Args:
        channels: width of the first two convolutions.
        dropout: probability, in training only.
    """

    def __init__(self, channels: int = 32, dropout: float = 0.25):
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for i in range(10):
            out = channels * 2 ** (i // 2)
            stride = 2 if i % 2 == 0 and i else 1
            layers += [
                nn.Conv3d(width, out, 3, stride=stride, padding=1),
                nn.GroupNorm(out // 16, out),
                nn.PReLU(),
                nn.Dropout(dropout),
            ]
            width = out
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, z, y, x) cubes to (n, 2) logits of generated and real; the losses apply the softmax."""
        return self.classify(self.features(x).mean(dim=(2, 3, 4)))


class ReleasedBlock(nn.Module):
    """x + norm(conv(norm(PReLU(conv x)))), dilated; the names are those of the authors' state dict."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.bn1 = nn.BatchNorm3d(channels)
        self.relu1 = nn.PReLU()
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.bn2 = nn.BatchNorm3d(channels)
        self.relu2 = nn.PReLU()  # in the state dict, never used

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, z, y, x) to the same shape."""
        return x + self.bn2(self.conv2(self.bn1(self.relu1(self.conv1(x)))))


class ReleasedGenerator(nn.Module):
    """The generator the authors released, which is not the one they published.

    First convolution 9x9x9; 15 blocks of dilation 1, 2, 4, 8, 16 (three each) with batch norm; a skip from the
    first convolution to behind the blocks' closing one; PReLU before tanh. 884,258 parameters. Module names
    follow the released state dict, so that it loads as it is.
    """

    def __init__(self, channels: int = 32):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv3d(1, channels, 9, padding=4), nn.PReLU())
        self.model = nn.Sequential(*(ReleasedBlock(channels, 2 ** (i // 3)) for i in range(15)))
        self.blockSLast = nn.Sequential(nn.Conv3d(channels, channels, 3, padding=1), nn.PReLU())
        self.blockLast = nn.Sequential(nn.Conv3d(channels, 1, 3, padding=1), nn.PReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, z, y, x) to (n, 1, z, y, x), 0..1."""
        first = self.block1(x)
        x = self.blockSLast(self.model(first))
        return (torch.tanh(self.blockLast(first + x).float()) + 1) / 2
