"""How well lost and invented density is found where the truth is known: benchmark_trust.py STRUCTURES OUT.json

Simulates an input map of each complex and the result of a network that loses a known part of its ligands, ions,
lipids, glycans and waters and invents blobs. With --weights, the real network enhances the input twice: as it is, where
what it lost is measured, and without the signal of the small components and of some residues, which a result then can't
have. Judges each result against the input, gives lost density back, prints the figures and writes them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.contour import default_contour, enclosed_volume, level_for_volume
from cryomap.density import DensityMap
from cryomap.enhancement.methods import Method, load_method
from cryomap.enhancement.run import enhance
from cryomap.metrics.changes import molecule_changes
from cryomap.metrics.classes import SINGLE_KINDS
from cryomap.trust.judgement import Trust, judge
from cryomap.trust.restore import keep_lost
from simulation.randomness import chance, choice, uniform
from trust_benchmark.complexes import (
    Complex,
    extra_signal,
    invented_blob,
    losing_network,
    signal_of,
    simulate,
    without,
)
from trust_benchmark.figures import line, summary
from trust_benchmark.tally import LOST, TOUCH, Tally, Truth, count, lost_atoms, measure_return, reach
from trust_benchmark.truth import (
    POLYMERS,
    atoms_of,
    change,
    components,
    kept_shares,
    ordinary_residues,
)

RESOLUTIONS = (2.8, 6.5)  # A
EXPLAINED = 0.5  # of a lost region's density, at least, that the molecule made


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path, help="folder of .pdb or .cif files, plain or .gz")
    parser.add_argument("output", type=Path, help="the .json to write")
    parser.add_argument("--maps", type=int, default=60, help="how many to simulate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atoms", type=int, default=6000, help="leave out larger complexes")
    parser.add_argument("--weights", help="enhance with these instead of simulating a losing network")
    parser.add_argument("--blind", action="store_true", help="judge without the model, by the maps alone")
    options = parser.parse_args()
    method = load_method(None, options.weights, "auto") if options.weights else None
    maps: list[dict[str, Tally]] = []
    found: dict[str, list[Tally]] = {}
    for path, seed in _choose(options):
        begun = time.monotonic()
        maps.append(one_map(path, seed, method, options.blind))
        seconds = f"{time.monotonic() - begun:.0f} s"
        for name, tally in maps[-1].items():
            print(f"{name}:", line(tally), seconds, flush=True)
        found = {name: [tallies[name] for tallies in maps] for name in maps[0]}
        told = {n: {**summary(t), "maps": [asdict(one) for one in t]} for n, t in found.items()}
        options.output.write_text(json.dumps(told, indent=1))
        if len(maps) == options.maps:
            break
    print(json.dumps({name: summary(tallies) for name, tallies in found.items()}, indent=1))


def _choose(options: argparse.Namespace) -> Iterator[tuple[Path, int]]:
    """Structures that hold small components, in random order, each with a seed."""
    from cryomap.atoms import read_model

    files = sorted(p for p in options.structures.iterdir() if ".cif" in p.name or ".pdb" in p.name)
    for index in np.random.default_rng(options.seed).permutation(len(files)):
        model = read_model(files[index])
        if len(model) <= options.atoms and components(model, SINGLE_KINDS):
            yield files[index], options.seed * 10_000 + int(index)


def one_map(path: Path, seed: int, method: Method | None, blind: bool = False) -> dict[str, Tally]:
    """Simulate, damage or enhance, judge, count, give back: the figures of each result, by how it was made."""
    rng = torch.Generator().manual_seed(seed)
    complex_ = simulate(path, uniform(*RESOLUTIONS, rng), rng)
    level = default_contour(complex_.observed.values)

    def told(result: DensityMap) -> Trust:
        return _judged(complex_, result, level, blind)

    if method is None:
        result, truth = _damage(complex_, rng)
        cases = {"damaged": (result, told(result), truth)}
    else:
        cases = _enhance(complex_, method, level, told, rng)
    noise, tallies = _true_noise(complex_), {}
    for name, (result, trust, truth) in cases.items():
        tally, parts = count(complex_, truth, trust, level, noise)
        maps = (complex_.observed, result, keep_lost(complex_.observed, result, trust))
        measure_return(tally, complex_, [p for p in parts if _is_single(complex_, p)], maps)
        tallies[name] = tally
    return tallies


def _is_single(complex_: Complex, part: np.ndarray) -> bool:
    model = complex_.model
    return model.residues[model.residue_indices[part[0]]].kind in SINGLE_KINDS


def _judged(complex_: Complex, result: DensityMap, level: float, blind: bool) -> Trust:
    """What `enhance` tells of the map at this contour, with the model open or without."""
    model, resolution = None if blind else complex_.model, complex_.resolution
    trust = judge(complex_.observed, result, level=level, resolution=resolution, model=model)
    if model is None:
        return trust
    volume = enclosed_volume(complex_.observed.values, level, 1.0)
    levels = (level, level_for_volume(result.values, volume, 1.0))
    changes = molecule_changes(complex_.observed, result, model, resolution=resolution, levels=levels)
    return replace(trust, molecules=changes)


def _damage(complex_: Complex, rng: torch.Generator) -> tuple[DensityMap, Truth]:
    """A result without half of the small components (wholly, or up to 0.35 of them kept), and up to two blobs."""
    kept = np.ones(len(complex_.model))
    for part in components(complex_.model):
        if chance(0.5, rng):
            kept[part] = uniform(0, 0.35, rng) if chance(0.5, rng) else 0.0
    blobs = [invented_blob(complex_, 12 + choice(20, rng), rng) for _ in range(choice(3, rng))]
    blobs = [b for b in blobs if b is not None]
    result = losing_network(complex_, kept, np.concatenate(blobs) if blobs else np.zeros((0, 3)), rng)
    return result, Truth(kept, blobs, lost_atoms(complex_, kept, reach(complex_)))


def _enhance(
    complex_: Complex,
    method: Method,
    level: float,
    told: Callable[[DensityMap], Trust],
    rng: torch.Generator,
) -> dict[str, tuple[DensityMap, Trust, Truth]]:
    """The network's result of the input, and of the input without its small components and some residues."""

    def network(density: DensityMap) -> DensityMap:
        return enhance(density, method, level, resolution=complex_.resolution)[0]

    result = network(complex_.observed)
    trust = told(result)
    parts = [*components(complex_.model), *_residues_at(complex_, trust)]
    ordinary = ordinary_residues(complex_.model, parts, rng)
    taken = atoms_of(complex_.model, [*parts, *ordinary])
    second = network(without(complex_, taken))
    changed = change(complex_, (result, second), parts, ordinary)
    kept = np.ones(len(complex_.model))
    for part, share in zip(parts, kept_shares(complex_, changed, parts), strict=True):
        kept[part] = share

    near_lost = lost_atoms(complex_, kept, TOUCH)

    def was_lost(voxels: np.ndarray) -> bool:
        at = tuple(voxels.T)
        explained = changed.of_input[at].sum() > EXPLAINED * complex_.observed.values[at].sum()
        return bool(explained and changed.share_in(voxels) < LOST) or near_lost(voxels)

    gone = np.where(taken, 0.0, 1.0)
    return {
        "as it is": (result, trust, Truth(kept, [], was_lost)),
        "taken out": (second, told(second), Truth(gone, [], lost_atoms(complex_, gone, TOUCH))),
    }


def _residues_at(complex_: Complex, trust: Trust) -> list[np.ndarray]:
    """Residues of protein and nucleic acid where the judgement says that density was lost."""
    if not trust.lost:
        return []
    voxels = np.concatenate([region.voxels for region in trust.lost])
    near = cKDTree(voxels[:, ::-1]).query(complex_.model.positions)[0] <= TOUCH
    return [part for part in components(complex_.model, POLYMERS) if near[part].any()]


def _true_noise(complex_: Complex) -> float:
    """Standard deviation of what in the input is neither structure nor other density."""
    signal = signal_of(complex_, np.ones(len(complex_.model), bool))
    if complex_.extra is not None:
        signal = signal + extra_signal(complex_)
    inside = complex_.observed.values != 0
    return float(np.std((complex_.observed.values - signal)[inside]))


if __name__ == "__main__":
    main()
