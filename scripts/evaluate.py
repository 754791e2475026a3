"""How much better a method makes maps, measured against their models and beside what users have anyway.

    python scripts/evaluate.py --maps maps.tsv --method superem --out runs/evaluation
    python scripts/evaluate.py --maps maps.tsv --also new=a.safetensors --also old=b.safetensors --quick \\
        --only EMD-5925,EMD-1657 --out runs/candidates
    python scripts/evaluate.py --maps maps.tsv --folds superem=runs/folds --out runs/cross-validated
    python scripts/evaluate.py --maps superem --downloads downloads --method superem --also EMReady=their/results
    python scripts/evaluate.py --join runs/new runs/released --out runs/both

Writes evaluation.md, evaluation.json, cubes.tsv, scores.png, cubes.png and sections.png;
record_evaluation.py takes the figures over into a card.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from cryomap.atoms import AtomicModel, read_model
from cryomap.density import DensityMap, read_map, resample
from cryomap.errors import InputError
from cryomap.metrics.assess import assess
from cryomap.replacing import replacing
from cryomap.simulate import situs_map
from evaluation.cubes import cube_chart, write_cubes
from evaluation.figures import score_chart, section_chart
from evaluation.joined import joined
from evaluation.measures import DEPOSITED
from evaluation.options import chosen_entries, chosen_metrics, parse
from evaluation.residues import better_residues, structure_shares
from evaluation.tables import report
from evaluation.trace import c_alpha_peaks
from evaluation.variants import STEP, Case, Variant, chosen_variants
from pairs.archives import EMDB_SERVERS, PDB_SERVERS, Sources, located
from pairs.entries import Entry

SECTIONS = 6  # maps in sections.png
SLAB = 3  # sections averaged into one


@dataclass(frozen=True)
class Evaluated:
    """One map.

    Attributes:
        line: of the JSON.
        sections: a section (y, x) of each variant.
        cubes: correlation of each 25 A cube (n,) by variant, nan where there is none; empty if not asked for.
    """

    line: dict
    sections: dict[str, np.ndarray]
    cubes: dict[str, np.ndarray]


def evaluate(entry: Entry, variants: dict[str, Variant], metrics: list[str], sources: Sources) -> Evaluated:
    """Measure one map.

    Raises:
        InputError: map, model or resolution can't be used.
    """
    found = located(entry, sources)
    density, model = read_map(found.map_file), read_model(found.model_file)
    at_1a = resample(density, density.grid.cubic(STEP), order=3)
    case = Case(entry, density, at_1a, model, found.resolution)
    maps, facts, missing = {DEPOSITED: at_1a}, {}, {}
    for name, make in variants.items():
        begun = time.monotonic()
        result, facts[name] = make(case)
        facts[name].setdefault("seconds", round(time.monotonic() - begun, 2))
        if isinstance(result, str):
            missing[name] = result
        else:
            maps[name] = result
    wanted = [m for m in metrics if m != "trace"] or ["cc"]
    assessed = assess(list(maps.values()), model, resolution=found.resolution, metrics=wanted)
    told = assessed.to_dict()
    bulky = ("residues", "chains", "curves", "map")
    scores = {
        name: {key: value for key, value in row.items() if key not in bulky}
        for name, row in zip(maps, told["maps"], strict=True)
    }
    by_variant = dict(zip(maps, assessed.maps, strict=True))
    for name, shares in better_residues(model, by_variant).items():
        scores[name]["residues"] = shares
    if "trace" in metrics:
        for name, density in maps.items():
            scores[name]["trace"] = asdict(c_alpha_peaks(density, model))
    line = {
        "entry": entry.name,
        "emdb_id": entry.emdb_id,
        "pdb_id": entry.pdb_id,
        "specimen": entry.specimen,
        "resolution": found.resolution,
        "structure": structure_shares(model),
    }
    line |= {"scores": scores, "facts": facts, "missing": missing, "notes": told["notes"]}
    maps["model at 3.0 A"] = situs_map(model, at_1a.grid, 3.0)
    cubes = {name: m.cubes.cc.ravel() for name, m in by_variant.items() if m.cubes is not None}
    return Evaluated(line, sections(maps, model), cubes)


def sections(maps: dict[str, DensityMap], model: AtomicModel) -> dict[str, np.ndarray]:
    """The mean of a few sections through the middle of the model, cut to its surroundings, of each map (y, x)."""
    grid = maps[DEPOSITED].grid
    indices = grid.to_indices(model.positions)[:, ::-1]
    low = np.clip(indices.min(axis=0).astype(int) - 5, 0, None)
    high = np.minimum(indices.max(axis=0).astype(int) + 6, grid.shape)
    middle = int(np.clip(np.median(indices[:, 0]), SLAB // 2, grid.shape[0] - SLAB // 2 - 1))
    part = (slice(middle - SLAB // 2, middle + SLAB // 2 + 1), slice(low[1], high[1]), slice(low[2], high[2]))
    return {name: density.values[part].mean(axis=0) for name, density in maps.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every map was measured, 1 if some couldn't be, 2 bad input."""
    options = parse(arguments, __doc__)
    try:
        if options.join:
            result = joined(options.join)
            write(options.out, result)
            score_chart(result["entries"], options.out / "scores.png")
            print(options.out / "evaluation.md")
            return 0
        entries, metrics = chosen_entries(options), chosen_metrics(options)
        variants, heads = chosen_variants(options)
        sources = Sources(
            options.downloads or Path(),
            tuple(options.emdb_server) or EMDB_SERVERS,
            tuple(options.pdb_server) or PDB_SERVERS,
        )
        lines, pictures, cubes, failed = [], [], {}, []
        result = {"entries": lines, "methods": heads, "failed": failed, "without": sorted(options.without)}
        for number, entry in enumerate(entries, 1):
            begun = time.monotonic()
            try:
                found = evaluate(entry, variants, metrics, sources)
            except InputError as error:
                failed.append(f"{entry.name}: {error}")
                print(f"left out: {failed[-1]}", file=sys.stderr)
                continue
            lines.append(found.line)
            pictures.append((f"{entry.name} {found.line['resolution']:g} A", found.sections))
            cubes[entry.name] = found.cubes
            print(f"{number} of {len(entries)}: {entry.name}, {time.monotonic() - begun:.1f} s", flush=True)
            write(options.out, result)
        if not lines:
            return 2
        write(options.out, result)  # with the last that failed
        if any(cubes.values()):
            write_cubes(cubes, options.out / "cubes.tsv")
            cube_chart(cubes, options.out / "cubes.png")
        score_chart(lines, options.out / "scores.png")
        section_chart(_spread(pictures), options.out / "sections.png")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(options.out / "evaluation.md")
    return 1 if failed else 0


def write(folder: Path, result: dict) -> None:
    """Write the JSON and the Markdown of what has been measured so far."""
    for name, text in (("evaluation.json", json.dumps(result, indent=1)), ("evaluation.md", report(result))):
        with replacing(folder / name, make_folders=True) as temporary:
            Path(temporary).write_text(text)


def _spread(pictures: list) -> list:
    """At most `SECTIONS` of them, evenly chosen."""
    return [pictures[i] for i in sorted({round(i) for i in np.linspace(0, len(pictures) - 1, SECTIONS)})]


if __name__ == "__main__":
    sys.exit(main())
