"""Are simulated maps like real ones? compare_simulation.py STRUCTURES.npz MAPS.tsv [--recipe superem-bundled]

For each figure (`simulation.likeness`): the simulation's tenth, middle and ninetieth percentile, and every real map's,
with a star where it lies outside. Change the simulation until the stars are few; the densities of the real maps are
never trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Generator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.errors import InputError
from pairs.entries import read_list
from simulation.experiment import simulate
from simulation.likeness import likeness
from simulation.packs import unpack
from simulation.structures import split
from training.real_maps import as_experiment
from training.recipe import read_recipe

FEWEST_ATOMS = 1000


def table(simulated: Sequence[dict[str, float]], real: dict[str, dict[str, float]]) -> list[str]:
    """The lines to print."""
    widths = [max(11, len(name)) for name in real]
    names = "".join(f" {name:>{width}s} " for name, width in zip(real, widths, strict=True))
    lines = [f"{'':22s}{'10 %':>7s}{'50 %':>7s}{'90 %':>7s} {names}"]
    for key in dict.fromkeys(key for figures in simulated for key in figures):
        low, middle, high = np.quantile([f[key] for f in simulated if key in f], (0.1, 0.5, 0.9))
        cells = [
            f"{_cell(figures.get(key), low, high):>{width + 2}s}"
            for figures, width in zip(real.values(), widths, strict=True)
        ]
        lines.append(f"{key:22s}{low:7.2f}{middle:7.2f}{high:7.2f} {''.join(cells)}")
    return lines


def _cell(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "- "
    return f"{value:.2f}{' ' if low <= value <= high else '*'}"


def main() -> int:
    """Simulate, read the maps, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("structures", help=".npz of pack_structures.py")
    parser.add_argument("maps", help="a table of real maps with models")
    parser.add_argument("--recipe", default="superem-bundled")
    parser.add_argument(
        "--resolution", type=float, nargs=2, metavar="A", help="only maps of these, real and simulated"
    )
    parser.add_argument("--count", type=int, default=24, help="simulated maps")
    arguments = parser.parse_args()
    try:
        settings = read_recipe(arguments.recipe).data
        low, high = arguments.resolution or settings.resolution
        settings = replace(settings, resolution=(low, high))
        entries = [e for e in read_list(arguments.maps) if e.model_file and low <= e.resolution <= high]
        structures = split(unpack(arguments.structures))[0]
        made = (simulate(structures, settings, Generator().manual_seed(i)) for i in range(arguments.count))
        simulated = [likeness(e) for e in made if len(e.atoms) >= FEWEST_ATOMS]
        real = {e.name: likeness(as_experiment(e, settings)) for e in entries}
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(table(simulated, real)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
