"""What else is in the box: neighbours, detergent, unmodelled blobs; and what masks leave of it."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from .atoms_to_density import spread
from .box import Box
from .randomness import direction, smooth_field, uniform


def beside(positions: Tensor, neighbour: Tensor, rng: Generator) -> Tensor:
    """Move a neighbour's atoms so that it touches the structure in a random direction, 2 to 5 A apart.

    Both (n, 3) in A.
    """
    u = direction(rng).to(positions.device)
    centre, other = positions.mean(dim=0), neighbour.mean(dim=0)
    moved = neighbour - other + centre
    gap = (positions @ u).max() - (moved @ u).min() + uniform(2, 5, rng)
    return moved + u * gap


def near(positions: Tensor, distance: float, box: Box, periodic: bool = True) -> Tensor:
    """Boolean (z, y, x): voxels within `distance` (A) of an atom, as a zone mask cuts them out.

    Atoms are rounded to voxels; the ball's volume is right, its surface to half a voxel. In a periodic box what is
    near one face's atoms comes round to the other's.
    """
    if not periodic:
        edge = int(distance) + 2
        wide = Box(tuple(n + 2 * edge for n in box.shape), box.device)
        return near(positions + edge, distance, wide)[tuple(slice(edge, edge + n) for n in box.shape)]
    size = torch.tensor(box.shape, device=positions.device)
    index = positions.round().long()
    index = index[((index >= 0) & (index < size)).all(dim=1)]
    occupied = torch.zeros(box.shape, device=positions.device)
    occupied[index[:, 0], index[:, 1], index[:, 2]] = 1
    return box.real(box.fourier(occupied) * box.fourier(_ball(distance, box))) > 0.5


def _ball(radius: float, box: Box) -> Tensor:
    """1 within `radius` A of the first voxel of a periodic box."""
    z, y, x = (torch.fft.fftfreq(n, 1 / n, device=box.device) for n in box.shape)
    squared = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    return (squared <= radius**2).float()


def soft_edge(mask: Tensor, width: float, box: Box) -> Tensor:
    """A boolean mask with an edge that falls from 1 to 0 over about `width` A (a Gaussian)."""
    blur = torch.exp(-0.5 * (math.pi * width * box.frequencies) ** 2)
    return box.real(box.fourier(mask.float()) * blur).clamp(0, 1)


def detergent(molecule: Tensor, level: float, box: Box, rng: Generator) -> Tensor:
    """Density (z, y, x) of a detergent belt or nanodisc: a slab 25 to 40 A thick around the molecule.

    Disordered, hence smooth and of about a third to two thirds of the protein's mean density, with a brighter
    rim on both faces where the head groups are.

    Args:
        molecule: boolean, voxels of the molecule.
        level: mean density of the molecule.
    """
    axis = direction(rng)
    z, y, x = (torch.arange(n, device=box.device) - n / 2 for n in box.shape)
    height = z[:, None, None] * axis[0] + y[None, :, None] * axis[1] + x[None, None, :] * axis[2]
    height = height - uniform(-15, 15, rng)
    half = uniform(12, 20, rng)
    slab = torch.sigmoid((half - height.abs()) / 1.5)
    rim = torch.exp(-0.5 * ((height.abs() - half + 3) / 3) ** 2)
    reach = soft_edge(molecule, uniform(14, 40, rng), box)
    texture = 1 + 0.35 * smooth_field(box, uniform(4, 9, rng), rng)
    density = level * uniform(0.25, 0.7, rng) * (slab * 0.7 + rim * uniform(0, 0.6, rng)) * texture
    return density * (reach > uniform(0.03, 0.12, rng)) * ~molecule


def blobs(level: float, box: Box, rng: Generator) -> Tensor:
    """Density (z, y, x) of a few disordered blobs 2 to 5 A wide, which no model explains."""
    n = 1 + int(uniform(0, 4, rng))
    positions = torch.rand(n, 3, generator=rng) * torch.tensor(box.shape)
    sigma = 2 + 3 * torch.rand(n, generator=rng)
    weights = level * (sigma * math.sqrt(2 * math.pi)) ** 3 * (0.2 + 0.6 * torch.rand(n, generator=rng))
    return spread(positions.to(box.device), weights.to(box.device), sigma.to(box.device), box)
