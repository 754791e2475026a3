"""A small made-up complex for the tests of trust: atoms, a noisy input map and a sharp result."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cryomap.atoms import AtomicModel, Residue
from cryomap.density import DensityMap
from cryomap.grid import Grid

RESOLUTION = 4.0
SIZE = 56
LIGAND = np.array([28.0, 28.0, 46.0])  # x, y, z, clear of the rest
FAR = np.array([8.0, 8.0, 8.0])


def chain(rng: np.random.Generator, steps: int = 240) -> np.ndarray:
    """Atoms (n, 3) 3.8 A apart or more that fill a ball about the middle of the box."""
    points = []
    while len(points) < steps:
        point = rng.uniform(12, 44, 3)
        clear = np.linalg.norm(point - LIGAND, axis=0) > 9 and np.linalg.norm(point - FAR) > 12
        if (
            clear
            and np.linalg.norm(point - 28) < 19
            and all(np.linalg.norm(point - p) > 3 for p in points[-80:])
        ):
            points.append(point)
    return np.array(points)


def ligand() -> np.ndarray:
    """Eight atoms about LIGAND."""
    offsets = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    return LIGAND + 1.1 * offsets


def density(atoms: np.ndarray, sigma: float, grid: Grid) -> np.ndarray:
    """Sum of Gaussians of unit mass and width sigma (A) on a grid without rotation."""
    shape = np.array(grid.shape)
    values = np.zeros(shape, np.float32)
    fine = grid.to_indices(atoms)[:, ::-1]
    low = np.floor(fine).astype(int)
    for corner in np.indices((2, 2, 2)).reshape(3, 8).T:
        weight = np.abs(1 - corner - (fine - low)).prod(axis=1)
        np.add.at(values, tuple((low + corner).T), weight)
    return ndimage.gaussian_filter(values, sigma / np.array(grid.step)[::-1], truncate=5)


def experiment(
    rng: np.random.Generator, atoms: np.ndarray, grid: Grid | None = None, noise: float = 0.03
) -> DensityMap:
    """What a microscope gives: atoms blurred to 4 A, and noise with the same blur."""
    grid = grid or Grid((SIZE,) * 3)
    signal = density(atoms, 1.3, grid)
    white = ndimage.gaussian_filter(rng.standard_normal(grid.shape), 0.9 / np.array(grid.step)[::-1])
    return DensityMap((signal + noise * signal.max() * white / white.std()).astype(np.float32), grid, "input")


def result(atoms: np.ndarray, grid: Grid | None = None) -> DensityMap:
    """What a network gives: narrow Gaussians, 0..1."""
    grid = grid or Grid((SIZE,) * 3)
    values = density(atoms, 0.85, grid)
    return DensityMap((values / values.max()).clip(0, 1), grid, "result")


def model(atoms: np.ndarray, ligand_atoms: np.ndarray) -> AtomicModel:
    """The chain as alanines, eight atoms each, and the ligand."""
    count, extra = len(atoms), len(ligand_atoms)
    owners = np.concatenate([np.arange(count) // 8, np.full(extra, count // 8 + 1)])
    residues = [Residue("A", i + 1, "", "ALA", "protein") for i in range(count // 8 + 1)]
    residues.append(Residue("B", 301, "", "HEM", "ligand"))
    total = count + extra
    return AtomicModel(
        positions=np.concatenate([atoms, ligand_atoms]),
        atomic_numbers=np.full(total, 6, np.uint8),
        b_factors=np.full(total, 30.0),
        occupancies=np.ones(total),
        atom_names=np.full(total, "C"),
        alt_locs=np.full(total, ""),
        residue_indices=owners.astype(np.int32),
        residues=tuple(residues),
    )
