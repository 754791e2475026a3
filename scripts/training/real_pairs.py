"""A real map as a pair to learn from: the target that its model makes, and where that target is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cryomap.enhancement.normalize import normalize
from pairs.entries import Entry
from simulation import surroundings
from simulation.box import Box
from simulation.experiment import scaled, target_of
from simulation.settings import Settings

from .real_maps import LaidOut, laid_out

NEAR = 4.5  # A about the model where a masked map's target is known
# Of a map with solvent: less about the model, since unmodelled neighbours may begin there; and what is far from it.
NEAR_IN_SOLVENT, FAR = 3.0, 8.0
LEFT_OUT = 2.0  # A about atoms that the target leaves out: nothing is known there
EMPTY = 0.005  # of the map's deviation: what is within that of 0 was masked away
MASKED = 0.3  # a map is masked where so much of it is empty


@dataclass(frozen=True)
class RealPair:
    """A map on its 1 A grid, beside its target; all (z, y, x).

    Attributes:
        name: of the entry.
        resolution: in A.
        raw: as deposited.
        observed: normalised.
        target: 0..1.
        dense: (n, 3), voxels where the target is high.
        known: bool, where the target is known: there the loss counts.
        empty: bool, what a mask took away; nothing of a map that has its solvent.
        atoms: (n, 3), positions of the model's atoms, z, y, x in voxels.
        filled: share of the box that the molecule fills.
        weight: how often cubes are drawn from it.
    """

    name: str
    resolution: float
    raw: Tensor
    observed: Tensor
    target: Tensor
    dense: Tensor
    known: Tensor
    empty: Tensor
    atoms: Tensor
    filled: float
    weight: float

    @property
    def box(self) -> Box:
        """The map's."""
        return Box(tuple(self.raw.shape))


def real_pair(entry: Entry, settings: Settings, weight: float = 1.0) -> RealPair:
    """A pair of a map and a model.

    Args:
        entry: the files.
        settings: how targets are made and maps normalised.
        weight: of the map's specimen and model; large maps get more, by the root of the density in them.

    Raises:
        InputError: the map or the model can't be read, or one has nothing of the other in it.
    """
    m = laid_out(entry, settings)
    target = scaled(target_of(m.atoms, settings, m.box, entry.resolution), settings)
    empty = m.raw.abs() < EMPTY * m.raw.std()
    if float(empty.float().mean()) < MASKED:
        empty = torch.zeros_like(empty)
    known, filled = where_known(m, empty)
    dense = (target > 0.1).nonzero().to(torch.int16)
    observed = normalize(m.raw.clone(), settings.normalization)
    positions, chance = m.atoms.positions, weight * len(dense) ** 0.5
    return RealPair(
        entry.name, entry.resolution, m.raw, observed, target, dense, known, empty, positions, filled, chance
    )


def where_known(m: LaidOut, empty: Tensor) -> tuple[Tensor, float]:
    """Where the target is known (bool, z, y, x), and the share of the box that the molecule fills.

    It is known near the model, and where nothing is: what a mask took away, or solvent. Not in between, where there
    may be neighbours that nobody modelled; and not about atoms that the target leaves out, such as waters.
    """
    positions = m.atoms.positions
    if empty.any():
        known, filled = _near(positions, NEAR, m.box) | empty, ~empty
    else:
        smooth = smoothed(m.raw, 2.0)
        mean, deviation = smooth.mean(), smooth.std()
        solvent = (smooth < mean + 0.5 * deviation) & ~_near(positions, FAR, m.box)
        close = _near(positions, NEAR_IN_SOLVENT, m.box)
        known, filled = close | solvent, close | (smooth > mean + deviation)
    if len(m.left_out):
        known = known & ~_near(m.left_out, LEFT_OUT, m.box)
    return known, max(0.03, float(filled.float().mean()))


def _near(positions: Tensor, distance: float, box: Box) -> Tensor:
    return surroundings.near(positions, distance, box, periodic=False)


def smoothed(values: Tensor, sigma: float) -> Tensor:
    """Values (z, y, x) after a Gaussian blur of `sigma` voxels; nothing comes round the box's edge."""
    with_edge, crop = padded(values, math.ceil(4 * sigma))
    box = Box(tuple(with_edge.shape))
    blur = torch.exp(-0.5 * (2 * math.pi * sigma * box.frequencies) ** 2)
    return box.real(box.fourier(with_edge) * blur)[crop]


def padded(values: Tensor, edge: int) -> tuple[Tensor, tuple[slice, ...]]:
    """Values (z, y, x) with `edge` voxels of their outermost ones about them, and what cuts them out again."""
    wide = functional.pad(values[None, None], (edge,) * 6, mode="replicate")[0, 0]
    return wide, tuple(slice(edge, edge + n) for n in values.shape)


def real_pairs(entries: Sequence[Entry], settings: Settings) -> list[RealPair]:
    """Pairs of maps; those of one specimen share its weight, and models that were only docked count half."""
    maps_of = Counter(entry.specimen for entry in entries)
    return [
        real_pair(entry, settings, (1.0 if entry.deposited else 0.5) / maps_of[entry.specimen])
        for entry in entries
    ]
