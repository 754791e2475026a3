"""`python -m cryomap enhance`: one map into a file, or many into a folder of results."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..atoms import read_model
from ..density import read_map, require_writable
from ..errors import InputError
from . import half_maps as halves_cli

if TYPE_CHECKING:
    from ..batch.files import Settings
    from ..batch.many import Outcome

STOPPED = 130


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the `enhance` command to the command line's subparsers."""
    parser = commands.add_parser("enhance", help="enhance maps with a neural network")
    parser.add_argument("maps", nargs="+", metavar="MAP", help="MRC/CCP4 map, plain or .gz")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="map to write (.mrc, .map or .mrc.gz); for several maps, or with / at its end, a folder of results",
    )
    parser.add_argument("--method", choices=("superem", "cryosamu"), help="default: by resolution")
    parser.add_argument("--resolution", type=float, metavar="A", help="of the map; chooses the method")
    parser.add_argument("--contour", type=float, metavar="LEVEL", help="level at which you look at the map")
    parser.add_argument("--weights", metavar="FILE", help="instead of the bundled ones")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps", help="default: auto")
    parser.add_argument("--grid-spacing", type=float, metavar="A", help="of the result")
    parser.add_argument("--mask", metavar="MAP", help="enhance only where this map is above 0")
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="PDB or mmCIF that fits the map: names what was lost, finds more of it",
    )
    parser.add_argument(
        "--keep-lost", action="store_true", help="blend the input into density that the network lost"
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=1,
        metavar="N",
        help="mean and deviation (OUTPUT_sd) over N orientations",
    )
    parser.add_argument(
        "--half-maps", action="store_true", help="enhance two half maps alone and together, and compare"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="a folder's maps on this cluster: its scheduler, or scheduler file"
    )
    parser.add_argument("--json", action="store_true", help="print what was done, a JSON object for each map")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Enhance, print and write; returns the exit code.

    Raises:
        InputError: what was asked for makes no sense or, of a single map, can't be done.
    """
    from ..batch.files import Settings

    # What Apple's GPU can't do is then done by the CPU instead of failing; torch reads it when it's imported.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    settings = Settings(
        options.method,
        options.resolution,
        options.contour,
        options.weights and os.path.abspath(options.weights),
        options.device,
        options.grid_spacing,
        options.mask and os.path.abspath(options.mask),
        options.keep_lost,
        options.samples,
        options.model and os.path.abspath(options.model),
    )
    output = options.output
    if options.half_maps:
        if options.dask:
            raise InputError("--half-maps gives one result; it goes without --dask")
        _enhance_half_maps(options, settings)
        return 0
    if len(options.maps) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir():
        return _enhance_many(options, settings)
    if options.dask:
        raise InputError(f"--dask writes to a folder of results; give -o {Path(output).parent}{os.sep}")
    _enhance_single(options.maps[0], output, settings, options.json)
    return 0


def _enhance_single(source: str, output: str, settings: Settings, as_json: bool) -> None:
    from ..batch.files import enhance_file

    progress = _show_progress if sys.stderr.isatty() else None
    done = enhance_file(source, output, settings, progress)
    if as_json:
        print(json.dumps({"input": source, "output": output, **done.to_dict()}))
    else:
        print(f"{output}: {_in_words(done.to_dict())}")


def _enhance_half_maps(options: argparse.Namespace, settings: Settings) -> None:
    from ..batch.files import load

    require_writable(options.output, keep=options.maps[0])
    halves = [read_map(path) for path in options.maps]
    mask = read_map(settings.mask) if settings.mask else None
    model = read_model(settings.model) if settings.model else None
    halves_cli.require_half_maps(options, halves)
    progress = _show_progress if sys.stderr.isatty() else None
    halves_cli.enhance_half_maps(options, halves, mask, load(settings), progress, model)


def _show_progress(done: int, total: int, seconds_left: float) -> None:
    end = "\n" if done == total else ""
    print(f"\rtile {done} of {total}, {seconds_left:.0f} s left   ", end=end, file=sys.stderr, flush=True)


def _in_words(report: dict) -> str:
    return (
        f"{report['method']}, {report['tiles_run']} of {report['tiles_total']} tiles in "
        f"{report['seconds']:.1f} s on {report['device']} ({report['precision']}); "
        f"contour {report['contour_in']:.4g} -> {report['contour_out']:.4g}"
    )


def _enhance_many(options: argparse.Namespace, settings: Settings) -> int:
    from ..batch import many

    tasks = many.plan(options.maps, options.output)
    many.make_folder(options.output)
    if options.dask:
        from ..batch.cluster import enhance_on_cluster

        coming = enhance_on_cluster(tasks, settings, options.dask)
    else:
        from ..batch.processes import enhance_in_processes, gpus

        coming = enhance_in_processes(tasks, settings, gpus(settings.device))
    outcomes: list[Outcome] = []
    try:
        with _terminable(), closing(coming):
            for outcome in coming:
                outcomes.append(outcome)
                _tell(outcome, f"[{len(outcomes)}/{len(tasks)}]", options.json)
    except KeyboardInterrupt:
        _sum_up(outcomes, len(tasks))
        print("stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    _sum_up(outcomes, len(tasks))
    return many.exit_code(outcomes)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM (of a batch system, say) stops as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
