"""The command line: `python -m cryomap enhance` (in enhance.py), `mapcc` (in mapcc.py) and `info`."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..errors import InputError
from ..networks.card import BUNDLED, bundled_cards
from . import enhance as enhance_cli
from . import mapcc as mapcc_cli

OK, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 2 for bad input (one line on stderr), 1 for anything else.

    Args:
        arguments: what follows `python -m cryomap`; None takes sys.argv.
    """
    options = _parser().parse_args(arguments)
    logger = logging.getLogger("cryomap")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return options.run(options) or OK
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cryomap", description="Cryo-EM density maps made better.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enhance_cli.add_parser(commands)
    mapcc_cli.add_parser(commands)

    info = commands.add_parser("info", help="device, versions and bundled weights")
    info.add_argument("--json", action="store_true", help="print it as a JSON object")
    info.set_defaults(run=_info)
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
