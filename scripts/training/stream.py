"""The endless stream of simulated cubes: the i-th item is the same in every run with the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler

from simulation.experiment import Experiment, simulate
from simulation.randomness import chance, choice
from simulation.settings import Settings
from simulation.structures import Structure


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
    """

    structures: Sequence[Structure]
    settings: Settings
    cube: int
    per_box: int = 2
    seed: int = 0
    empty: float = 0.15
    device: str = "cpu"

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """(observed, target), both (per_box, 1, cube, cube, cube)."""
        rng = Generator().manual_seed(self.seed * 1_000_003 + index)
        experiment = simulate(self.structures, self.settings, rng, self.device)
        corners = [self._corner(experiment, rng) for _ in range(self.per_box)]
        return tuple(
            torch.stack([_cut(volume, corner, self.cube) for corner in corners])[:, None]
            for volume in (experiment.observed, experiment.target)
        )

    def _corner(self, experiment: Experiment, rng: Generator) -> list[int]:
        room = torch.tensor(experiment.target.shape) - self.cube
        corner = torch.tensor([choice(int(n) + 1, rng) for n in room])
        if not chance(self.empty, rng):
            dense = (experiment.target > 0.1).nonzero()
            if len(dense):
                jitter = torch.tensor([choice(self.cube // 2 + 1, rng) for _ in range(3)]) - self.cube // 4
                corner = dense[choice(len(dense), rng)].cpu() - self.cube // 2 + jitter
        return corner.clamp(min=0).minimum(room).tolist()


def _cut(volume: Tensor, corner: list[int], cube: int) -> Tensor:
    z, y, x = corner
    return volume[z : z + cube, y : y + cube, x : x + cube]


@dataclass(frozen=True)
class Consecutive(Sampler):
    """Items in order, each process of several taking its own part of every batch.

    Attributes:
        start: first batch, so that a resumed run goes on where it stopped.
        batches: how many batches.
        batch: items of a batch over all processes, a multiple of `world`.
        rank, world: this process, and how many there are.
        length: items there are, shuffled anew in each epoch; None for an endless stream.
        seed: fixes the shuffling.
    """

    start: int
    batches: int
    batch: int
    rank: int = 0
    world: int = 1
    length: int | None = None
    seed: int = 0

    def __iter__(self) -> Iterator[int]:
        """Item numbers."""
        share = self.batch // self.world
        epoch, order = -1, []
        for b in range(self.start, self.start + self.batches):
            for i in range(share):
                item = b * self.batch + self.rank * share + i
                if self.length is not None:
                    if item // self.length != epoch:
                        epoch = item // self.length
                        rng = Generator().manual_seed(self.seed * 1_000_003 + epoch)
                        order = torch.randperm(self.length, generator=rng).tolist()
                    item = order[item % self.length]
                yield item

    def __len__(self) -> int:
        return self.batches * (self.batch // self.world)


def join(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Items of (cubes, 1, n, n, n) to one batch."""
    return tuple(torch.cat(column) for column in zip(*items, strict=True))
