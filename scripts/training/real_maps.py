"""Real maps as pairs made by the same functions as the simulated ones: to look at, and to validate on."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cryomap.atoms import read_model
from cryomap.density import read_map, resample
from cryomap.enhance.normalize import NORMALIZATIONS
from cryomap.errors import InputError

from .atoms_to_density import fourier_radius, target_density
from .experiment import Experiment, Settings


@dataclass(frozen=True)
class Row:
    """A line of the table: map and model files and the resolution (A)."""

    name: str
    map_file: Path
    model_file: Path
    resolution: float


def read_table(path: str | os.PathLike) -> list[Row]:
    """A TSV with emdb_id, map_file, model_file, resolution_A; files beside it or in its folder `maps`.

    Lines without a model are passed over.

    Raises:
        InputError: a column is missing.
    """
    path = Path(path)
    folder = path.parent / "maps" if (path.parent / "maps").is_dir() else path.parent
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    try:
        return [
            Row(r["emdb_id"], folder / r["map_file"], folder / r["model_file"], float(r["resolution_A"]))
            for r in lines
            if r["model_file"]
        ]
    except KeyError as error:
        raise InputError(f"{path}: column {error} is missing") from None


def as_experiment(row: Row, settings: Settings) -> Experiment:
    """A real map on its 1 A grid, normalised, beside the target that its model makes."""
    density, model = read_map(row.map_file), read_model(row.model_file)
    grid = density.grid.cubic(1.0)
    keep = (model.atomic_numbers > 1) & (model.atom_kinds != "water")
    positions = torch.from_numpy(grid.to_indices(model.positions[keep])[:, ::-1].copy()).float()
    numbers = torch.from_numpy(model.atomic_numbers[keep])
    observed = torch.from_numpy(resample(density, grid, 3).values.copy())
    target = target_density(positions, numbers, settings.target_sigma, fourier_radius(grid.shape), grid.shape)
    observed = NORMALIZATIONS[settings.normalization](observed)
    return Experiment(observed, (target / settings.target_scale).clamp(max=1), row.resolution, row.name)


def amplitude_spectrum(values: Tensor, width: float = 0.01) -> tuple[Tensor, Tensor]:
    """Mean |F| in shells of `width` (1/A): (shell middles, amplitudes), up to 0.5 / A."""
    radius = fourier_radius(tuple(values.shape))
    shell = (radius / width).round().long().flatten()
    amplitude = torch.fft.rfftn(values).abs().flatten()
    mean = torch.bincount(shell, amplitude) / torch.bincount(shell).clamp(min=1)
    n = int(0.5 / width)
    return torch.arange(1, n) * width, mean[1:n]
