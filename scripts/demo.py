"""`make demo`: enhance a sample made here with both methods, say what changed, write maps and one picture.

The sample is a small complex of ideal geometry (protein, RNA, a ligand, an ion), seen by simulated experiments at 4 A
(for superem) and at 6 A (for cryosamu), as those the networks were trained on. Everything is written into demo/.
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
from cryomap.contour import level_for_volume  # noqa: E402
from cryomap.density import DensityMap, resample, write_map  # noqa: E402
from cryomap.enhancement.methods import load_method  # noqa: E402
from cryomap.enhancement.trusted import Enhanced, enhance_trusted  # noqa: E402
from cryomap.errors import InputError  # noqa: E402
from cryomap.job import Options  # noqa: E402
from cryomap.metrics.assess import assess  # noqa: E402
from cryomap.networks.card import BUNDLED  # noqa: E402
from cryomap.simulate import structure_factor_map  # noqa: E402
from sample.experiment import experiment, sample_grid  # noqa: E402
from sample.model import sample_model  # noqa: E402

RESOLUTIONS = {"superem": 4.0, "cryosamu": 6.0}  # A
TRUTH_RESOLUTION = 3.0  # A
ATOM_VOLUME = 18.0  # A^3 for each atom that isn't hydrogen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, or 2 if the bundled weights are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="folder to write into")
    parser.add_argument("--weights", type=Path, default=BUNDLED, help="folder of the weights files")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)

    model = sample_model()
    grid = sample_grid(model)
    sharp = replace(model, b_factors=np.full(len(model), 20.0))
    truth = replace(structure_factor_map(sharp, grid, TRUTH_RESOLUTION), name="truth")
    write_map(truth, options.output / "truth.mrc")
    write_pdb(model, options.output / "sample.pdb")
    print(f"sample: {len(model.residues)} residues, {len(model)} atoms; a box of {grid} of 1 A")
    pictures = []
    for name, resolution in RESOLUTIONS.items():
        given = experiment(model, grid, resolution)
        begun = time.monotonic()
        try:
            method = load_method(name, options.weights / f"{name}.safetensors")
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        level = level_for_volume(given.values, ATOM_VOLUME * len(model), grid.voxel_volume)
        done = enhance_trusted(given, method, Options(level=level, resolution=resolution), model=model)
        write_map(given, options.output / f"{name}_input.mrc")
        write_map(done.result, options.output / f"{name}_output.mrc")
        print(
            f"\n{name}, a map of {resolution:g} A, in {time.monotonic() - begun:.0f} s on {done.report.device}:"
        )
        for line in [*changes(given, done, model, resolution), verdict(done)]:
            print(f"  {line}")
        pictures.append((name, resolution, given, done.result))
    draw(pictures, truth, model, options.output / "demo.png")
    print(f"\nmaps, model and picture: {options.output}")
    return 0


def changes(given: DensityMap, done: Enhanced, model: AtomicModel, resolution: float) -> list[str]:
    """What became of the map, a line each: before, after, and which is better."""
    found = assess([given, done.result], model, resolution=resolution, metrics=("cc", "fsc", "classes"))
    before, after = (scores.figures for scores in found.maps)
    lines = [
        _line("agreement with the true map, where the atoms are", before["cc_mask_hr"], after["cc_mask_hr"]),
        _line("agreement with the true map, everywhere", before["cc_box_hr"], after["cc_box_hr"]),
        _line(
            "detail agrees with the atoms to (A, FSC 0.5)",
            before["d_fsc_model_05_masked"],
            after["d_fsc_model_05_masked"],
            smaller_is_better=True,
        ),
        _line("how well atoms stand out (Q-score), all", before["q_mean"], after["q_mean"]),
    ]
    rows = [found.ligand_rows(scores) for scores in found.maps]
    for old, new in zip(*rows, strict=True):
        lines.append(_line(f"... of the {old['kind']} {old['name']}", old["q"], new["q"]))
    return lines


def _line(what: str, before: float | None, after: float | None, smaller_is_better: bool = False) -> str:
    if before is None or after is None:
        return f"{what:48s} not measurable"
    better = after < before if smaller_is_better else after > before
    return f"{what:48s} {before:5.2f} -> {after:5.2f}  {'better' if better else 'worse'}"


def verdict(done: Enhanced) -> str:
    """What the trust report says, in one line."""
    trust = done.report.trust
    if trust is None:
        return "trust report: input and result can't be compared"
    lost = [region.nearest or "density" for region in trust.lost]
    told = f"lost: {', '.join(lost)}" if lost else "nothing was lost"
    return f"trust report: support {trust.mean_support:.2f}; {told}; {len(trust.invented)} regions invented"


def draw(pictures: list[tuple], truth: DensityMap, model: AtomicModel, path: Path) -> None:
    """Input, result and truth of each method side by side, a 4 A slab, contours at equal enclosed volume."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(pictures), 3, figsize=(12, 5.4 * len(pictures)), squeeze=False)
    for row, (name, resolution, given, result) in zip(axes, pictures, strict=True):
        titles = (f"input, {resolution:g} A", f"enhance, method {name}", "truth, 3 A")
        for axis, density, title in zip(row, (given, result, truth), titles, strict=True):
            draw_slab(axis, density, model)
            axis.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_slab(axis, density: DensityMap, model: AtomicModel) -> None:
    """Mean of a 4 A slab through the middle, the contour that holds the atoms' volume, and the slab's atoms."""
    density = resample(density, density.grid.cubic(0.5), order=3)
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
        record = "ATOM  " if residue.kind in ("protein", "nucleic") else "HETATM"
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
