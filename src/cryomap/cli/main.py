"""The command line: `python -m cryomap enhance` (in enhance.py), `mapcc` (in mapcc.py) and `info`."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..errors import InputError, is_out_of_memory
from ..log_lines import LogLines
from ..networks.card import BUNDLED, bundled_cards
from . import enhance as enhance_cli
from . import mapcc as mapcc_cli
from .streams import INTERRUPTED, forgiving_streams, stoppable

OK, FAILED, BAD_INPUT = 0, 1, 2
MEMORY_HELP = "cut out the part of interest, give a larger --grid-spacing, or use a machine with more memory"
# argparse knows -3 and -.5 from options, but not -3e-3.
NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        arguments: what follows `python -m cryomap`; None takes sys.argv.

    Returns:
        0, 2 for bad input and outputs that can't be written, 128 + n after signal n (130 after Ctrl-C), 1 for
        anything else; with one line on stderr.
    """
    try:
        with stoppable(), forgiving_streams():
            return _run(arguments)
    except InputError as error:  # of standard output itself
        return _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt as error:  # in the moment before or after
        return getattr(error, "status", INTERRUPTED)


def _run(arguments: Sequence[str] | None) -> int:
    logger = logging.getLogger("cryomap")
    handler = LogLines(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        options = _parser().parse_args(arguments)
        return options.run(options) or OK
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except PermissionError as error:
        return _fail(f"{error.filename}: can't be read or written ({error.strerror})", BAD_INPUT)
    except KeyboardInterrupt as error:
        return _fail("stopped; nothing was written", getattr(error, "status", INTERRUPTED))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return _fail(f"out of memory for {error or 'the maps'}; {MEMORY_HELP}", FAILED)
    finally:
        logger.removeHandler(handler)


def _fail(message: str, status: int) -> int:
    """Say it in one line, whatever a name in it holds."""
    line = "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else " " for c in message)
    print(line if status >= INTERRUPTED - 2 else f"error: {line}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cryomap", description="Cryo-EM density maps made better.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enhance_cli.add_parser(commands)
    mapcc_cli.add_parser(commands)

    info = commands.add_parser("info", help="device, versions and bundled weights")
    info.add_argument("--json", action="store_true", help="print it as a JSON object")
    info.set_defaults(run=_info)
    for command in commands.choices.values():
        command._negative_number_matcher = NEGATIVE_NUMBER
    return parser


def _info(options: argparse.Namespace) -> None:
    facts = collect_info()
    if options.json:
        print(json.dumps(facts))
        return
    for key, value in facts["versions"].items():
        print(f"{key:12s}{value}")
    print(f"{'device':12s}{facts['device']} ({facts['device_name']}), {facts['precision']}")
    for name, card in bundled_cards().items():
        text = " ".join(card.summary())
        print(textwrap.fill(text, 100, initial_indent=f"{name:12s}", subsequent_indent=" " * 12))
    print(f"{'reports':12s}{BUNDLED}")


def collect_info() -> dict[str, Any]:
    """Versions, the device that "auto" means here, and the cards of the bundled weights."""
    from dataclasses import asdict
    from importlib.metadata import version

    import torch

    from ..enhancement.device import choose_device, choose_precision, describe

    device = choose_device("auto")
    packages = ("torch", "numpy", "scipy", "gemmi", "safetensors")
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
