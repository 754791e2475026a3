"""The endless stream of cubes of real maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from pairs.embeddings import Embeddings
from simulation.randomness import chance, choice, rotation, uniform
from simulation.settings import Settings

from .prepared_cubes import turned
from .real_pairs import RealPair
from .recipe import RealMaps
from .stream import Item, of_item
from .versions import changes_maps, room_to_turn, turned_freely, version, with_b_factor

REUSE = 7  # about so many cubes come from one version of a map


@dataclass(frozen=True)
class RealCubes(Dataset):
    """Item i: cubes about some density of maps drawn by their weights, each changed at random, see `stream`.

    Attributes:
        pairs: the maps.
        settings: of targets and normalisation.
        how: of the changes.
        cube: edge of a cube in voxels.
        per_item: cubes of an item, each of a map of its own.
        seed: with i, fixes them.
        embeddings: of the maps' models, by name.
    """

    pairs: Sequence[RealPair]
    settings: Settings
    how: RealMaps
    cube: int
    per_item: int = 1
    seed: int = 0
    embeddings: Embeddings | None = None
    _versions: dict = field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, index: int) -> Item:
        """Item `index`."""
        cubes = [self._cube(index * self.per_item + i) for i in range(self.per_item)]
        return tuple(torch.stack(column) for column in zip(*cubes, strict=True))

    def _cube(self, position: int) -> Item:
        rng = of_item(self.seed, position)
        weights = torch.tensor([pair.weight for pair in self.pairs])
        number = int(torch.multinomial(weights, 1, generator=rng))
        pair = self.pairs[number]
        observed, known = self._version(number, position // (REUSE * len(self.pairs)))
        corner = self._corner(pair, rng)
        volumes = [observed, pair.target, known.float()]
        if chance(self.how.free_rotation, rng):
            size = room_to_turn(self.cube)
            start = [c - (size - self.cube) // 2 for c in corner]
            cubes = turned_freely([cut_padded(v, start, size) for v in volumes], rotation(rng), self.cube)
            cubes[2] = (cubes[2] > 0.999).float()
        else:
            orientation = choice(24, rng)
            cubes = [turned(cut_padded(v, corner, self.cube)[None], orientation)[0] for v in volumes]
        if chance(self.how.b_share, rng):
            cubes[0] = with_b_factor(cubes[0], uniform(*self.how.b_factor, rng))
        item = tuple(c[None] for c in cubes)
        return item if self.embeddings is None else (*item, self.embeddings[pair.name])

    def _corner(self, pair: RealPair, rng: Generator) -> list[int]:
        jitter = torch.tensor([choice(self.cube // 2 + 1, rng) for _ in range(3)]) - self.cube // 4
        corner = pair.dense[choice(len(pair.dense), rng)] - self.cube // 2 + jitter
        room = (torch.tensor(pair.target.shape) - self.cube).clamp(min=0)
        return corner.clamp(min=0).minimum(room).tolist()

    def _version(self, number: int, count: int) -> tuple[Tensor, Tensor]:
        pair = self.pairs[number]
        if not changes_maps(self.how):
            return pair.observed, pair.known
        if self._versions.get(number, (None,))[0] != count:
            rng = of_item(self.seed + 1 + number, count)
            self._versions[number] = (count, *version(pair, self.settings, self.how, rng))
        return self._versions[number][1:]


def cut_padded(volume: Tensor, corner: Sequence[int], cube: int) -> Tensor:
    """A cube of a volume (z, y, x), 0 where it reaches outside."""
    slices, pads = [], []
    for start, n in zip(corner, volume.shape, strict=True):
        low, high = min(max(start, 0), n), min(max(start + cube, 0), n)
        slices.append(slice(low, high))
        pads.insert(0, (low - start, start + cube - high))
    return functional.pad(volume[tuple(slices)], [n for pair in pads for n in pair])
