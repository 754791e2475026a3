"""Real maps as pairs made by the same functions as the simulated ones: to look at, and to validate on."""

from __future__ import annotations

import torch
from torch import Tensor

from cryomap.atoms import read_model
from cryomap.density import read_map, resample
from cryomap.enhance.normalize import normalize

from .atoms_to_density import fourier_radius, target_density
from .degrade import shell_means
from .entries import Entry
from .experiment import Experiment, Settings


def as_experiment(entry: Entry, settings: Settings) -> Experiment:
    """A real map on its 1 A grid, normalised, beside the target that its model makes.

    Raises:
        InputError: the map or the model can't be read.
    """
    density, model = read_map(entry.map_file), read_model(entry.model_file)
    grid = density.grid.cubic(1.0)
    keep = (model.atomic_numbers > 1) & (model.atom_kinds != "water")
    positions = torch.from_numpy(grid.to_indices(model.positions[keep])[:, ::-1].copy()).float()
    numbers = torch.from_numpy(model.atomic_numbers[keep])
    observed = torch.from_numpy(resample(density, grid, 3).values.copy())
    target = target_density(positions, numbers, settings.target_sigma, fourier_radius(grid.shape), grid.shape)
    observed = normalize(observed, settings.normalization)
    return Experiment(observed, (target / settings.target_scale).clamp(max=1), entry.resolution, entry.name)


def amplitude_spectrum(values: Tensor, width: float = 0.01) -> tuple[Tensor, Tensor]:
    """Mean |F| in shells of `width` (1/A): (shell middles, amplitudes), up to 0.5 / A."""
    mean, _ = shell_means(torch.fft.rfftn(values).abs(), fourier_radius(tuple(values.shape)), width)
    n = int(0.5 / width)
    return torch.arange(1, n) * width, mean[1:n]
