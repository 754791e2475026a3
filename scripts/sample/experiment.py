"""The sample as a simulated experiment shows it, by the steps that the training maps go through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.grid import Grid
from simulation.box import Box
from simulation.settings import Settings
from simulation.steps import STEPS, Making
from simulation.structures import structure_of

STEP = 1.0  # A, the voxels of simulated experiments
# Nothing but noise is left to chance.
SETTINGS = Settings(detergent=0, blobs=0, zone=0, soft_mask=0, anisotropic=0, coarse=0, solvent=1, side_chains=1)


def sample_grid(model: AtomicModel, padding: float = 16.0) -> Grid:
    """A box around the model, with that many A to spare."""
    low, high = model.positions.min(axis=0) - padding, model.positions.max(axis=0) + padding
    size = np.ceil((high - low) / STEP).astype(int) + 1
    return Grid(tuple(int(n) for n in size[::-1]), (STEP,) * 3, tuple(map(float, low)))


def experiment(model: AtomicModel, grid: Grid, resolution: float) -> DensityMap:
    """The model's map at a resolution (A) on a grid of 1 A; the same arguments give the same map."""
    rng = torch.Generator().manual_seed(1)
    indices = torch.from_numpy(grid.to_indices(model.positions)[:, ::-1].astype(np.float32).copy())
    atoms = replace(structure_of(model, "sample"), positions=indices * STEP)
    making = Making(atoms, Box(grid.shape), resolution)
    for step in STEPS.values():
        making = step(making, SETTINGS, rng)
    return DensityMap(making.density().numpy(), grid, f"{resolution:g} A")
