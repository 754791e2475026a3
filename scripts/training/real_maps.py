"""Real maps on the trainer's grid, beside the targets that their models make."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cryomap.atoms import read_model
from cryomap.density import read_map, resample
from cryomap.enhancement.normalize import normalize
from cryomap.errors import InputError
from pairs.entries import Entry
from simulation.box import Box
from simulation.degrade import shell_means
from simulation.experiment import Experiment, scaled, target_of
from simulation.settings import Settings
from simulation.structures import Structure, first_conformations, structure_of


@dataclass(frozen=True)
class LaidOut:
    """A map on its grid of 1 A, and its model in it (positions z, y, x in voxels).

    Attributes:
        raw: the map (z, y, x).
        atoms: that the target shows.
        left_out: (n, 3), positions of the model's other heavy atoms, waters for one.
    """

    raw: Tensor
    atoms: Structure
    left_out: Tensor

    @property
    def box(self) -> Box:
        """The map's."""
        return Box(tuple(self.raw.shape))


def laid_out(entry: Entry, settings: Settings) -> LaidOut:
    """A real map and its model.

    Raises:
        InputError: the map or the model can't be read, or the model isn't in the map.
    """
    density, model = read_map(entry.map_file), read_model(entry.model_file)
    grid = density.grid.cubic(1.0)
    box = Box(grid.shape)

    def voxels(positions) -> Tensor:
        return torch.from_numpy(grid.to_indices(positions)[:, ::-1].copy()).float()

    shown, rest = first_conformations(model, waters=entry.resolution <= settings.waters_until)
    if not len(shown):
        raise InputError(f"{entry.model_file}: no heavy atoms besides water")
    atoms = structure_of(shown, entry.name)
    atoms = replace(atoms, positions=voxels(atoms.positions.double().numpy()))
    atoms = atoms.chosen(box.holds(atoms.positions, 6))
    if not box.holds(atoms.positions).any():
        raise InputError(f"{entry.model_file}: none of its atoms is in the map {entry.map_file}")
    left_out = voxels(rest.positions.astype(float)) if len(rest) else torch.zeros(0, 3)
    raw = torch.from_numpy(resample(density, grid, 3).values.copy())
    return LaidOut(raw, atoms, left_out[box.holds(left_out, 6)])


def as_experiment(entry: Entry, settings: Settings) -> Experiment:
    """A real map on its 1 A grid, normalised, beside the target that its model makes.

    Raises:
        InputError: see `laid_out`.
    """
    m = laid_out(entry, settings)
    target = scaled(target_of(m.atoms, settings, m.box, entry.resolution), settings)
    observed = normalize(m.raw, settings.normalization)
    return Experiment(observed, target, entry.resolution, entry.name, m.atoms)


def amplitude_spectrum(values: Tensor, width: float = 0.01) -> tuple[Tensor, Tensor]:
    """Mean |F| in shells of `width` (1/A): (shell middles, amplitudes), up to 0.5 / A."""
    box = Box(tuple(values.shape))
    mean, _ = shell_means(box.fourier(values).abs(), box, width)
    n = int(0.5 / width)
    return torch.arange(1, n) * width, mean[1:n]
