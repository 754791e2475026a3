"""A simulated experiment: from the atoms of a structure to a map as a microscope gives it, and the target beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from cryomap.enhancement.normalize import normalize

from .atoms_to_density import target_density
from .box import Box
from .randomness import uniform
from .scene import scene
from .settings import WEIGHTS, Settings
from .steps import STEPS, Making
from .structures import WATER, Structure


@dataclass(frozen=True)
class Experiment:
    """A pair to learn from, both float32 (z, y, x).

    Attributes:
        observed: the map, normalised.
        target: what the network should give, 0..1.
        resolution: in A.
        story: what was done, for the contact sheet.
        atoms: what the map shows (positions z, y, x in voxels); of a zoned map, its zone.
    """

    observed: Tensor
    target: Tensor
    resolution: float
    story: str
    atoms: Structure


def simulate(
    structures: Sequence[Structure], settings: Settings, rng: Generator, device: torch.device | str = "cpu"
) -> Experiment:
    """One experiment on a random part of a random structure."""
    box = Box((settings.box,) * 3, device)
    atoms, zone, zoned = scene(structures, settings, box, rng)
    resolution = uniform(*settings.resolution, rng)
    if resolution > settings.waters_until:
        seen = atoms.kinds != WATER
        atoms, zone = atoms.chosen(seen, device), zone[seen]
    m = Making(atoms, box, resolution, zoned, zone, (f"{atoms.pdb_id} {resolution:.1f} A",))
    for step in STEPS.values():
        m = step(m, settings, rng)
    observed = normalize(m.density() * uniform(0.8, 1.25, rng), settings.normalization)
    target = target_of(atoms, settings, box, resolution)
    if m.mask is not None:
        target = target * m.mask  # what the mask leaves of a neighbour is real density
    return Experiment(
        observed, scaled(target, settings), resolution, ", ".join(m.story), atoms.chosen(zone, device)
    )


def target_of(atoms: Structure, settings: Settings, box: Box, resolution: float) -> Tensor:
    """The target (z, y, x) of atoms (positions z, y, x in voxels) of a map of that resolution (A), not yet `scaled`.

    This makes the targets of simulated and of real maps alike, see `target_density`.
    """
    weights = WEIGHTS[settings.target_weights](atoms.atomic_numbers)
    sigma = settings.sigma_at(resolution)
    return target_density(atoms.positions, weights, sigma, box, settings.target_low_pass)


def scaled(target: Tensor, settings: Settings) -> Tensor:
    """A target from 0 to 1: in heights of a lone carbon, or normalised as the input is."""
    if settings.target_scale:
        return (target / settings.target_scale).clamp(max=1)
    return normalize(target, settings.normalization)
