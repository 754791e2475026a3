"""`make demo`: enhance a sample made here with both methods, print what changed, write maps and one picture.

The sample is a protein-like model of ideal helices and strands with a ligand and an ion, simulated at 4 A (for
superem) and at 6 A (for cryosamu) with noise. Everything is written into demo/.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from cryomap.atoms import AtomicModel  # noqa: E402
from cryomap.density import DensityMap, resample, write_map  # noqa: E402
from cryomap.enhancement.contour import level_for_volume  # noqa: E402
from cryomap.enhancement.methods import load_method  # noqa: E402
from cryomap.enhancement.trusted import enhance_trusted  # noqa: E402
from cryomap.errors import InputError  # noqa: E402
from cryomap.job import Options  # noqa: E402
from cryomap.metrics.assess import assess  # noqa: E402
from cryomap.metrics.results import Assessment, MapScores  # noqa: E402
from cryomap.networks.card import BUNDLED  # noqa: E402
from cryomap.simulate import structure_factor_map  # noqa: E402
from demo_sample import noisy_map, sample_grid, sample_model  # noqa: E402

RESOLUTIONS = {"superem": 4.0, "cryosamu": 6.0}  # A
STEP = 1.2  # A
NOISE = 0.5  # of the density's own standard deviation where the atoms are
TRUTH_RESOLUTION = 3.0  # A
ATOM_VOLUME = 18.0  # A^3 of protein for each atom that isn't hydrogen
FIGURES = (
    ("cc_mask_hr", "correlation with the 3 A model map, around the atoms"),
    ("cc_box_hr", "correlation with the 3 A model map, whole box"),
    ("cc_mask", "correlation with the model map at the map's resolution"),
    ("q_mean", "Q-score, mean of all atoms"),
    ("d_fsc_model_05_masked", "resolution where map and model agree to FSC .5 (A)"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, or 2 if the bundled weights are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="folder to write into")
    parser.add_argument("--weights", type=Path, default=BUNDLED, help="folder of the weights files")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)

    model = sample_model()
    grid = sample_grid(model, STEP)
    sharp = replace(model, b_factors=np.full(len(model), 20.0))
    truth = replace(structure_factor_map(sharp, grid, TRUTH_RESOLUTION), name="truth")
    write_map(truth, options.output / "truth.mrc")
    write_pdb(model, options.output / "sample.pdb")
    print(f"sample: {len(model)} atoms in a box of {' x '.join(map(str, grid.size))} voxels of {STEP} A")
    pictures = []
    for seed, (name, resolution) in enumerate(RESOLUTIONS.items()):
        given = noisy_map(model, grid, resolution, NOISE, seed)
        try:
            result = run_method(name, given, model, options)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        pictures.append((name, resolution, given, result))
    draw(pictures, truth, model, options.output / "demo.png")
    print(f"\nmaps, model and picture: {options.output}")
    return 0


def run_method(name: str, given: DensityMap, model: AtomicModel, options: argparse.Namespace) -> DensityMap:
    """Enhance the map by one method, print what changed, write both maps; what was lost is logged."""
    resolution = RESOLUTIONS[name]
    begun = time.monotonic()
    method = load_method(name, options.weights / f"{name}.safetensors")
    level = level_for_volume(given.values, ATOM_VOLUME * len(model), given.grid.voxel_volume)
    done = enhance_trusted(given, method, Options(level=level, resolution=resolution), model=model)
    result, report = done.result, done.report
    write_map(given, options.output / f"{name}_input.mrc")
    write_map(result, options.output / f"{name}_output.mrc")
    print(
        f"\n{name}, input of {resolution:g} A: {report.tiles_run} of {report.tiles_total} tiles on {report.device} "
        f"({report.precision}), {time.monotonic() - begun:.1f} s; "
        f"contour {report.contour_in:.3g} -> {report.contour_out:.3g}"
    )
    print_changes(assess([given, result], model, resolution=resolution, metrics=("cc", "fsc", "classes")))
    return result


def print_changes(report: Assessment) -> None:
    """One line a figure: before, after, and which is better."""
    before, after = report.maps
    for key, meaning in FIGURES:
        smaller_is_better = key.startswith("d_")
        old, new = before.figures[key], after.figures[key]
        if old is None or new is None:
            continue
        better = new < old if smaller_is_better else new > old
        print(f"  {meaning:58s} {old:6.3f} -> {new:6.3f}  {'better' if better else 'worse'}")
    for old, new in zip(ligand_scores(report, before), ligand_scores(report, after), strict=True):
        print(
            f"  Q-score of {old[0]:47s} {old[1]:6.3f} -> {new[1]:6.3f}  {'better' if new[1] > old[1] else 'worse'}"
        )


def ligand_scores(report: Assessment, scores: MapScores) -> list[tuple[str, float]]:
    """Name and mean Q-score of the ligand and the ion."""
    rows = report.ligand_rows(scores)
    return [(f"{row['name']} ({row['kind']})", row["q"]) for row in rows]


def draw(pictures: list[tuple], truth: DensityMap, model: AtomicModel, path: Path) -> None:
    """Input, result and truth of each method side by side, a 4 A slab, contours at equal enclosed volume."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(pictures), 3, figsize=(12, 5.4 * len(pictures)), squeeze=False)
    for row, (name, resolution, given, result) in zip(axes, pictures, strict=True):
        titles = (f"input, {resolution:g} A with noise", f"enhance, method {name}", "truth, 3 A")
        for axis, density, title in zip(row, (given, result, truth), titles, strict=True):
            draw_slab(axis, density, model)
            axis.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_slab(axis, density: DensityMap, model: AtomicModel) -> None:
    """Mean of a 4 A slab through the middle, the contour that holds the atoms' volume, and the slab's atoms."""
    grid = density.grid
    density = resample(density, grid.cubic(0.5), order=3)
    grid = density.grid
    middle = round(float(grid.to_indices(model.positions.mean(axis=0))[2]))
    slab = density.values[middle - 4 : middle + 4].mean(axis=0)
    level = level_for_volume(density.values, ATOM_VOLUME * len(model), grid.voxel_volume)
    box = (grid.origin[0], grid.to_xyz(grid.size)[0], grid.origin[1], grid.to_xyz(grid.size)[1])
    top = float(np.quantile(slab, 0.998))
    axis.imshow(slab, cmap="gray_r", origin="lower", extent=box, vmin=min(0.0, float(slab.min())), vmax=top)
    axis.contour(slab, levels=[level], colors="tab:blue", linewidths=0.9, extent=box)
    near = abs(model.positions[:, 2] - model.positions[:, 2].mean()) < 2
    axis.plot(*model.positions[near, :2].T, ".", color="tab:red", markersize=2.5)
    low, high = model.positions.min(axis=0) - 6, model.positions.max(axis=0) + 6
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axis.set_xlabel("x (A)")
    axis.set_ylabel("y (A)")


def write_pdb(model: AtomicModel, path: Path) -> None:
    """The model as a PDB file."""
    lines = []
    for i, (position, atom, owner) in enumerate(
        zip(model.positions, model.atom_names, model.residue_indices, strict=True), start=1
    ):
        residue = model.residues[owner]
        record = "ATOM  " if residue.kind == "protein" else "HETATM"
        element = "ZN" if residue.name == "ZN" else str(atom)[0]
        column = f"{atom:<4s}" if len(element) == 2 else f" {atom:<3s}"
        x, y, z = position
        lines.append(
            f"{record}{i:5d} {column} {residue.name:>3s} {residue.chain_id}{residue.number:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{model.b_factors[i - 1]:6.2f}          {element:>2s}\n"
        )
    path.write_text("".join(lines) + "END\n", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
