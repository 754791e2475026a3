"""What lies in the box: a part of a structure, its neighbours, ions beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from . import ions, surroundings
from .box import Box
from .randomness import chance, choice, rotation
from .settings import Settings
from .structures import POLYMERS, WATER, Structure, join


def scene(
    structures: Sequence[Structure], settings: Settings, box: Box, rng: Generator
) -> tuple[Structure, Tensor, bool]:
    """A random part of a random structure and what is beside it.

    A structure is drawn with a chance that grows with its size (large ones hold more different parts).

    Returns:
        The atoms in the box and about its edges (positions z, y, x in A from its first voxel); which of them (n,)
        a zone mask is cut out about; whether one is.
    """
    sizes = torch.tensor([min(len(s), 40000) for s in structures]).sqrt()
    s = structures[int(torch.multinomial(sizes, 1, generator=rng))]
    turn = rotation(rng)
    positions = s.positions @ turn.T
    atom = middle_atom(s, settings, rng)
    jitter = (torch.rand(3, generator=rng) - 0.5) * settings.box * 0.5
    shift = settings.box / 2 - positions[atom] + jitter
    positions = positions + shift
    parts = [replace(s, positions=positions)]
    neighbours = 1 + choice(3, rng) if chance(settings.neighbour, rng) else 0
    for _ in range(neighbours):
        other = structures[choice(len(structures), rng)]
        moved = surroundings.beside(positions, other.positions @ rotation(rng).T, rng)
        parts.append(replace(other, positions=moved))
    if chance(settings.ions, rng):
        parts.append(ions.coordinated(parts[0], 1 + choice(12, rng), settings.box, rng))
    atoms = join([part for part in parts if len(part)])
    inside = box.holds(atoms.positions, 6)
    zoned = chance(settings.zone, rng)
    zone = torch.ones(len(atoms), dtype=torch.bool)
    if zoned:
        zone = zone_of(atoms, int(s.chains[atom]))
    return atoms.chosen(inside, box.device), zone[inside].to(box.device), zoned


def middle_atom(s: Structure, settings: Settings, rng: Generator) -> int:
    """The atom that the box lies about."""
    if chance(settings.ligand_fraction, rng):
        polymer = _is_polymer(s.kinds)
        # One in a chain of its own would have no zone but itself.
        small = ~polymer & (s.kinds != WATER) & torch.isin(s.chains, s.chains[polymer])
        small = small.nonzero()[:, 0]
        if len(small):
            return int(small[choice(len(small), rng)])
    return choice(len(s), rng)


def zone_of(atoms: Structure, chain: int) -> Tensor:
    """One chain (n,), and whatever isn't polymer within 4 A of it: a ligand belongs to the protein that binds it."""
    polymer = _is_polymer(atoms.kinds)
    mine = (atoms.chains == chain) & polymer
    if not mine.any():
        return atoms.chains == chain
    loose = (~polymer).nonzero()[:, 0]
    if len(loose):
        nearest = torch.cdist(atoms.positions[loose], atoms.positions[mine]).amin(dim=1)
        mine[loose[nearest < 4]] = True
    return mine


def _is_polymer(kinds: Tensor) -> Tensor:
    return torch.isin(kinds, torch.tensor(POLYMERS, dtype=kinds.dtype))
