"""Calibrate the confidence of weights: calibrate_confidence.py superem --maps maps.tsv --out runs/confidence

How dense the result is becomes the probability that an atom lies within 1.5 A. It is fitted to real maps with models
that the weights have never seen, each specimen counting the same, and measured on the specimen that was left out.
Writes confidence.md, which names the maps that they have seen after all, and reliability.png; with --record the
coefficients and figures go into the card.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.enhancement.methods import load_method
from cryomap.errors import InputError
from cryomap.networks.card import BUNDLED, METHODS, read_card
from cryomap.networks.checkpoint import update_card
from cryomap.replacing import replacing
from evaluation.calibration import fit, left_out, places, reliability_chart, report
from evaluation.tables import trained_on
from pairs.entries import read_list


def main(words: list[str] | None = None) -> int:
    """Calibrate; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--weights", type=Path, help="the weights file (default: the bundled one)")
    parser.add_argument("--maps", type=Path, required=True, help="table of maps with models, see evaluate.py")
    parser.add_argument("--only", default="", help="EMDB ids or names of some of them, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--record", action="store_true", help="write the outcome into the card")
    arguments = parser.parse_args(words)
    try:
        calibrate(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def calibrate(arguments: argparse.Namespace) -> None:
    """Run the network over the maps, fit, and tell.

    Raises:
        InputError: a file can't be read, or fewer than two specimens.
    """
    method = load_method(arguments.method, arguments.weights)
    low, high = method.card.resolution
    only = set(filter(None, arguments.only.split(",")))
    entries = [e for e in read_list(arguments.maps) if e.model_file and low <= e.resolution <= high]
    entries = [e for e in entries if not only or {e.name, e.emdb_id} & only]
    found = []
    for entry in entries:
        found.append(places(entry, method))
        print(f"{entry.name}: {found[-1].near.mean():.3f} of the places are near an atom", flush=True)
    if len({one.specimen for one in found}) < 2:
        raise InputError(f"{arguments.maps}: maps of two specimens at least, from {low:g} to {high:g} A")
    said = left_out(found)
    arguments.out.mkdir(parents=True, exist_ok=True)
    reliability_chart(found, said, arguments.out / "reliability.png")
    text, figures = report(found, said)
    seen = [entry.name for entry in entries if entry.emdb_id in method.trained_on]
    text = "\n".join([*trained_on(method.card.method, seen), text])
    with replacing(arguments.out / "confidence.md") as temporary:
        Path(temporary).write_text(text)
    print(text)
    if arguments.record:
        path = arguments.weights or BUNDLED / f"{arguments.method}.safetensors"
        coefficients = tuple(round(float(c), 5) for c in fit(found))
        card = read_card(path.with_suffix(".json"))
        results = {**card.results, "confidence": figures}
        update_card(path, confidence=coefficients, results=results)


if __name__ == "__main__":
    sys.exit(main())
