"""How fast `mapcc` is, against cctbx's programs on the same maps in the same run.

Usage: python scripts/benchmark_mapcc.py [MAPS] [--repeats N]

MAPS is a folder with maps.tsv and the maps and models it names in maps/ (default: ../shared/data). Prints a
table of CPU seconds (of all threads, so that other work on the machine hardly counts) and ratios, the best of N
runs for ours (cctbx's programs run once, timed inside their own process), the time of the Q-scores of a
model of 100,000 atoms, and how much memory correlations and Q-scores take beside the map.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "engine")]

import references  # noqa: E402

from cryomap.atoms import AtomicModel, read_model  # noqa: E402
from cryomap.density import DensityMap, read_map  # noqa: E402
from cryomap.grid import Grid  # noqa: E402
from cryomap.metrics import fourier, qscore, residues  # noqa: E402
from cryomap.metrics.correlation import correlations, model_map  # noqa: E402
from cryomap.metrics.inputs import prepare_model  # noqa: E402
from cryomap.metrics.masks import soft_mask  # noqa: E402

MAPS = ("emd_30342_chainA_zone", "emd_12528_emmivox", "emd_5168", "emd_20026_prot_zone", "emd_0093_zone")


def main() -> None:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("maps", nargs="?", default=ROOT.parent / "shared" / "data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = {
        row["map_file"].split(".")[0]: row
        for row in csv.DictReader((options.maps / "maps.tsv").open(), delimiter="\t")
    }
    print(f"{'map':26}{'atoms':>8}{'what':>26}{'ours s':>9}{'cctbx s':>9}{'ratio':>8}")
    for name in MAPS:
        row = rows[name]
        density = read_map(options.maps / "maps" / row["map_file"])
        model = prepare_model(read_model(options.maps / "maps" / row["model_file"]), [density]).model
        compare(name, density, model, float(row["resolution_A"]), options.repeats)
    large_model(read_model(options.maps / "maps" / "6GYN.pdb.gz"))
    memory(read_model(options.maps / "maps" / "7CEC_A.cif.gz"))


def compare(name: str, density: DensityMap, model: AtomicModel, resolution: float, repeats: int) -> None:
    """Time correlations with RSCC, Fourier figures and Q-scores of one map, ours and cctbx's."""
    heavy = model.subset(model.atomic_numbers != 1)
    with tempfile.TemporaryDirectory() as folder:
        inputs = references.write_inputs(Path(folder) / "all", density, model, resolution)
        heavy_inputs = references.write_inputs(Path(folder) / "heavy", density, heavy, resolution)
        by_cctbx = {"correlations and RSCC": references.run("reference_correlation.py", inputs)[0]["seconds"]}
        triage = references.run("reference_fourier.py", inputs)[0]
        by_cctbx["Fourier, both masks"] = sum(triage[key]["seconds"] for key in ("unmasked", "masked"))
        for probes in (8, 32):
            result = references.run("reference_qscore.py", probes, heavy_inputs)[0]
            by_cctbx[f"Q-scores ({probes} probes)"] = result["seconds"]
    scores = best(lambda: qscore.q_scores(density, heavy), repeats)
    ours = {
        "correlations and RSCC": best(lambda: all_correlations(density, model, resolution), repeats),
        "Fourier, both masks": best(lambda: all_fourier(density, model, resolution), repeats),
        "Q-scores (8 probes)": scores,
        "Q-scores (32 probes)": scores,
    }
    for what, theirs in by_cctbx.items():
        ratio = theirs / ours[what]
        print(f"{name:26}{len(model):8}{what:>26}{ours[what]:9.2f}{theirs:9.2f}{ratio:7.1f}x", flush=True)


def best(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in CPU seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def all_correlations(density: DensityMap, model: AtomicModel, resolution: float) -> None:
    """All that cctbx's map_model_cc computes: four CCs, RSCC by chain and residue, main and side chain."""
    computed = model_map(model, density.grid, resolution)
    correlations(density, computed)
    radius = residues.region_radius(model, resolution)
    residues.residue_correlations(density.values, computed, model, radius)
    chains = np.array([residue.chain_id for residue in model.residues])[model.residue_indices]
    main = residues.is_main_chain(model)
    for members in (*(chains == chain for chain in np.unique(chains)), main, ~main):
        residues.region_correlation(density.values, computed, model.positions[members], radius)


def all_fourier(density: DensityMap, model: AtomicModel, resolution: float) -> None:
    """All that cctbx's mtriage computes, without and with the soft mask."""
    spacings = fourier.reflections(density.grid)
    factors = spacings.of_model(model)
    factors_b0 = spacings.of_model(fourier.without_b_factors(model))
    mask = soft_mask(model, density.grid, 2 * resolution)
    for values in (density.values, density.values * mask):
        fourier.assess_model(spacings.of_map(values), factors, factors_b0, spacings)


def large_model(model: AtomicModel) -> None:
    """Q-scores of 100,000 atoms: six copies of a tetramer side by side in a noise map."""
    span = np.ptp(model.positions, axis=0) + 6
    shifts = [np.array([i, j, 0]) * span for i in range(3) for j in range(2)]
    positions = np.concatenate([model.positions - model.positions.min(axis=0) + 3 + s for s in shifts])
    tiled = replace(model, **{k: np.tile(getattr(model, k), 6) for k in ARRAYS}, positions=positions)
    shape = tuple(int(n) for n in np.ceil((positions.max(axis=0) + 4) / 1.3)[::-1])
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    density = DensityMap(noise, Grid(shape, (1.3,) * 3))
    seconds = best(lambda: qscore.q_scores(density, tiled), 1)
    print(f"\nQ-scores of {len(tiled)} atoms: {seconds:.1f} CPU s")


ARRAYS = ("atomic_numbers", "b_factors", "occupancies", "atom_names", "alt_locs", "residue_indices")


def memory(model: AtomicModel) -> None:
    """Peak memory beside the map, of correlations and Q-scores of one model in boxes of growing size."""
    span = np.ptp(model.positions, axis=0)
    print(f"\nmodel of {len(model)} atoms, {' x '.join(f'{s:.0f}' for s in span)} A, in boxes of 1 A voxels")
    for n in (160, 320, 480):
        values = np.random.default_rng(0).normal(size=(n, n, n)).astype(np.float32)
        grid = Grid(values.shape, origin=tuple(model.positions.mean(axis=0) - n / 2))
        density = DensityMap(values, grid)
        tracemalloc.start()
        all_correlations(density, model, 4.0)
        qscore.q_scores(density, model)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"  {n}^3: map {values.nbytes / 2**20:.0f} MiB, peak beside it {peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
