"""The command line: `python -m cryomap enhance`, `mapcc` (in mapcc_cli.py) and `info`."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, halves_cli, mapcc_cli
from .errors import InputError

OK, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 2 for bad input (one line on stderr), 1 for anything else.

    Args:
        arguments: what follows `python -m cryomap`; None takes sys.argv.
    """
    options = _parser().parse_args(arguments)
    logger = logging.getLogger(__package__)
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        options.run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError as error:
        print(f"error: out of memory ({error}); give a smaller box or a larger grid spacing", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    finally:
        logger.removeHandler(handler)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cryomap", description="Cryo-EM density maps made better.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enhance = commands.add_parser("enhance", help="enhance a map with a neural network")
    enhance.add_argument("maps", nargs="+", metavar="MAP", help="MRC/CCP4 map, plain or .gz")
    enhance.add_argument("-o", "--output", required=True, help="map to write (.mrc, .map or .mrc.gz)")
    enhance.add_argument("--method", choices=("superem", "cryosamu"), help="default: by resolution")
    enhance.add_argument("--resolution", type=float, metavar="A", help="of the map; chooses the method")
    enhance.add_argument("--contour", type=float, metavar="LEVEL", help="level at which you look at the map")
    enhance.add_argument("--weights", metavar="FILE", help="instead of the bundled ones")
    enhance.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps", help="default: auto")
    enhance.add_argument("--grid-spacing", type=float, metavar="A", help="of the result")
    enhance.add_argument("--mask", metavar="MAP", help="enhance only where this map is above 0")
    enhance.add_argument(
        "--keep-lost", action="store_true", help="blend the input into density that the network lost"
    )
    enhance.add_argument(
        "--samples",
        type=int,
        default=1,
        metavar="N",
        help="mean and deviation (OUTPUT_sd) over N orientations",
    )
    enhance.add_argument(
        "--half-maps", action="store_true", help="enhance two half maps alone and together, and compare"
    )
    enhance.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    enhance.set_defaults(run=_enhance)

    mapcc_cli.add_parser(commands)

    info = commands.add_parser("info", help="device, versions and bundled weights")
    info.add_argument("--json", action="store_true", help="print it as a JSON object")
    info.set_defaults(run=_info)
    return parser


def _enhance(options: argparse.Namespace) -> None:
    from .density import read_map, require_writable, write_map
    from .enhance.check import require_resolution

    if len(options.maps) > 1 and not options.half_maps:
        raise InputError(f"{len(options.maps)} maps given; one at a time, or two half maps with --half-maps")
    (path, *_) = options.maps
    require_writable(options.output, keep=path)
    if options.resolution is not None:
        require_resolution(options.resolution)
    density, *others = map(read_map, options.maps)
    mask = read_map(options.mask) if options.mask else None
    if options.half_maps:
        halves_cli.require_half_maps(options, [density, *others])

    from .enhance.methods import choose_method, load_method
    from .enhance.trusted import enhance_trusted

    name = options.method
    if name is None and options.weights is None:
        name, reason = choose_method(options.resolution)
        logging.getLogger(__name__).info(reason)
    method = load_method(name, options.weights, options.device)
    progress = _show_progress if sys.stderr.isatty() else None
    if options.half_maps:
        halves_cli.enhance_half_maps(options, [density, *others], mask, method, progress)
        return
    done = enhance_trusted(
        density,
        method,
        options.contour,
        mask,
        options.grid_spacing,
        progress,
        resolution=options.resolution,
        keep=options.keep_lost,
        samples=options.samples,
    )
    write_map(done.result, options.output)
    if done.deviation is not None:
        write_map(done.deviation, halves_cli.beside(options.output, "_sd"))
    report = done.report
    if options.json:
        print(json.dumps({"input": path, "output": options.output, **done.to_dict()}))
    else:
        print(
            f"{options.output}: {report.method}, {report.tiles_run} of {report.tiles_total} tiles in "
            f"{report.seconds:.1f} s on {report.device} ({report.precision}); "
            f"contour {report.contour_in:.4g} -> {report.contour_out:.4g}"
        )


def _show_progress(done: int, total: int, seconds_left: float) -> None:
    end = "\n" if done == total else ""
    print(f"\rtile {done} of {total}, {seconds_left:.0f} s left   ", end=end, file=sys.stderr, flush=True)


def _info(options: argparse.Namespace) -> None:
    facts = collect_info()
    if options.json:
        print(json.dumps(facts))
        return
    for key, value in facts["versions"].items():
        print(f"{key:12s}{value}")
    print(f"{'device':12s}{facts['device']} ({facts['device_name']}), {facts['precision']}")
    for name, card in facts["weights"].items():
        print(f"{name:12s}{card['version']}: {card['notes'] or 'no notes'}")
        for result, figures in card["results"].items():
            print(f"{'':12s}{result}: {figures}")


def collect_info() -> dict[str, Any]:
    """Versions, the device that "auto" means here, and the cards of the bundled weights."""
    from dataclasses import asdict
    from importlib.metadata import version

    import torch

    from .enhance.device import choose_device, choose_precision, describe
    from .networks.card import bundled_cards

    device = choose_device("auto")
    packages = ("torch", "numpy", "scipy", "mrcfile", "gemmi", "safetensors")
    return {
        "versions": {
            "cryomap": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "device": device.type,
        "device_name": describe(device),
        "precision": str(choose_precision(device)).removeprefix("torch."),
        "cuda": torch.cuda.is_available(),
        "weights": {name: asdict(card) for name, card in bundled_cards().items()},
    }
