"""`python -m cryomap mapcc`: maps against a model or a map, from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ..atoms import AtomicModel, read_model
from ..density import DensityMap, mask_on, read_map, write_map
from ..errors import InputError, memory_for
from ..metrics.assess import METRICS, assess
from ..metrics.backbone import compare_models
from ..metrics.cubes import STRIDE
from ..metrics.local_resolution import local_resolution
from ..metrics.plots import require_plottable, save_plot
from ..metrics.qscore import SIGMA
from ..metrics.results import Assessment, plain, write_text
from ..model_files import is_model
from ..outputs import require_outputs

MOST_REGIONS = 3  # of a map without a model
MOVED_SHARE = 0.1  # of a conformation, worth a line


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the `mapcc` command to the command line's subparsers."""
    parser = commands.add_parser(
        "mapcc", help="compare maps with a model or a map, in the field's own figures"
    )
    parser.add_argument(
        "maps",
        nargs="+",
        metavar="MAP",
        help="MRC/CCP4 map; changes are against the first; or a model that was built, to compare with the model",
    )
    parser.add_argument(
        "--to",
        nargs="+",
        required=True,
        metavar="MODEL|MAP",
        help="a model (.cif, .pdb, also .gz and .bz2), a map (the other half map, say), or one of each",
    )
    parser.add_argument(
        "--model-number",
        type=int,
        metavar="N",
        help="the MODEL of --to's file to take; default: the first of an ensemble, all of an assembly",
    )
    parser.add_argument(
        "--resolution", type=float, metavar="A", help="of the maps; default: d99 of the first"
    )
    parser.add_argument(
        "--metrics", default="all", help=f"all, or some of {','.join(METRICS)} (default: all)"
    )
    parser.add_argument("--mask", metavar="MAP", help="use this mask (inside above 0.5), not the model's")
    parser.add_argument(
        "--sigma", type=float, default=SIGMA, metavar="A", help="of Q-scores: %(default)s; EMDB's is 0.4"
    )
    parser.add_argument("--contour", type=float, nargs="+", metavar="LEVEL", help="of each map, for ligands")
    parser.add_argument(
        "--stride", type=int, default=STRIDE, metavar="A", help="between cubes (default: %(default)s)"
    )
    parser.add_argument(
        "--local-resolution",
        metavar="OUT.mrc",
        help="of two half maps (HALF1 --to HALF2): write it as a map in A, to color a surface by",
    )
    parser.add_argument(
        "--json", metavar="OUT", help="write one JSON object; - prints it instead of the table"
    )
    parser.add_argument("--csv", metavar="OUT", help="write every value, one a line; - prints them")
    parser.add_argument(
        "--plot", metavar="OUT.png", help="FSC curves and scores by residue (needs matplotlib)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare, print and write what was asked for.

    Raises:
        InputError: a file can't be read or written, or the input makes no sense; nothing is printed then.
    """
    given = (options.csv, options.json, options.plot, options.local_resolution)
    outputs = [path for path in given if path is not None and path != "-"]
    require_outputs(outputs, [*options.maps, *options.to, options.mask])
    if options.plot:
        require_plottable(options.plot)
    if options.csv == options.json == "-":
        raise InputError("--json - and --csv - would print into each other; give one of them a file")
    if options.contour and len(options.contour) != len(options.maps):
        raise InputError(
            f"--contour has {len(options.contour)} levels for {len(options.maps)} maps; give one each"
        )
    model, against = _targets(options.to, options.model_number)
    if options.model_number is not None and model is None:
        raise InputError("--model-number chooses from a model's file; give one to --to")
    built = [path for path in options.maps if is_model(path)]
    if built:
        _compare_models(built, model, options)
        return
    maps = [read_map(path) for path in options.maps]
    mask = None if options.mask is None else mask_on(read_map(options.mask), maps[0]).values
    if options.local_resolution and (against is None or len(maps) != 1):
        raise InputError("--local-resolution takes the two half maps of one reconstruction: HALF1 --to HALF2")
    with memory_for(f"{options.maps[0]}, {maps[0].grid}"):
        report = assess(
            maps,
            model,
            against,
            resolution=options.resolution,
            metrics=[name.strip() for name in options.metrics.split(",") if name.strip()],
            mask=mask,
            sigma=options.sigma,
            levels=options.contour,
            stride=options.stride,
            progress=lambda step: print(step, file=sys.stderr),
        )
        if options.local_resolution and against is not None:
            write_map(local_resolution(maps[0], against, mask=mask), options.local_resolution)
    if options.json and options.json != "-":
        write_text(report.to_json() + "\n", options.json)
    if options.csv and options.csv != "-":
        write_text(report.to_csv(), options.csv)
    if options.plot:
        save_plot(report, options.plot)
    if options.csv == "-":
        print(report.to_csv(), end="")
    else:
        print(report.to_json() if options.json == "-" else table(report))


def _compare_models(built: list[str], true: AtomicModel | None, options: argparse.Namespace) -> None:
    """Print, or write as JSON, how much of the true model's backbone each built one has.

    Raises:
        InputError: maps among the models, no model to compare with, or an option that is about maps.
    """
    if len(built) < len(options.maps):
        raise InputError(f"{', '.join(options.maps)}: give models or maps, not both")
    for name in ("csv", "plot", "mask", "contour", "local_resolution"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is about maps; models are compared as a table or as --json")
    if true is None:
        raise InputError(f"{built[0]} is a model; give the model to compare it with to --to")
    found = [{"model": Path(path).name, **asdict(compare_models(read_model(path), true))} for path in built]
    text = json.dumps({"to": true.name, "models": plain(found)}, allow_nan=False)
    if options.json and options.json != "-":
        write_text(text + "\n", options.json)
    rows = [
        (key, *(_show(row[key]) if isinstance(row[key], float) else str(row[key]) for row in found))
        for key in found[0]
    ]
    print(text if options.json == "-" else "\n".join(_aligned(rows)))


def _targets(paths: list[str], number: int | None) -> tuple[AtomicModel | None, DensityMap | None]:
    """The model and the map among the files to compare with; None for the one that isn't there."""
    model = against = None
    for path in paths:
        if is_model(path):
            if model is not None:
                raise InputError(f"{path}: a second model; give one model and at most one map to --to")
            model = read_model(path, number)
        else:
            if against is not None:
                raise InputError(f"{path}: a second map; give one map and at most one model to --to")
            against = read_map(path)
    return model, against


def table(report: Assessment) -> str:
    """The figures as text: a line a figure and a column a map, then classes, ligands, cubes and notes."""
    target = " and ".join(name for name in (report.model and report.model.name, report.against) if name)
    names = [f"{scores.name} ({scores.frame})" if scores.frame else scores.name for scores in report.maps]
    lines = [f"to {target}, resolution {report.resolution:g} A", ""]
    rows = [("", *names)]
    for figure in report.maps[0].figures:
        rows.append((figure, *(_show(scores.figures.get(figure)) for scores in report.maps)))
    rows += _class_rows(report)
    cubes = [scores.cube_comparison for scores in report.maps if scores.cube_comparison is not None]
    if cubes:
        rows.append(("cubes: mean CC", *(_show(found.mean_after) for found in cubes)))
        if len(cubes) > 1:
            rows.append(("cubes: share improved", "", *(_show(found.improved) for found in cubes[1:])))
    lines += _aligned(rows)
    marked = [(s.name, row) for s in report.maps for row in report.ligand_rows(s) if row["marks"]]
    for name, row in marked:
        residue = f"/{row['chain']}:{row['number']}{row['insertion_code']} {row['name']}"
        lines.append(f"worse in {name}: {residue}: {', '.join(row['marks'])}")
    lines += _moved_conformations(report)
    lines += [
        f"no model in {scores.name}: {region.volume:.0f} A^3 about {', '.join(f'{x:.0f}' for x in region.center)}"
        for scores in report.maps
        for region in scores.unmodelled[:MOST_REGIONS]
    ]
    return "\n".join(lines + [""] + [f"note: {note}" for note in report.notes])


def _moved_conformations(report: Assessment) -> list[str]:
    """Alternate conformations whose share of the density is another than in the first map."""
    first, *others = report.maps
    lines = []
    for scores in others:
        rows = zip(report.conformer_rows(first), report.conformer_rows(scores), strict=True)
        for before, now in rows:
            shares = before["share"], now["share"]
            if None not in shares and abs(shares[1] - shares[0]) > MOVED_SHARE:
                place = f"/{now['chain']}:{now['number']}{now['insertion_code']} {now['name']}"
                lines.append(
                    f"conformation {now['alt_loc']} of {place} has {shares[1]:.2f} of the density in "
                    f"{scores.name}, {shares[0]:.2f} in {first.name}"
                )
    return lines


def _class_rows(report: Assessment) -> list[tuple[str, ...]]:
    rows = []
    for name, first in report.maps[0].classes.items():
        for measure in ("q", "rscc"):
            cells = []
            for scores in report.maps:
                now = scores.classes[name]
                mean, sd = getattr(now, f"{measure}_mean"), getattr(now, f"{measure}_sd")
                change = mean - getattr(first, f"{measure}_mean")
                cells.append(
                    f"{mean:.3f} +- {sd:.3f}" + (f" ({change:+.3f})" if scores is not report.maps[0] else "")
                )
            rows.append((f"{name} {measure} (n = {getattr(first, f'{measure}_count')})", *cells))
    return rows


def _show(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4g}" if abs(value) < 0.01 else f"{value:.3f}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
