"""Whole complexes with their ligands: atoms to an input map and to the result of a network that loses some."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from cryomap.atoms import AtomicModel, read_model
from cryomap.density import DensityMap
from cryomap.grid import Grid
from simulation import degrade, surroundings
from simulation.atoms_to_density import fourier_radius, structure_density, target_density
from simulation.randomness import chance, direction, rotation, smooth_field, uniform

MARGIN = 14.0  # A about the atoms
TARGET_SIGMA = 0.85  # A
FULL = 4.0  # a result of 1 has this many heights of a lone carbon
# More than in training maps: the figures of all versions are of the same maps.
LOCAL_B = (0.9, 0.5, 0.5)


@dataclass(frozen=True)
class Complex:
    """A complex as it lies in its box; voxels of 1 A, first voxel at 0.

    Attributes:
        model: heavy atoms without water, first conformations.
        shape: of the box (z, y, x).
        b_factors: (n,) of the simulated experiment, A^2.
        transfer: factor of the signal's Fourier coefficients, `rfftn` layout.
        resolution: in A.
        observed: the input map.
        extra: density without a model (detergent, blobs) before the transfer, float32 (z, y, x), or None.
        story: what was simulated.
    """

    model: AtomicModel
    shape: tuple[int, int, int]
    b_factors: np.ndarray
    transfer: np.ndarray
    resolution: float
    observed: DensityMap
    extra: np.ndarray | None
    story: str


def read_complex(path: str | os.PathLike, rng: Generator) -> tuple[AtomicModel, tuple[int, int, int]]:
    """The heavy atoms of an entry without water, turned at random and centred in a box."""
    model = read_model(path)
    keep = (model.atomic_numbers > 1) & (model.occupancies > 0) & (model.atom_kinds != "water")
    keep &= np.isin(model.alt_locs, ["", "A", "1"])
    model = model.subset(keep)
    positions = model.positions @ rotation(rng).numpy().T.astype(float)
    low, high = positions.min(axis=0) - MARGIN, positions.max(axis=0) + MARGIN
    size = (np.ceil((high - low) / 4) * 4).astype(int)
    return replace(model, positions=positions - low), tuple(map(int, size[::-1]))


def simulate(path: str | os.PathLike, resolution: float, rng: Generator) -> Complex:
    """An input map of a complex, as `training.experiment` degrades its crops: local B factors, solvent contrast, noise
    after a half-map FSC, sharpening, at times anisotropy, detergent or blobs, a zone mask or a soft mask.
    """
    model, shape = read_complex(path, rng)
    radius = fourier_radius(shape)
    positions, numbers = _zyx(model), torch.from_numpy(model.atomic_numbers)
    ranks = np.argsort(np.argsort(model.b_factors, kind="stable")) / max(1, len(model) - 1)
    b_mean = resolution**2 * uniform(3, 13, rng)
    b = degrade.local_b_factors(
        positions, torch.from_numpy(ranks).float(), b_mean, radius, shape, rng, LOCAL_B
    )
    signal = structure_density(positions, numbers, b, radius, shape)
    molecule = surroundings.near(positions, 2.5, radius, shape)
    story = [Path(path).name.split(".")[0], f"{resolution:.1f} A"]
    extra = _extra_density(signal, molecule, radius, shape, rng, story)
    if extra is not None:
        signal = signal + torch.fft.rfftn(extra)

    transfer = torch.ones_like(radius)
    if chance(0.7, rng):
        transfer = degrade.solvent_contrast(transfer, radius, rng)
    fsc = degrade.half_map_fsc(radius, resolution, uniform(5, 14, rng))
    filled = min(1.0, float(molecule.float().mean()) * uniform(2, 4, rng))
    noise = degrade.noise(signal * transfer, radius, fsc, filled, shape, rng)
    filters = degrade.sharpen(radius, fsc, resolution, b_mean, rng)
    if chance(0.2, rng):
        filters = filters * degrade.anisotropy(radius, shape, rng)
        story.append("anisotropic")
    observed = torch.fft.irfftn((signal * transfer + noise) * filters, s=shape)
    observed = _mask(observed, positions, radius, shape, rng, story)
    density = DensityMap(observed.numpy(), Grid(shape), story[0])
    transfer = (transfer * filters).numpy()
    extra = None if extra is None else extra.numpy()
    return Complex(model, shape, b.numpy(), transfer, resolution, density, extra, ", ".join(story))


def _extra_density(signal, molecule, radius, shape, rng: Generator, story: list[str]):
    level = float(torch.fft.irfftn(signal * (radius < 0.1), s=shape)[molecule].mean())
    if chance(0.12, rng):
        story.append("detergent")
        return surroundings.detergent(molecule, level, radius, shape, rng)
    if chance(0.2, rng):
        story.append("blobs")
        return surroundings.blobs(shape, level, rng, radius.device)
    return None


def _mask(observed, positions, radius, shape, rng: Generator, story: list[str]):
    if chance(0.25, rng):
        story.append("zone mask")
        observed = observed * surroundings.near(positions, uniform(3, 6, rng), radius, shape)
        if chance(0.4, rng):
            story.append("positive only")
            observed = observed.clamp(min=0)
    elif chance(0.25, rng):
        story.append("soft mask")
        wide = surroundings.near(positions, uniform(5, 12, rng), radius, shape)
        observed = observed * surroundings.soft_edge(wide, uniform(2, 6, rng), radius)
    return observed


def signal_of(complex_: Complex, chosen: np.ndarray) -> np.ndarray:
    """The noiseless input density (z, y, x) of some atoms."""
    part = complex_.model.subset(chosen)
    factors = structure_density(
        _zyx(part),
        torch.from_numpy(part.atomic_numbers),
        torch.from_numpy(complex_.b_factors[chosen]),
        fourier_radius(complex_.shape),
        complex_.shape,
    )
    return torch.fft.irfftn(factors * torch.from_numpy(complex_.transfer), s=complex_.shape).numpy()


def extra_signal(complex_: Complex) -> np.ndarray:
    """The input density (z, y, x) of what has no model; needs `extra`."""
    factors = torch.fft.rfftn(torch.from_numpy(complex_.extra)) * torch.from_numpy(complex_.transfer)
    return torch.fft.irfftn(factors, s=complex_.shape).numpy()


def target_of(complex_: Complex, chosen: np.ndarray, occupancy: np.ndarray | None = None) -> np.ndarray:
    """What a network should give of some atoms, each with its occupancy, float32 (z, y, x); not yet clipped to 1."""
    part = complex_.model.subset(chosen)
    weights = torch.from_numpy(part.atomic_numbers).float()
    if occupancy is not None:
        weights = weights * torch.from_numpy(occupancy[chosen]).float()
    radius = fourier_radius(complex_.shape)
    return target_density(_zyx(part), weights, TARGET_SIGMA, radius, complex_.shape).numpy() / FULL


def losing_network(complex_: Complex, occupancy: np.ndarray, blobs: np.ndarray, rng: Generator) -> DensityMap:
    """A result as a network gives it that loses and invents: the target of the atoms with occupancies (n,), faded where
    B factors are high, with a gain that varies over the map and errors that do not come from the structure,
    and lone carbon atoms at `blobs` (m, 3) that are in no input.
    """
    radius = fourier_radius(complex_.shape)
    relative = complex_.b_factors / complex_.b_factors.mean()
    faded = occupancy * np.exp(-uniform(0, 0.35, rng) * (relative - 1).clip(0))
    values = target_of(complex_, np.ones(len(occupancy), bool), faded)
    gain = 1 + uniform(0.05, 0.25, rng) * smooth_field(radius, complex_.shape, uniform(8, 25, rng), rng)
    texture = uniform(0.02, 0.12, rng) * smooth_field(radius, complex_.shape, uniform(1.5, 3, rng), rng)
    values = values * gain.clamp(0.3, 2).numpy() * (1 + texture.numpy())
    if len(blobs):
        weights = torch.full((len(blobs),), 6.0)
        where = torch.from_numpy(blobs[:, ::-1].copy()).float()
        values = values + target_density(where, weights, TARGET_SIGMA, radius, complex_.shape).numpy() / FULL
    return DensityMap(values.clip(0, 1).astype(np.float32), Grid(complex_.shape), "losing network")


def invented_blob(complex_: Complex, atoms: int, rng: Generator) -> np.ndarray | None:
    """Atoms (n, 3) of a compact blob where nothing is within 6 A of any of them; None where there is no room."""
    model, size = complex_.model, np.array(complex_.shape[::-1])
    for _ in range(200):
        atom = model.positions[int(torch.randint(len(model), (), generator=rng))]
        center = atom + direction(rng).numpy() * uniform(8, 11, rng)
        cloud = center + 1.6 * torch.randn(atoms, 3, generator=rng).numpy()
        apart = np.linalg.norm(model.positions[:, None] - cloud, axis=2).min() if len(model) < 30000 else 0
        if apart > 5 and (cloud > 4).all() and (cloud < size - 4).all():
            return cloud
    return None


def _zyx(model: AtomicModel) -> torch.Tensor:
    return torch.from_numpy(model.positions[:, ::-1].copy()).float()
