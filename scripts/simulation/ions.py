"""Lone ions where polar atoms could hold them: entries have too few for a network to learn that they aren't noise."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from cryomap.atoms import KINDS

from .randomness import choice, uniform
from .structures import Structure

HOLDING = (7, 8, 16)
# Na, Mg, K, Ca, Mn, Zn
ELEMENTS = (11, 12, 19, 20, 25, 30)


def coordinated(structure: Structure, count: int, box: int, rng: Generator) -> Structure:
    """Up to `count` ions of random elements, 2 to 2.5 A from a polar atom and 1.9 A or more from all others.

    Args:
        structure: with atoms z, y, x in A from the first voxel of the box.
        count: how many.
        box: its edge in A; ions lie within.

    Returns:
        The ions alone, none where there is no place.
    """
    places = _places(structure, count, box, rng)
    n = len(places)
    numbers = [ELEMENTS[choice(len(ELEMENTS), rng)] for _ in range(n)]
    each = torch.arange(n, dtype=torch.int32)
    none = torch.zeros(n, dtype=torch.uint8)
    kinds = torch.full((n,), KINDS.index("ion"), dtype=torch.uint8)
    numbers = torch.tensor(numbers, dtype=torch.uint8)
    ranks = torch.rand(n, generator=rng)
    return Structure(structure.pdb_id, places, numbers, ranks, kinds, each, each, none, none)


def _places(structure: Structure, count: int, box: int, rng: Generator) -> Tensor:
    positions = structure.positions
    inside = ((positions > 3) & (positions < box - 4)).all(dim=1)
    polar = inside & torch.isin(structure.atomic_numbers, torch.tensor(HOLDING, dtype=torch.uint8))
    holders = polar.nonzero()[:, 0]
    if not len(holders):
        return positions[:0]
    near = positions[((positions > -8) & (positions < box + 8)).all(dim=1)]
    found = []
    for _ in range(4 * count):
        if len(found) == count:
            break
        holder = positions[holders[choice(len(holders), rng)]]
        about = near[(near - holder).norm(dim=1) < 6]
        # Outward, as far as there is an outward, so that it is rarely in another atom's place.
        away = functional.normalize(holder - about.mean(dim=0) + torch.randn(3, generator=rng), dim=0)
        place = holder + uniform(2.0, 2.5, rng) * away
        taken = torch.cat([near, *(p[None] for p in found)])
        if float((taken - place).norm(dim=1).min()) >= 1.9:
            found.append(place)
    return torch.stack(found) if found else positions[:0]
