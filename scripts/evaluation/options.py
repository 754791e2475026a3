"""The command line of `evaluate.py`, and the maps that it asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from cryomap.errors import InputError
from cryomap.metrics.assess import METRICS
from pairs.entries import LISTS, Entry, read_list, scan_folder

BASELINES = ("noise_free", "sharpened", "auto_sharpen")
PUBLISHED = ("superem", "superem-half-maps", "cryosamu", "cryoten")  # tests of the papers, in `LISTS`
ALL_METRICS = (*METRICS, "trace")


def parse(arguments: list[str] | None, description: str) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--maps",
        help="TSV of map_file, model_file, resolution_A, emdb_id, pdb_id, specimen; or a published test: "
        f"{', '.join(PUBLISHED)} (with --downloads)",
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
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="under that name: a weights file (also the SuperEM authors' own), or a folder of another program's maps",
    )
    parser.add_argument(
        "--folds",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="weights of a cross-validation: folds.json says which maps each held out, those alone it is run on",
    )
    parser.add_argument(
        "--only", type=_words, default=set(), help="some maps, by any of their names, separated by commas"
    )
    parser.add_argument("--leave-out", type=_words, default=set(), help="not these")
    parser.add_argument("--splits", type=_splits, default=set(), help="of the list, say test (default: all)")
    parser.add_argument(
        "--modelling", action="store_true", help="of the list, those marked structure_modelling (cryosamu: 20)"
    )
    parser.add_argument(
        "--without", type=_words, default=set(), help="give the means again without these maps"
    )
    parser.add_argument("--downloads", type=Path, help="download what isn't here to this folder")
    parser.add_argument("--emdb-server", action="append", default=[], help="base URL; may be given again")
    parser.add_argument("--pdb-server", action="append", default=[], help="base URL; may be given again")
    parser.add_argument(
        "--quick", action="store_true", help="correlations and FSC alone, no baselines: a tenth of the time"
    )
    parser.add_argument("--resolutions", type=_range, default=(0.0, 99.0), help="LOW-HIGH in A, e.g. 2.9-6")
    parser.add_argument(
        "--metrics",
        default=",".join(ALL_METRICS),
        help="of %(default)s (the default: all of them)",
    )
    parser.add_argument("--baselines", default=",".join(BASELINES), help="of %(default)s, or none")
    parser.add_argument(
        "--seconds", type=float, default=60, help="for auto_sharpen, a map (default: %(default)g)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--join", type=Path, nargs="+", metavar="RUN", help="measure nothing: one report of these runs' folders"
    )
    options = parser.parse_args(arguments)
    if not (options.maps or options.folder or options.join):
        parser.error("give --maps, --folder or --join")
    if options.quick:
        options.metrics, options.baselines = "cc,fsc", "none"
    return options


def _words(text: str) -> set[str]:
    return {word.strip().upper() for word in text.split(",") if word.strip()}


def _splits(text: str) -> set[str]:
    return {word.lower() for word in _words(text)}


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high)


def chosen_metrics(options: argparse.Namespace) -> list[str]:
    """What is measured of each map.

    Raises:
        InputError: an unknown metric, or none.
    """
    wanted = [word.strip() for word in options.metrics.split(",") if word.strip()]
    if not wanted or set(wanted) - set(ALL_METRICS):
        raise InputError(f"--metrics {options.metrics}: must be of {', '.join(ALL_METRICS)}")
    return wanted


def chosen_entries(options: argparse.Namespace) -> list[Entry]:
    """The maps to evaluate on: those with a model, of the wanted names and resolutions.

    What a list names but has no files of is downloaded, but only if it was said where to.

    Raises:
        InputError: a list or folder can't be read, or nothing is left.
    """
    splits = options.splits
    if options.maps in PUBLISHED and not Path(options.maps).exists():
        entries, splits = read_list(LISTS / f"{options.maps}.tsv", options.folder), splits or {"test"}
    else:
        entries = read_list(options.maps, options.folder) if options.maps else scan_folder(options.folder)
    if options.downloads:
        here = [e for e in entries if (e.map_file or e.emdb_id) and (e.model_file or e.pdb_id or e.emdb_id)]
    else:
        here = [e for e in entries if e.map_file and e.model_file]
    if not here:
        raise InputError("no map and model of the list are here; --downloads FOLDER fetches them")
    low, high = options.resolutions
    found = [
        e
        for e in here
        if (not options.only or _names(e) & options.only)
        and not _names(e) & options.leave_out
        and (not splits or e.split in splits)
        and (e.modelling or not options.modelling)
        and (not e.resolution or low <= e.resolution <= high)
    ]
    if not found:
        raise InputError("no map with a model is asked for (--only, --leave-out, --splits, --modelling, --resolutions)")
    return found


def _names(entry: Entry) -> set[str]:
    return {entry.name.upper(), entry.emdb_id.upper(), entry.pdb_id.upper()} - {""}


def named(text: str) -> tuple[str, Path]:
    """NAME and PATH of NAME=PATH.

    Raises:
        InputError: not of that form, or no such path.
    """
    name, sign, path = text.partition("=")
    if not (sign and name and path):
        raise InputError(f"{text!r}: give NAME=PATH")
    if not Path(path).exists():
        raise InputError(f"{path}: no such file or folder")
    return name, Path(path)
