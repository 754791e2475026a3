"""What a method does to Q by class on simulated maps of held-out complexes: benchmark_q.py STRUCTURES OUT.json

Protein, nucleic acid, ligands, ions, lipids and glycans, before and after, where the truth is known. Structures that
the weights were trained on are left out: those of NAME-training.txt beside them or, without it, all but those that
training has always held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.atoms import read_model
from cryomap.contour import default_contour
from cryomap.density import DensityMap
from cryomap.enhancement.methods import Method, load_method
from cryomap.enhancement.run import enhance
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.errors import InputError
from cryomap.job import Options
from cryomap.metrics.qscore import q_scores
from cryomap.replacing import replacing
from simulation.randomness import uniform
from simulation.structures import is_held_out
from trust_benchmark.complexes import simulate

SMALL = ("nucleic", "ligand", "ion", "lipid", "glycan")


def main(words: list[str] | None = None) -> int:
    """Run the benchmark; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path, help="folder of .pdb or .cif files, plain or .gz")
    parser.add_argument("output", type=Path, help="the .json to write")
    parser.add_argument("--method", choices=("superem", "cryosamu"))
    parser.add_argument("--weights", help="instead of the bundled ones")
    parser.add_argument("--resolutions", type=float, nargs=2, help="A; default: those of the model card")
    parser.add_argument("--atoms", type=int, default=12000, help="leave out larger complexes")
    parser.add_argument("--keep-lost", action="store_true", help="as enhance does with it")
    options = parser.parse_args(words)
    try:
        rows = measured(options)
        table = summary(rows)
        with replacing(options.output, make_folders=True) as temporary:
            Path(temporary).write_text(json.dumps({"classes": table, "residues": rows}, indent=1))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for kind, line in table.items():
        print(f"{kind:10s}{line}")
    return 0


def measured(options: argparse.Namespace) -> list[dict]:
    """Mean Q of the residues of all complexes that the weights have never seen.

    Raises:
        InputError: weights or a structure that can't be read, or no such complex.
    """
    method = load_method(options.method, options.weights)
    rows = []
    if not options.structures.is_dir():
        raise InputError(f"{options.structures}: no such folder")
    for path in sorted(options.structures.iterdir()):
        name = path.name.split(".")[0].upper()
        if name not in method.trained_on if method.trained_on else is_held_out(name):
            rows += one_complex(path, method, options)
    if not rows:
        raise InputError(
            f"{options.structures}: no complex of at most {options.atoms} atoms, not of protein alone, that the "
            "weights have never seen"
        )
    return rows


def one_complex(path: Path, method: Method, options: argparse.Namespace) -> list[dict]:
    """Mean Q of each residue before and after; nothing for a complex that is too large or only protein."""
    whole = read_model(path)
    if len(whole) > options.atoms or not any(r.kind in SMALL for r in whole.residues):
        return []
    rng = torch.Generator().manual_seed(int.from_bytes(path.name[:4].encode()))
    resolution = uniform(*(options.resolutions or method.card.resolution), rng)
    complex_ = simulate(path, resolution, rng)
    level = default_contour(complex_.observed.values)
    after = _enhanced(complex_.observed, method, level, options.keep_lost, resolution)
    before, after = (q_scores(m, complex_.model) for m in (complex_.observed, after))
    rows = []
    for i in np.unique(complex_.model.residue_indices):
        residue, part = complex_.model.residues[i], complex_.model.residue_indices == i
        qs = [round(float(np.nanmean(q[part])), 4) for q in (before, after)]
        rows.append({"complex": complex_.story, "residue": str(residue), "kind": residue.kind, "q": qs})
    print(complex_.story, {k: v["change"] for k, v in summary(rows).items()}, flush=True)
    return rows


def _enhanced(density: DensityMap, method: Method, level: float, keep: bool, resolution: float) -> DensityMap:
    if keep:
        return enhance_trusted(
            density, method, Options(level=level, resolution=resolution, keep_lost=True)
        ).result
    return enhance(density, method, level)[0]


def summary(rows: list[dict]) -> dict[str, dict]:
    """For each class: how many residues, mean Q before and after, mean change, and the share that fell by over .05."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row["q"])
        if row["kind"] in SMALL:
            by_kind["small"].append(row["q"])
    table = {}
    for kind, qs in sorted(by_kind.items()):
        before, after = np.array(qs).T
        table[kind] = {
            "residues": len(qs),
            "before": round(float(before.mean()), 3),
            "after": round(float(after.mean()), 3),
            "change": round(float((after - before).mean()), 3),
            "fell": round(float((after - before < -0.05).mean()), 3),
        }
    return table


if __name__ == "__main__":
    sys.exit(main())
