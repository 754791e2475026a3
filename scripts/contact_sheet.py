"""Draw what the trainer simulates: each step on its own, then random experiments beside real maps.

python scripts/contact_sheet.py structures.npz SHEET.png [--maps maps.tsv] [--recipe superem-bundled]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Generator, Tensor

from cryomap.errors import InputError
from pairs.entries import Entry, read_list
from simulation import degrade, side_chains, surroundings
from simulation.atoms_to_density import displaced_volumes, fourier_radius, structure_density
from simulation.experiment import Experiment, Settings, simulate, target_of
from simulation.structures import Structure, split, unpack
from training.real_maps import amplitude_spectrum, as_experiment
from training.recipe import RECIPES, read_recipe
from training.validation import correlation

COLUMNS = 10


def steps(structure: Structure, settings: Settings, resolution: float) -> Iterator[tuple[str, Tensor]]:
    """Each step of a simulated experiment, one after the other: (name, density)."""
    rng, shape = Generator().manual_seed(1), (settings.box,) * 3
    radius = fourier_radius(shape)
    atoms = structure.positions - structure.positions.mean(dim=0) + settings.box / 2
    inside = ((atoms > 4) & (atoms < settings.box - 5)).all(dim=1)
    part = replace(structure, positions=atoms).chosen(inside)
    atoms, numbers, ranks = part.positions, part.atomic_numbers, part.b_ranks

    def real(coefficients: Tensor) -> Tensor:
        return torch.fft.irfftn(coefficients, s=shape)

    b_mean = 8 * resolution**2
    even = structure_density(atoms, numbers, torch.full_like(ranks, b_mean), radius, shape)
    yield f"every B {b_mean:.0f}", real(even)
    b = degrade.local_b_factors(atoms, ranks, b_mean, radius, shape, rng)
    signal = structure_density(atoms, numbers, b, radius, shape)
    yield "B varies", real(signal)
    b = b + side_chains.motion(part.depths, part.residues, ranks, b_mean, rng)
    shown = side_chains.occupancies(part.depths, part.charges, part.residues, rng)
    shown = shown * side_chains.strengths(part.residues, rng)
    signal = structure_density(atoms, numbers, b, radius, shape, shown)
    yield "weak side chains", real(signal)
    displaced = displaced_volumes(numbers, part.depths)
    signal = structure_density(atoms, numbers, b, radius, shape, shown, displaced)
    yield "less displaced ice", real(signal)
    molecule = surroundings.near(atoms, 2.5, radius, shape)
    level = float(real(signal)[molecule].mean())
    belt = surroundings.detergent(molecule, level, radius, shape, rng)
    yield "+ detergent", real(signal) + belt
    yield "+ blobs", real(signal) + surroundings.blobs(shape, level, rng, radius.device)
    signal = degrade.solvent_contrast(signal, radius, rng)
    yield "solvent contrast", real(signal)
    fsc = degrade.half_map_fsc(radius, resolution, 9)
    noisy = signal + degrade.noise(signal, radius, fsc, 0.3, shape, rng)
    yield f"+ noise, {resolution:g} A", real(noisy)
    amount = settings.at(resolution, settings.unexplained) / 2
    noisy = noisy + degrade.unexplained(signal, molecule, radius, amount, shape, rng)
    yield "+ unexplained", real(noisy)
    sharp = noisy * degrade.sharpen(radius, fsc, resolution, b_mean, rng)
    yield "post-processed", real(sharp)
    yield "anisotropic", real(sharp * degrade.anisotropy(radius, shape, rng))
    soft = surroundings.soft_edge(surroundings.near(atoms, 8, radius, shape), 4, radius)
    yield "soft mask", real(sharp) * soft
    yield "zone mask 4 A", real(sharp) * surroundings.near(atoms, 4, radius, shape)
    yield "coarse voxels", degrade.coarse_voxels(real(sharp), resolution, rng)
    yield "target", target_of(part, settings, radius, shape)


def draw(axis: plt.Axes, values: Tensor, title: str) -> None:
    """The middle slice, at the height where there is most of it."""
    where = int((values.clamp(min=0) ** 2).sum(dim=(1, 2)).argmax())
    top = float(values[where].abs().max())
    axis.imshow(values[where], cmap="gray", vmin=-0.3 * top, vmax=top)
    axis.set_title(title, fontsize=7)


def story(e: Experiment) -> str:
    """A title: what it is, and the correlation of input and target where there is target."""
    there = e.target > 0.02
    words = e.story if len(e.story) < 34 else e.story.replace(", ", "\n", 1)
    return f"{words}\nCC in mask {correlation(e.observed[there], e.target[there]):.2f}"


def sheet(structures: list[Structure], entries: list[Entry], settings: Settings) -> plt.Figure:
    """The whole figure."""
    single = list(steps(max(structures[:60], key=len), settings, 4.0))
    made = [simulate(structures, settings, Generator().manual_seed(i)) for i in range(2 * COLUMNS)]
    real = [as_experiment(entry, settings) for entry in entries]
    panels = [*((values, name) for name, values in single)]
    panels += [(torch.zeros(2, 2, 2), "")] * (-len(panels) % COLUMNS)
    for group in (made, real):
        for i in range(0, len(group), COLUMNS):
            part = group[i : i + COLUMNS]
            pad = [(torch.zeros(2, 2, 2), "")] * (COLUMNS - len(part))
            panels += (
                [(e.observed, story(e)) for e in part] + pad + [(e.target, "target") for e in part] + pad
            )
    lines = len(panels) // COLUMNS
    figure = plt.figure(figsize=(2 * COLUMNS, 2.3 * (lines + 2)))
    grid = figure.add_gridspec(lines + 2, COLUMNS)
    for i, (values, title) in enumerate(panels):
        axis = figure.add_subplot(grid[i // COLUMNS, i % COLUMNS])
        axis.axis("off")
        if title:
            draw(axis, values, title)
    spectra = figure.add_subplot(grid[lines:, :])
    for e, colour in [(e, "C0") for e in made] + [(e, "C3") for e in real]:
        s, amplitude = amplitude_spectrum(e.observed)
        spectra.semilogy(s * e.resolution, amplitude / amplitude[:8].mean(), colour, lw=0.7)
    spectra.set(xlabel="s x resolution", ylabel="|F|, relative", xlim=(0, 2), ylim=(1e-4, 3))
    spectra.set_title("amplitude spectra: simulated (blue), real (red)", fontsize=9)
    figure.tight_layout()
    return figure


def main() -> int:
    """Draw and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("structures", help=".npz of pack_structures.py")
    parser.add_argument("output", help="the PNG to write")
    parser.add_argument("--maps", help="a table of real maps with models, to show beside")
    parser.add_argument("--recipe", default="superem-bundled")
    arguments = parser.parse_args()
    try:
        settings = read_recipe(RECIPES / f"{arguments.recipe}.toml").data
        entries = [e for e in read_list(arguments.maps) if e.model_file] if arguments.maps else []
        figure = sheet(split(unpack(arguments.structures))[0], entries, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    figure.savefig(arguments.output, dpi=80)
    return 0


if __name__ == "__main__":
    sys.exit(main())
