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
from simulation.box import Box
from simulation.experiment import Experiment, simulate, target_of
from simulation.packs import unpack
from simulation.settings import Settings
from simulation.steps import STEPS, Making
from simulation.structures import Structure, split
from training.real_maps import amplitude_spectrum, as_experiment
from training.recipe import read_recipe
from training.validation import correlation

COLUMNS = 10
# Steps that many maps go without, and the setting that makes each certain.
APART = {
    "detergent": "detergent",
    "blobs": "blobs",
    "anisotropy": "anisotropic",
    "zone mask": "zone",
    "soft mask": "soft_mask",
    "coarse voxels": "coarse",
}


def drawn_steps(structure: Structure, settings: Settings, resolution: float) -> Iterator[tuple[str, Tensor]]:
    """The density after each step of a simulated experiment: (name, density); those `APART` each on its own."""
    rng, box = Generator().manual_seed(1), Box((settings.box,) * 3)
    atoms = structure.positions - structure.positions.mean(dim=0) + settings.box / 2
    part = replace(structure, positions=atoms).chosen(box.holds(atoms, -4))
    settings = replace(settings, **dict.fromkeys(("side_chains", "solvent", *APART.values()), 1.0))
    m = Making(part, box, resolution, zoned=True)
    for name, step in STEPS.items():
        after = step(m, settings, rng)
        if name != "atoms to density":  # what is drawn of the atoms is their density all along
            yield name, after.density()
        if name not in APART:
            m = after
    yield "target", target_of(part, settings, box, resolution)


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
    single = list(drawn_steps(max(structures[:60], key=len), settings, 4.0))
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
        settings = read_recipe(arguments.recipe).data
        entries = [e for e in read_list(arguments.maps) if e.model_file] if arguments.maps else []
        figure = sheet(split(unpack(arguments.structures))[0], entries, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    figure.savefig(arguments.output, dpi=80)
    return 0


if __name__ == "__main__":
    sys.exit(main())
