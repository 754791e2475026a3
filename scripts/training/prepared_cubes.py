"""Prepared cubes of experimental pairs, and random changes to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from cryomap.enhancement.samples import orientations
from pairs.datasets import PairCubes
from pairs.embeddings import Embeddings
from simulation.randomness import chance, choice, normal, uniform

from .stream import Item, of_item


@dataclass(frozen=True)
class PreparedCubes(Dataset):
    """The cubes of prepare_pairs.py as an endless stream, see `stream`: epoch after epoch, each in an order of its own.

    Attributes:
        pairs: what there is.
        per_item: cubes of an item.
        seed: fixes orders and changes.
        augmented: whether cubes are changed, by other draws in every epoch, with the CryoSAMU paper's augmentations
            (noise, anisotropy, blur) and one of the cube's 24 rotations. The paper gives no strengths: noise up to
            0.05, every k-th plane with k 1.5 to 3, a blur of up to 1 A, each in a quarter of the cubes. Mirror images
            are left out: proteins have a hand. SuperEM's paper has no augmentation.
        embeddings: by entry.
    """

    pairs: PairCubes
    per_item: int = 1
    seed: int = 0
    augmented: bool = True
    embeddings: Embeddings | None = None

    def __getitem__(self, index: int) -> Item:
        """Item `index`."""
        cubes = [self._cube(index * self.per_item + i) for i in range(self.per_item)]
        return tuple(torch.stack(column) for column in zip(*cubes, strict=True))

    def _cube(self, position: int) -> Item:
        epoch, place = divmod(position, len(self.pairs))
        number = _order(len(self.pairs), self.seed, epoch)[place]
        observed, target = self.pairs[number]
        if self.augmented:
            observed, target = changed(observed, target, of_item(self.seed, position))
        cube = (observed, target, torch.ones_like(target))
        if self.embeddings is None:
            return cube
        return *cube, self.embeddings[self.pairs.entry_of(number)]


@lru_cache(maxsize=2)
def _order(length: int, seed: int, epoch: int) -> list[int]:
    return torch.randperm(length, generator=of_item(seed, epoch)).tolist()


def changed(observed: Tensor, target: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """A cube and its target (1, n, n, n) with CryoSAMU's augmentations."""
    if chance(0.25, rng):
        observed = noisy(observed, uniform(0, 0.05, rng), rng)
    if chance(0.25, rng):
        observed = anisotropic(observed, uniform(1.5, 3, rng), choice(3, rng))
    if chance(0.25, rng):
        observed = blurred(observed, uniform(0.3, 1, rng))
    orientation = choice(24, rng)
    return turned(observed, orientation), turned(target, orientation)


def noisy(cube: Tensor, deviation: float, rng: Generator) -> Tensor:
    """White Gaussian noise added."""
    return cube + deviation * normal(tuple(cube.shape), rng, cube.device)


def anisotropic(cube: Tensor, factor: float, axis: int) -> Tensor:
    """Sampled `factor` times more coarsely along one axis, and interpolated back."""
    size = list(cube.shape[1:])
    coarse = list(size)
    coarse[axis] = max(2, round(size[axis] / factor))
    fewer = functional.interpolate(cube[None], size=coarse, mode="trilinear")
    return functional.interpolate(fewer, size=size, mode="trilinear")[0]


def blurred(cube: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of `sigma` voxels, the edges repeated."""
    reach = max(1, round(3 * sigma))
    x = torch.arange(-reach, reach + 1, device=cube.device)
    kernel = torch.softmax(-0.5 * (x / sigma) ** 2, dim=0)
    out = cube[None]
    for axis in range(3):
        shape, pad = [1, 1, 1, 1, 1], [0] * 6
        shape[2 + axis] = len(kernel)
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = reach
        out = functional.conv3d(functional.pad(out, pad, mode="replicate"), kernel.view(shape))
    return out[0]


def turned(cube: Tensor, orientation: int) -> Tensor:
    """A cube (1, n, n, n) in one of its 24 `orientations`, 0 to 23; 0 the identity."""
    axes, flips = orientations()[orientation]
    return cube.permute(0, *(1 + a for a in axes)).flip([1 + a for a in flips]).contiguous()
