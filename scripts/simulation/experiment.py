"""A simulated experiment: from the atoms of a structure to a map as a microscope gives it, and the target beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor

from cryomap.enhancement.normalize import normalize

from . import degrade, ions, side_chains, surroundings
from .atoms_to_density import (
    displaced_volumes,
    fourier_radius,
    scattering_weights,
    structure_density,
    target_density,
)
from .randomness import chance, choice, rotation, uniform
from .structures import POLYMERS, Structure, join

WEIGHTS = {"number": Tensor.float, "scattering": scattering_weights}


@dataclass(frozen=True)
class Settings:
    """What is simulated.

    Attributes:
        resolution: lowest and highest resolution (A), drawn evenly.
        target_sigma: width (A) of the target's Gaussians.
        target_weights: of the target's atoms, a key of `WEIGHTS`: "number", their atomic numbers, or "scattering", see
            `scattering_weights`.
        target_finest: finest detail (A) of the target, see `target_density`.
        box: edge of the simulated box in voxels of 1 A.
        normalization: of the input, see `normalize`.
        target_scale: target densities are divided by this many heights of a lone carbon, then clipped to 1.
        small: probability that the box lies about a ligand, ion, lipid or glycan, where the structure has any.
        side_chains: probability that side chains and negative charges show less, see `side_chains`.
        overstated: up to so many times coarser than stated the true resolution is; at the finest and at the
            coarsest resolution, evenly between.
        unexplained: highest amount, see `degrade.unexplained`, likewise; drawn from 0 on, evenly.
        zone, soft_mask, neighbour, ions, detergent, blobs, anisotropic, coarse, solvent: probabilities of each; one
            to three neighbours at a time, one to twelve ions.
    """

    resolution: tuple[float, float] = (3.0, 6.0)
    target_sigma: float = 0.866
    target_weights: str = "number"
    target_finest: float = 0.0
    box: int = 96
    normalization: Mapping[str, Any] = field(default_factory=lambda: {"name": "moments"})
    target_scale: float = 4.0
    small: float = 0.0
    side_chains: float = 0.9
    overstated: tuple[float, float] = (1.25, 1.25)
    unexplained: tuple[float, float] = (0.7, 0.7)
    zone: float = 0.4
    soft_mask: float = 0.25
    neighbour: float = 0.4
    ions: float = 0.3
    detergent: float = 0.12
    blobs: float = 0.2
    anisotropic: float = 0.2
    coarse: float = 0.25
    solvent: float = 0.7

    def __post_init__(self) -> None:
        if self.target_weights not in WEIGHTS:
            raise ValueError(f"target_weights {self.target_weights!r}: not one of {', '.join(WEIGHTS)}")

    def at(self, resolution: float, ends: tuple[float, float]) -> float:
        """A setting at a resolution (A), of its values at the finest and the coarsest one."""
        low, high = self.resolution
        share = min(max((resolution - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        return ends[0] + share * (ends[1] - ends[0])


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
    """One experiment on a random part of a random structure.

    A structure is drawn with a chance that grows with its size (large ones hold more different parts).
    """
    sizes = torch.tensor([min(len(s), 40000) for s in structures]).sqrt()
    scene = _scene(structures, int(torch.multinomial(sizes, 1, generator=rng)), settings, rng, device)
    atoms = scene.atoms
    shape = (settings.box,) * 3
    radius = fourier_radius(shape, device)
    low, high = settings.resolution
    resolution = uniform(low, high, rng)
    story = [f"{atoms.pdb_id} {resolution:.1f} A"]

    b_mean = resolution**2 * uniform(4, 14, rng)
    signal = _signal(atoms, b_mean, settings, radius, shape, rng)
    molecule = surroundings.near(atoms.positions, 2.5, radius, shape)
    filled = float(molecule.float().mean())
    signal = _add_disorder(signal, molecule, settings, radius, shape, rng, story)
    if chance(settings.solvent, rng):
        signal = degrade.solvent_contrast(signal, radius, rng)

    # What a paper states is rarely too cautious.
    true = resolution * uniform(0.97, settings.at(resolution, settings.overstated), rng)
    fsc = degrade.half_map_fsc(radius, true, uniform(5, 14, rng))
    masked = min(1.0, max(0.05, filled * uniform(2, 4, rng)))
    amount = uniform(0, settings.at(resolution, settings.unexplained), rng)
    observed = signal + degrade.noise(signal, radius, fsc, masked, shape, rng)
    observed = observed + degrade.unexplained(signal, molecule, radius, amount, shape, rng)
    observed = observed * degrade.sharpen(radius, fsc, resolution, b_mean, rng)
    if chance(settings.anisotropic, rng):
        observed = observed * degrade.anisotropy(radius, shape, rng)
        story.append("anisotropic")
    observed = torch.fft.irfftn(observed, s=shape)

    target = target_of(atoms, settings, radius, shape)
    mask = _mask(scene, settings, radius, shape, rng, story)
    if mask is not None:
        # What the mask leaves of a neighbour is real density, and stays in the target.
        observed, target = observed * mask, target * mask
        if scene.zoned and chance(0.4, rng):
            observed = observed.clamp(min=0)
            story.append("positive only")
    if chance(settings.coarse, rng):
        observed = degrade.coarse_voxels(observed, resolution, rng)
        story.append("coarse voxels")
    observed = normalize(observed * uniform(0.8, 1.25, rng), settings.normalization)
    target = (target / settings.target_scale).clamp(max=1)
    return Experiment(observed, target, resolution, ", ".join(story), atoms.chosen(scene.zone, device))


def target_of(atoms: Structure, settings: Settings, radius: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The target (z, y, x) of atoms (positions z, y, x in voxels), before it is scaled, see `target_density`."""
    weights = WEIGHTS[settings.target_weights](atoms.atomic_numbers)
    return target_density(
        atoms.positions, weights, settings.target_sigma, radius, shape, settings.target_finest
    )


@dataclass(frozen=True)
class Scene:
    """Atoms in the box (positions z, y, x); where the map is zoned, `zone` (n,) says about which of them."""

    atoms: Structure
    zone: Tensor
    zoned: bool


def _scene(
    structures: Sequence[Structure],
    index: int,
    settings: Settings,
    rng: Generator,
    device: torch.device | str,
) -> Scene:
    s = structures[index]
    turn = rotation(rng)
    positions = s.positions @ turn.T
    atom = _middle(s, settings, rng)
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
    inside = ((atoms.positions > -6) & (atoms.positions < settings.box + 5)).all(dim=1)
    zoned = chance(settings.zone, rng)
    zone = torch.ones(len(atoms), dtype=torch.bool)
    if zoned:
        zone = _zone_selection(atoms.positions, atoms.kinds, atoms.chains, int(s.chains[atom]))
    return Scene(atoms.chosen(inside, device), zone[inside].to(device), zoned)


def _middle(s: Structure, settings: Settings, rng: Generator) -> int:
    """The atom that the box lies about."""
    if chance(settings.small, rng):
        polymer = _is_polymer(s.kinds)
        # One in a chain of its own would have no zone but itself.
        small = (~polymer & torch.isin(s.chains, s.chains[polymer])).nonzero()[:, 0]
        if len(small):
            return int(small[choice(len(small), rng)])
    return choice(len(s), rng)


def _is_polymer(kinds: Tensor) -> Tensor:
    return torch.isin(kinds, torch.tensor(POLYMERS, dtype=kinds.dtype))


def _zone_selection(positions: Tensor, kinds: Tensor, chains: Tensor, chain: int) -> Tensor:
    """One chain, and whatever isn't polymer within 4 A of it: a ligand belongs to the protein that binds it."""
    polymer = _is_polymer(kinds)
    mine = (chains == chain) & polymer
    if not mine.any():
        return chains == chain
    loose = (~polymer).nonzero()[:, 0]
    if len(loose):
        nearest = torch.cdist(positions[loose], positions[mine]).amin(dim=1)
        mine[loose[nearest < 4]] = True
    return mine


def _signal(
    atoms: Structure, b_mean: float, settings: Settings, radius: Tensor, shape: tuple, rng: Generator
) -> Tensor:
    """Coefficients of the atoms' density, as far as it would show without noise."""
    b = degrade.local_b_factors(atoms.positions, atoms.b_ranks, b_mean, radius, shape, rng)
    shown = side_chains.strengths(atoms.residues, rng)
    if chance(settings.side_chains, rng):
        b = b + side_chains.motion(atoms.depths, atoms.residues, atoms.b_ranks, b_mean, rng)
        shown = shown * side_chains.occupancies(atoms.depths, atoms.charges, atoms.residues, rng)
    # Real maps show side chains from 10 to 5 A as if atoms displaced more ice than their volumes hold.
    displaced = uniform(1.0, 1.8, rng) * displaced_volumes(atoms.atomic_numbers, atoms.depths)
    return structure_density(atoms.positions, atoms.atomic_numbers, b, radius, shape, shown, displaced)


def _add_disorder(
    signal: Tensor,
    molecule: Tensor,
    settings: Settings,
    radius: Tensor,
    shape: tuple,
    rng: Generator,
    story: list,
) -> Tensor:
    level = (
        float(torch.fft.irfftn(signal * (radius < 0.1), s=shape)[molecule].mean()) if molecule.any() else 0
    )
    extra = None
    if chance(settings.detergent, rng):
        extra = surroundings.detergent(molecule, level, radius, shape, rng)
        story.append("detergent")
    if chance(settings.blobs, rng):
        blobs = surroundings.blobs(shape, level, rng, radius.device)
        extra = blobs if extra is None else extra + blobs
        story.append("blobs")
    return signal if extra is None else signal + torch.fft.rfftn(extra)


def _mask(
    scene: Scene, settings: Settings, radius: Tensor, shape: tuple, rng: Generator, story: list
) -> Tensor | None:
    """What is left of the box, 0..1, or None: a chain's zone as people cut it out, or a mask about everything."""
    if scene.zoned and scene.zone.any():
        story.append("zone mask")
        return surroundings.near(scene.atoms.positions[scene.zone], uniform(3, 6, rng), radius, shape).float()
    if chance(settings.soft_mask, rng):
        story.append("soft mask")
        wide = surroundings.near(scene.atoms.positions, uniform(5, 12, rng), radius, shape)
        return surroundings.soft_edge(wide, uniform(2, 6, rng), radius)
    return None
