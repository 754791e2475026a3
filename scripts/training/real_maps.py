"""Real maps as pairs made by the same functions as the simulated ones: to look at, and to validate on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cryomap.density import read_map, resample
from cryomap.enhancement.normalize import normalize
from pairs.entries import Entry
from simulation.box import Box
from simulation.degrade import shell_means
from simulation.experiment import Experiment, target_of
from simulation.settings import Settings
from simulation.structures import read_structure


def as_experiment(entry: Entry, settings: Settings) -> Experiment:
    """A real map on its 1 A grid, normalised, beside the target that its model makes.

    Raises:
        InputError: the map or the model can't be read.
    """
    density, atoms = read_map(entry.map_file), read_structure(entry.model_file)
    grid = density.grid.cubic(1.0)
    positions = torch.from_numpy(grid.to_indices(atoms.positions.double().numpy())[:, ::-1].copy()).float()
    box = Box(grid.shape)
    atoms = replace(atoms, positions=positions).chosen(box.holds(positions, 6))
    observed = torch.from_numpy(resample(density, grid, 3).values.copy())
    target = target_of(atoms, settings, box)
    observed = normalize(observed, settings.normalization)
    target = (target / settings.target_scale).clamp(max=1)
    return Experiment(observed, target, entry.resolution, entry.name, atoms)


def amplitude_spectrum(values: Tensor, width: float = 0.01) -> tuple[Tensor, Tensor]:
    """Mean |F| in shells of `width` (1/A): (shell middles, amplitudes), up to 0.5 / A."""
    box = Box(tuple(values.shape))
    mean, _ = shell_means(box.fourier(values).abs(), box, width)
    n = int(0.5 / width)
    return torch.arange(1, n) * width, mean[1:n]
