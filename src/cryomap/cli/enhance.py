"""`python -m cryomap enhance`: one map into a file, or many into a folder of results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..job import OPTIONS, Option, Options
from ..metrics.changes import WATERS_LOST
from ..trust.input_verdict import MEANINGLESS, WORTHLESS
from ..trust.preserved import split_selection
from ..typed_json import to_plain
from .half_maps import enhance_half_maps
from .streams import INTERRUPTED

if TYPE_CHECKING:
    from ..batch.many import Outcome, Task
    from ..enhancement.tiles import Progress

ALIASES = {"level": ("--contour",)}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the `enhance` command to the command line's subparsers."""
    parser = commands.add_parser("enhance", help="enhance maps with a neural network")
    parser.add_argument("maps", nargs="+", metavar="MAP", help="MRC/CCP4 map, plain, .gz or .bz2")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="map to write (.mrc, .map, .mrc.gz ...); for several maps, or with / at its end, a folder of results",
    )
    for option in OPTIONS:
        _add_option(parser, option)
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="a folder's maps on this cluster: its scheduler, or scheduler file"
    )
    parser.add_argument("--json", action="store_true", help="print what was done, a JSON object for each map")
    parser.set_defaults(run=run)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    names = [f"--{option.name.replace('_', '-')}", *ALIASES.get(option.name, ())]
    if option.kind is bool:
        parser.add_argument(*names, action="store_true", help=option.help)
        return
    # Choices and bounds are checked by `Options`.
    metavar = (
        option.metavar
        or "|".join(option.choices)
        or ("FILE" if option.is_file else option.unit or option.kind.__name__.upper())
    )
    default = "" if option.default is None else f"; default: {option.default}"
    parser.add_argument(
        *names, type=option.kind, default=option.default, metavar=metavar, help=option.help + default
    )


def _options(arguments: argparse.Namespace) -> Options:
    """The options, files as absolute paths: other processes may have another working directory."""
    given = {option.name: getattr(arguments, option.name) for option in OPTIONS}
    for option in OPTIONS:
        if option.is_file and given[option.name]:
            given[option.name] = os.path.abspath(given[option.name])
    if given["preserve"]:
        path, selection = split_selection(given["preserve"])
        given["preserve"] = ":".join(filter(None, (os.path.abspath(path), selection)))
    return Options(**given)


def run(arguments: argparse.Namespace) -> int:
    """Enhance, print and write; returns the exit code.

    Raises:
        InputError: what was asked for makes no sense or, of a single map, can't be done.
    """
    # What Apple's GPU can't do is then done by the CPU instead of failing; torch reads it when it's imported.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    options, output = _options(arguments), arguments.output
    if not output:
        raise InputError("-o is empty; give the name of a map to write, or a folder")
    if options.half_maps:
        if arguments.dask:
            raise InputError("--half-maps gives one result; it goes without --dask")
        enhance_half_maps(arguments.maps, output, options, arguments.json, _progress())
        return 0
    if len(arguments.maps) > 1 or output.endswith(("/", os.sep)) or os.path.isdir(output):
        return _enhance_many(arguments, options)
    if arguments.dask:
        raise InputError(f"--dask writes to a folder of results; give -o {Path(output).parent}{os.sep}")
    _enhance_single(arguments.maps[0], output, options, arguments.json)
    return 0


def _enhance_single(source: str, output: str, options: Options, as_json: bool) -> None:
    from ..batch.files import enhance_file

    report = to_plain(enhance_file(source, output, options, _progress()).report)
    if as_json:
        print(json.dumps({"input": source, "output": output, **report}))
    else:
        print(f"{output}: {_in_words(report)}")


def _progress() -> Progress | None:
    return _show_progress if sys.stderr.isatty() else None


def _show_progress(done: int, total: int, seconds_left: float) -> None:
    end = "\n" if done == total else ""
    print(f"\rtile {done} of {total}, {seconds_left:.0f} s left   ", end=end, file=sys.stderr, flush=True)


def _in_words(report: dict) -> str:
    return (
        f"{report['method']}, {report['tiles_run']} of {report['tiles_total']} tiles in "
        f"{report['seconds']:.1f} s on {report['device']} ({report['precision']}); "
        f"contour {report['contour_in']:.4g} -> {report['contour_out']:.4g}; "
        f"{_from_input(report)}{_trust_in_words(report)}"
    )


def _from_input(report: dict) -> str:
    """What of a result is the input's."""
    finer, undrawn, preserved = (report[key] for key in ("detail_from_input", "undrawn", "preserved"))
    parts = f"detail finer than {finer:g} A is the input's; " if finer is not None else ""
    parts += f"{undrawn:.0f} A^3 not drawn by the network are the input's; " if round(undrawn) else ""
    return parts + (f"{preserved:.0f} A^3 preserved; " if preserved else "")


def _trust_in_words(report: dict) -> str:
    trust = report["trust"]
    if trust is None:
        return "not compared with the input"
    support = f"support by the input {trust['support']:.2f}"
    if any(warning["kind"] in WORTHLESS for warning in report["warnings"]):
        return f"{support}; {MEANINGLESS}"
    lost, invented = (len(trust[kind]) for kind in ("lost", "invented"))
    found = f"{lost} lost and {invented} invented regions" if lost + invented else "no density was lost or invented"
    parts = [support, found]
    told = trust["molecules"] or {}
    if told.get("molecules"):
        worse = sum(bool(change["marks"]) for change in told["molecules"])
        parts.append(f"{worse} of {len(told['molecules'])} ligands, lipids, glycans, and ions became worse")
    if told.get("water_q"):
        before, after = told["water_q"]
        parts.append(f"mean Q of {told['waters']} waters {before:.2f} -> {after:.2f}")
        if lost := len(told["waters_lost"]):
            parts.append(f"{lost} of {told['waters_shown']} that showed {WATERS_LOST}")
    return "; ".join(parts)


def _enhance_many(arguments: argparse.Namespace, options: Options) -> int:
    from ..batch import many

    tasks = many.plan(arguments.maps, arguments.output)
    made = many.make_folder(arguments.output)
    try:
        many.require_places(tasks, options)
        return _follow(_outcomes(tasks, options, arguments.dask), len(tasks), arguments.json)
    finally:
        if made:  # for nothing, if nothing is in it
            with suppress(OSError):
                os.rmdir(arguments.output)


def _outcomes(tasks: Sequence[Task], options: Options, cluster: str | None) -> Generator[Outcome, None, None]:
    if cluster:
        from ..batch.cluster import enhance_on_cluster

        return enhance_on_cluster(tasks, options, cluster)
    from ..batch.processes import enhance_in_processes, gpus

    return enhance_in_processes(tasks, options, gpus(options.device))


def _follow(coming: Generator[Outcome, None, None], total: int, as_json: bool) -> int:
    """Tell outcomes as they come; returns the exit code."""
    from ..batch import many

    outcomes: list[Outcome] = []
    try:
        with closing(coming):
            for outcome in coming:
                outcomes.append(outcome)
                _tell(outcome, f"[{len(outcomes)}/{total}]", as_json)
    except KeyboardInterrupt as stop:
        _sum_up(outcomes, total)
        print("stopped; the same command goes on from here", file=sys.stderr)
        return getattr(stop, "status", INTERRUPTED)
    _sum_up(outcomes, total)
    return many.exit_code(outcomes)


def _tell(outcome: Outcome, count: str, as_json: bool) -> None:
    source, result = str(outcome.task.source), str(outcome.task.result)
    if as_json:
        facts = {"input": source, "output": result, "state": outcome.state}
        if outcome.state == "failed":
            facts |= {"kind": outcome.kind, "message": outcome.message}
        print(json.dumps({**facts, **outcome.report}), flush=True)
    elif outcome.state == "done":
        print(f"{count} {result}: {_in_words(outcome.report)}", flush=True)
    elif outcome.state == "skipped":
        print(f"{count} {result}: there already", flush=True)
    if outcome.state == "failed":
        print(f"{count} error: {outcome.message}", file=sys.stderr, flush=True)


def _sum_up(outcomes: Sequence[Outcome], total: int) -> None:
    count = Counter(outcome.state for outcome in outcomes)
    print(
        f"{total} maps: {count['done']} done, {count['skipped']} there already, {count['failed']} failed"
        + (f", {total - len(outcomes)} left" if len(outcomes) < total else ""),
        file=sys.stderr,
    )
    for outcome in outcomes:
        if outcome.state == "failed":
            print(f"  {outcome.message}", file=sys.stderr)
