"""Endless streams of cubes: the i-th item is the same in every run with the same seed, however often it stopped.

An item is a group of cubes: (observed, target, known), each (n, 1, cube, cube, cube), and, where structures have
embeddings, the embedding (n, 800, 512).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler

from pairs.embeddings import Embeddings
from simulation.experiment import Experiment, simulate
from simulation.randomness import chance, choice
from simulation.settings import Settings
from simulation.structures import Structure

Item = tuple[Tensor, ...]


def of_item(seed: int, index: int) -> Generator:
    """The random numbers of the i-th item."""
    return Generator().manual_seed(seed * 1_000_003 + index)


@dataclass(frozen=True)
class SimulatedCubes(Dataset):
    """Item i: cubes cut from the i-th simulated experiment.

    Attributes:
        structures: what to simulate from.
        settings: how.
        cube: edge of a cube in voxels.
        per_box: cubes from one experiment.
        seed: with i, fixes the experiment.
        empty: share of the cubes cut anywhere, solvent and all; the others are centred on density.
        device: where to simulate.
        embeddings: of the structures, by PDB id.
    """

    structures: Sequence[Structure]
    settings: Settings
    cube: int
    per_box: int = 2
    seed: int = 0
    empty: float = 0.15
    device: str = "cpu"
    embeddings: Embeddings | None = None

    def __getitem__(self, index: int) -> Item:
        """Item `index`."""
        rng = of_item(self.seed, index)
        experiment = simulate(self.structures, self.settings, rng, self.device)
        corners = [self._corner(experiment, rng) for _ in range(self.per_box)]
        observed, target = (
            torch.stack([cut(volume, corner, self.cube) for corner in corners])[:, None]
            for volume in (experiment.observed, experiment.target)
        )
        item = (observed, target, torch.ones_like(target))
        if self.embeddings is None:
            return item
        return *item, self.embeddings[experiment.atoms.pdb_id].expand(self.per_box, -1, -1)

    def _corner(self, experiment: Experiment, rng: Generator) -> list[int]:
        room = torch.tensor(experiment.target.shape) - self.cube
        corner = torch.tensor([choice(int(n) + 1, rng) for n in room])
        if not chance(self.empty, rng):
            dense = (experiment.target > 0.1).nonzero()
            if len(dense):
                jitter = torch.tensor([choice(self.cube // 2 + 1, rng) for _ in range(3)]) - self.cube // 4
                corner = dense[choice(len(dense), rng)].cpu() - self.cube // 2 + jitter
        return corner.clamp(min=0).minimum(room).tolist()


def cut(volume: Tensor, corner: Sequence[int], cube: int) -> Tensor:
    """A cube of a volume (z, y, x)."""
    z, y, x = corner
    return volume[z : z + cube, y : y + cube, x : x + cube]


@dataclass(frozen=True)
class Mixed(Dataset):
    """Item i is of a feed drawn by its share.

    Attributes:
        feeds: streams, by name.
        shares: of each name; their sum is 1.
        seed: with i, fixes which.
    """

    feeds: Mapping[str, Dataset]
    shares: Mapping[str, float]
    seed: int = 0

    def name_of(self, index: int) -> str:
        """The feed of item `index`."""
        weights = torch.tensor([self.shares[name] for name in self.feeds], dtype=torch.float64)
        # Not the numbers that the feed itself draws.
        drawn = torch.multinomial(weights, 1, generator=of_item(self.seed + 77_777, index))
        return list(self.feeds)[int(drawn)]

    def __getitem__(self, index: int) -> Item:
        """Item `index`."""
        return self.feeds[self.name_of(index)][index]


@dataclass(frozen=True)
class Batches(Sampler):
    """Item numbers, in lists of as many as a device takes at a time; each process has its own part of every step.

    Attributes:
        steps: which, so that a resumed run goes on where it stopped.
        items: of a step, over all processes; at least one for each.
        at_once: items of a list, at most.
        rank, world: this process, and how many there are.
    """

    steps: range
    items: int
    at_once: int
    rank: int = 0
    world: int = 1

    @property
    def own(self) -> range:
        """This process' items of a step, of all of them."""
        return range(self.items * self.rank // self.world, self.items * (self.rank + 1) // self.world)

    @property
    def per_step(self) -> int:
        """Lists of a step."""
        return -(-len(self.own) // self.at_once)

    def __iter__(self) -> Iterator[list[int]]:
        """Lists of item numbers."""
        for step in self.steps:
            for first in range(0, len(self.own), self.at_once):
                yield [step * self.items + i for i in self.own[first : first + self.at_once]]

    def __len__(self) -> int:
        return len(self.steps) * self.per_step


def join(items: list[Item]) -> Item:
    """Items to one batch."""
    return tuple(torch.cat(column) for column in zip(*items, strict=True))
