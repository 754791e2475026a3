"""How much better a method makes maps, measured against their models and beside what users have anyway.

    python scripts/evaluate.py --maps maps.tsv --method superem --out runs/evaluation
    python scripts/evaluate.py --maps maps.tsv --weights a.safetensors --weights b.safetensors --out runs/candidates \\
        --only EMD-5925,EMD-1657 --metrics cc,fsc --baselines none

Writes evaluation.md, evaluation.json, scores.png and sections.png.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from cryomap.atoms import AtomicModel, read_model
from cryomap.density import DensityMap, read_map, resample
from cryomap.errors import InputError
from cryomap.metrics.assess import assess
from cryomap.replacing import replacing
from cryomap.simulate import situs_map
from evaluation.figures import score_chart, section_chart
from evaluation.measures import DEPOSITED
from evaluation.tables import report
from evaluation.variants import BASELINES, STEP, Variant, chosen_variants
from pairs.archives import Sources, located
from pairs.entries import Entry, read_list, scan_folder

SECTIONS = 6  # maps in sections.png
SLAB = 3  # sections averaged into one


def chosen_entries(options: argparse.Namespace) -> list[Entry]:
    """The maps to evaluate on: those with a model, of the wanted names and resolutions.

    Raises:
        InputError: a list or folder can't be read, or nothing is left.
    """
    entries = read_list(options.maps, options.folder) if options.maps else scan_folder(options.folder)
    only = {name.strip().upper() for name in options.only.split(",") if name.strip()}
    entries = [e for e in entries if e.map_file and e.model_file]
    entries = [e for e in entries if not only or {e.name.upper(), e.emdb_id.upper(), e.pdb_id.upper()} & only]
    low, high = options.resolutions
    entries = [e for e in entries if not e.resolution or low <= e.resolution <= high]
    if not entries:
        raise InputError("no map with a model is asked for (--only, --resolutions)")
    return entries


def evaluate(
    entry: Entry, variants: dict[str, Variant], metrics: list[str]
) -> tuple[dict, dict[str, np.ndarray]]:
    """One map: its line of the JSON, and a section of each variant.

    Raises:
        InputError: map, model or resolution can't be used.
    """
    found = located(entry, Sources(Path()))
    density, model = read_map(found.map_file), read_model(found.model_file)
    at_1a = resample(density, density.grid.cubic(STEP), order=3)
    maps, facts, missing = {DEPOSITED: at_1a}, {}, {}
    for name, make in variants.items():
        begun = time.monotonic()
        result, facts[name] = make(density, at_1a, model, found.resolution)
        facts[name].setdefault("seconds", round(time.monotonic() - begun, 2))
        if isinstance(result, str):
            missing[name] = result
        else:
            maps[name] = result
    assessed = assess(list(maps.values()), model, resolution=found.resolution, metrics=metrics).to_dict()
    keep = ("residues", "chains", "curves", "map")
    scores = {
        name: {key: value for key, value in row.items() if key not in keep}
        for name, row in zip(maps, assessed["maps"], strict=True)
    }
    line = {
        "entry": entry.name,
        "emdb_id": entry.emdb_id,
        "pdb_id": entry.pdb_id,
        "resolution": found.resolution,
    }
    line |= {"scores": scores, "facts": facts, "missing": missing, "notes": assessed["notes"]}
    maps["model at 3.0 A"] = situs_map(model, at_1a.grid, 3.0)
    return line, sections(maps, model)


def sections(maps: dict[str, DensityMap], model: AtomicModel) -> dict[str, np.ndarray]:
    """The mean of a few sections through the middle of the model, cut to its surroundings, of each map (y, x)."""
    grid = maps[DEPOSITED].grid
    indices = grid.to_indices(model.positions)[:, ::-1]
    low = np.clip(indices.min(axis=0).astype(int) - 5, 0, None)
    high = np.minimum(indices.max(axis=0).astype(int) + 6, grid.shape)
    middle = int(np.clip(np.median(indices[:, 0]), SLAB // 2, grid.shape[0] - SLAB // 2 - 1))
    part = (slice(middle - SLAB // 2, middle + SLAB // 2 + 1), slice(low[1], high[1]), slice(low[2], high[2]))
    return {name: density.values[part].mean(axis=0) for name, density in maps.items()}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--maps", type=Path, help="TSV of map_file, model_file, resolution_A, emdb_id, pdb_id"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the files are (default: beside the TSV or in maps/ there); alone: NAME.map with NAME.pdb",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"), help="default: %(default)s")
    parser.add_argument(
        "--method", action="append", default=[], choices=("superem", "cryosamu"), help="bundled weights"
    )
    parser.add_argument(
        "--weights", action="append", default=[], help="weights file; may be given again, to compare"
    )
    parser.add_argument("--only", default="", help="some maps, by any of their names, separated by commas")
    parser.add_argument("--resolutions", type=_range, default=(0.0, 99.0), help="LOW-HIGH in A, e.g. 2.9-6")
    parser.add_argument(
        "--metrics", default="cc,fsc,qscore,classes,cubes", help="of %(default)s (the default: all of them)"
    )
    parser.add_argument("--baselines", default=",".join(BASELINES), help="of %(default)s, or none")
    parser.add_argument(
        "--seconds", type=float, default=60, help="for auto_sharpen, a map (default: %(default)g)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    if not (options.maps or options.folder):
        parser.error("give --maps or --folder")
    return options


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every map was measured, 1 if some couldn't be, 2 bad input."""
    options = parse(arguments)
    try:
        entries = chosen_entries(options)
        variants, heads = chosen_variants(options)
        lines, pictures, failed = [], [], []
        for number, entry in enumerate(entries, 1):
            begun = time.monotonic()
            try:
                line, shown = evaluate(entry, variants, options.metrics.split(","))
            except InputError as error:
                failed.append(f"{entry.name}: {error}")
                print(f"left out: {failed[-1]}", file=sys.stderr)
                continue
            lines.append(line)
            pictures.append((f"{entry.name} {line['resolution']:g} A", shown))
            print(f"{number} of {len(entries)}: {entry.name}, {time.monotonic() - begun:.1f} s", flush=True)
            write(options.out, {"entries": lines, "methods": heads, "failed": failed})
        if not lines:
            return 2
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
