"""How well lost and invented density is found where the truth is known: benchmark_trust.py STRUCTURES OUT.json

Simulates an input map of each complex and the result of a network that loses a known part of its ligands, ions,
lipids and glycans and invents blobs; or, with --weights, enhances the input and measures what was lost. Judges
each result, gives lost density back, prints the figures and writes them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.contour import default_contour
from cryomap.density import DensityMap
from cryomap.trust.judgement import judge
from cryomap.trust.restore import keep_lost
from simulation.randomness import chance, choice, uniform
from trust_benchmark.complexes import (
    Complex,
    extra_signal,
    invented_blob,
    losing_network,
    signal_of,
    simulate,
)
from trust_benchmark.tally import Tally, count, measure_return
from trust_benchmark.truth import components, kept_shares

RESOLUTIONS = (2.8, 6.5)  # A


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
    tallies = []
    for path, seed in _choose(options):
        begun = time.monotonic()
        tally = one_map(path, seed, options.weights, options.blind)
        if tally is None:
            continue
        tallies.append(tally)
        print(_line(tally), f"{time.monotonic() - begun:.0f} s", flush=True)
        options.output.write_text(
            json.dumps({**summary(tallies), "maps": [asdict(t) for t in tallies]}, indent=1)
        )
        if len(tallies) == options.maps:
            break
    print(json.dumps(summary(tallies), indent=1))


def _choose(options: argparse.Namespace) -> Iterator[tuple[Path, int]]:
    """Structures that hold small components, in random order, each with a seed."""
    from cryomap.atoms import read_model

    files = sorted(p for p in options.structures.iterdir() if ".cif" in p.name or ".pdb" in p.name)
    for index in np.random.default_rng(options.seed).permutation(len(files)):
        model = read_model(files[index])
        if len(model) <= options.atoms and components(model):
            yield files[index], options.seed * 10_000 + int(index)


def one_map(path: Path, seed: int, weights: str | None, blind: bool = False) -> Tally | None:
    """Simulate, damage or enhance, judge, count, give back; None for a map in which nothing can be seen."""
    rng = torch.Generator().manual_seed(seed)
    complex_ = simulate(path, uniform(*RESOLUTIONS, rng), rng)
    observed = complex_.observed
    level = default_contour(observed.values)
    if weights:
        result, kept, blobs = _enhance(complex_, weights, level)
    else:
        result, kept, blobs = _damage(complex_, rng)
    model = None if blind else complex_.model
    trust = judge(observed, result, level=level, resolution=complex_.resolution, model=model)
    tally, parts = count(complex_, kept, blobs, trust, level, _true_noise(complex_))
    measure_return(tally, complex_, parts, (observed, result, keep_lost(observed, result, trust)))
    return tally


def _damage(complex_: Complex, rng: torch.Generator) -> tuple[DensityMap, np.ndarray, list[np.ndarray]]:
    """A result without half of the small components (wholly, or up to 0.35 of them kept), and up to two blobs."""
    kept = np.ones(len(complex_.model))
    for part in components(complex_.model):
        if chance(0.5, rng):
            kept[part] = uniform(0, 0.35, rng) if chance(0.5, rng) else 0.0
    blobs = [invented_blob(complex_, 12 + choice(20, rng), rng) for _ in range(choice(3, rng))]
    blobs = [b for b in blobs if b is not None]
    result = losing_network(complex_, kept, np.concatenate(blobs) if blobs else np.zeros((0, 3)), rng)
    return result, kept, blobs


def _enhance(complex_: Complex, weights: str, level: float) -> tuple[DensityMap, np.ndarray, list]:
    """The network's result, and the share of each residue and small component that it kept."""
    from cryomap.enhancement.methods import load_method
    from cryomap.enhancement.run import enhance

    method = load_method(None, weights, "auto")
    result, _ = enhance(complex_.observed, method, level)
    kept = np.ones(len(complex_.model))
    parts = components(complex_.model, ("protein", "nucleic", "ligand", "ion", "lipid", "glycan"))
    shares = kept_shares(complex_, result, parts, method.card.sharpen, method.card.low_pass)
    for part, share in zip(parts, shares, strict=True):
        kept[part] = share
    return result, kept, []


def _true_noise(complex_: Complex) -> float:
    """Standard deviation of what in the input is neither structure nor other density."""
    signal = signal_of(complex_, np.ones(len(complex_.model), bool))
    if complex_.extra is not None:
        signal = signal + extra_signal(complex_)
    inside = complex_.observed.values != 0
    return float(np.std((complex_.observed.values - signal)[inside]))


def summary(tallies: list[Tally]) -> dict[str, float]:
    """The figures over all maps."""

    def total(name: str) -> int:
        return sum(getattr(t, name) for t in tallies)

    q = np.array([row for t in tallies for row in t.q]).reshape(-1, 3)
    fell = q[:, 1] < q[:, 0] - 0.05  # Q doesn't see how high a peak is: what was merely weakened keeps its Q
    gain, loss = (q[fell, 2] - q[fell, 1]).sum(), (q[fell, 0] - q[fell, 1]).sum()
    drops = [t.cc_drop for t in tallies if t.q]
    false = np.array([t.false for t in tallies])
    return {
        "maps": len(tallies),
        "clear_lost": total("clear_lost"),
        "recall_clear": total("clear_found") / max(1, total("clear_lost")),
        **_by_strength([pair for t in tallies for pair in t.clear]),
        "faint_lost": total("faint_lost"),
        "recall_faint": total("faint_found") / max(1, total("faint_lost")),
        "false_per_map": float(false.mean()) if len(false) else 0.0,
        "maps_with_more_than_one_false": int((false > 1).sum()),
        "invented": total("invented"),
        "recall_invented": total("invented_found") / max(1, total("invented")),
        "false_invented_per_map": total("invented_false") / max(1, len(tallies)),
        "q_returned": float(gain / loss) if loss > 0 else float("nan"),
        "q_before_after_kept": q.mean(axis=0).round(3).tolist() if len(q) else [],
        "cc_mask_drop_mean": float(np.mean(drops)) if drops else 0.0,
        "cc_mask_drop_max": float(np.max(drops)) if drops else 0.0,
    }


def _by_strength(clear: list[tuple[float, bool]]) -> dict[str, str]:
    """Found of lost, by own density over noise."""
    result = {}
    for low, high in ((5, 7), (7, 10), (10, np.inf)):
        hits = [hit for strength, hit in clear if low <= strength < high]
        result[f"clear_{low}_to_{high}_sigma"] = f"{sum(hits)} of {len(hits)}"
    return result


def _line(t: Tally) -> str:
    return (
        f"{t.story:45s} support {t.support:.2f} lost {t.clear_found}/{t.clear_lost} "
        f"faint {t.faint_found}/{t.faint_lost} false {t.false} invented {t.invented_found}/{t.invented} "
        f"false {t.invented_false} Q {np.round(t.q, 2).tolist()} CC -{t.cc_drop:.4f} {t.missed} {t.wrong[:5]}"
    )


if __name__ == "__main__":
    main()
