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
from simulation.atoms_to_density import structure_density, target_density
from simulation.box import Box
from simulation.randomness import direction, rotation, smooth_field, uniform
from simulation.settings import Settings
from simulation.steps import STEPS, Making
from simulation.structures import first_conformations, structure_of

MARGIN = 14.0  # A about the atoms
TARGET_SIGMA = 0.85  # A
FULL = 4.0  # a result of 1 has this many heights of a lone carbon
# B factors vary more than in training maps: the figures of all versions are of the same maps.
SETTINGS = Settings(
    mean_b=(3.0, 13.0),
    local_b=(0.9, 0.5, 0.5),
    overstated=None,
    unexplained=None,
    zone=0.25,
    waters_until=3.5,
)
LEFT_OUT = ("residues of their own", "weak side chains", "displaced ice", "unexplained", "coarse voxels")


@dataclass(frozen=True)
class Complex:
    """A complex as it lies in its box; voxels of 1 A, first voxel at 0.

    Attributes:
        model: heavy atoms, first conformations; waters where the map may show them.
        shape: of the box (z, y, x).
        b_factors: (n,) of the simulated experiment, A^2.
        transfer: factor of the signal's Fourier coefficients, `rfftn` layout.
        resolution: in A.
        observed: the input map.
        extra: density without a model (detergent, blobs) before the transfer, float32 (z, y, x), or None.
        mask: 0..1, float32 (z, y, x), what was left of the input; None for all.
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
    mask: np.ndarray | None = None

    @property
    def box(self) -> Box:
        """Of voxels of 1 A."""
        return Box(self.shape)


def read_complex(
    path: str | os.PathLike, rng: Generator, waters: bool = False
) -> tuple[AtomicModel, tuple[int, int, int]]:
    """The heavy atoms of an entry, turned at random and centred in a box."""
    model, _ = first_conformations(read_model(path), waters)
    positions = model.positions @ rotation(rng).numpy().T.astype(float)
    low, high = positions.min(axis=0) - MARGIN, positions.max(axis=0) + MARGIN
    size = (np.ceil((high - low) / 4) * 4).astype(int)
    return replace(model, positions=positions - low), tuple(map(int, size[::-1]))


def simulate(path: str | os.PathLike, resolution: float, rng: Generator) -> Complex:
    """An input map of a complex, by the steps of the training maps but for those `LEFT_OUT`."""
    model, shape = read_complex(path, rng, resolution <= SETTINGS.waters_until)
    name = Path(path).name.split(".")[0]
    atoms = replace(structure_of(model, name), positions=_zyx(model))
    m = Making(atoms, Box(shape), resolution, story=(name, f"{resolution:.1f} A"))
    for step_name, step in STEPS.items():
        if step_name in LEFT_OUT or (step_name == "blobs" and m.extra is not None):  # one of the two at most
            continue
        m = step(m, SETTINGS, rng)
    density = DensityMap(m.density().numpy(), Grid(shape), name)
    extra = None if m.extra is None else m.extra.numpy()
    mask = None if m.mask is None else m.mask.numpy()
    b = m.b_factors.numpy()
    return Complex(model, shape, b, m.transfer.numpy(), resolution, density, extra, ", ".join(m.story), mask)


def without(complex_: Complex, chosen: np.ndarray) -> DensityMap:
    """The input map less the signal of some atoms, noise and all else as it was."""
    signal = signal_of(complex_, chosen)
    if complex_.mask is not None:
        signal *= complex_.mask
    values = complex_.observed.values - signal
    if not (complex_.observed.values < 0).any():  # "positive only"
        values = values.clip(0)
    return replace(complex_.observed, values=values)


def signal_of(complex_: Complex, chosen: np.ndarray) -> np.ndarray:
    """The noiseless input density (z, y, x) of some atoms."""
    part = complex_.model.subset(chosen)
    factors = structure_density(
        _zyx(part),
        torch.from_numpy(part.atomic_numbers),
        torch.from_numpy(complex_.b_factors[chosen]),
        complex_.box,
    )
    return complex_.box.real(factors * torch.from_numpy(complex_.transfer)).numpy()


def extra_signal(complex_: Complex) -> np.ndarray:
    """The input density (z, y, x) of what has no model; needs `extra`."""
    factors = complex_.box.fourier(torch.from_numpy(complex_.extra)) * torch.from_numpy(complex_.transfer)
    return complex_.box.real(factors).numpy()


def target_of(complex_: Complex, chosen: np.ndarray, occupancy: np.ndarray | None = None) -> np.ndarray:
    """What a network should give of some atoms, each with its occupancy, float32 (z, y, x); not yet clipped to 1."""
    part = complex_.model.subset(chosen)
    weights = torch.from_numpy(part.atomic_numbers).float()
    if occupancy is not None:
        weights = weights * torch.from_numpy(occupancy[chosen]).float()
    return target_density(_zyx(part), weights, TARGET_SIGMA, complex_.box).numpy() / FULL


def losing_network(complex_: Complex, occupancy: np.ndarray, blobs: np.ndarray, rng: Generator) -> DensityMap:
    """A result as a network gives it that loses and invents: the target of the atoms with occupancies (n,), faded where
    B factors are high, with a gain that varies over the map and errors that do not come from the structure,
    and lone carbon atoms at `blobs` (m, 3) that are in no input.
    """
    box = complex_.box
    relative = complex_.b_factors / complex_.b_factors.mean()
    faded = occupancy * np.exp(-uniform(0, 0.35, rng) * (relative - 1).clip(0))
    values = target_of(complex_, np.ones(len(occupancy), bool), faded)
    gain = 1 + uniform(0.05, 0.25, rng) * smooth_field(box, uniform(8, 25, rng), rng)
    texture = uniform(0.02, 0.12, rng) * smooth_field(box, uniform(1.5, 3, rng), rng)
    values = values * gain.clamp(0.3, 2).numpy() * (1 + texture.numpy())
    if len(blobs):
        weights = torch.full((len(blobs),), 6.0)
        where = torch.from_numpy(blobs[:, ::-1].copy()).float()
        values = values + target_density(where, weights, TARGET_SIGMA, box).numpy() / FULL
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
