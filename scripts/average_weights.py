"""Average weights: average_weights.py OUT.safetensors 0.35:A.safetensors 0.65:B.safetensors [--half]

Of one run, or of runs that began with the same weights: superem 0.5.0 began its last run with the mean of two
(Izmailov et al. 2018, "Averaging weights leads to wider optima"). Keep copies of the weights and cards for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch

from cryomap.errors import InputError
from cryomap.networks.card import Card
from cryomap.networks.checkpoint import load_weights, save_weights


def average(parts: Sequence[tuple[float, Path]]) -> tuple[torch.nn.Module, Card]:
    """The weighted mean of networks, with the last one's card, which then tells the shares.

    Args:
        parts: share and weights file of each; the shares are scaled to a sum of 1.

    Raises:
        InputError: a file can't be used, or is of another architecture than the first; a share isn't above 0.
    """
    if not all(share > 0 for share, _ in parts):
        raise InputError("every share must be above 0")
    total = sum(share for share, _ in parts)
    mean, told, first = None, [], None
    for share, path in parts:
        network, card = load_weights(None, path)
        first = first or card
        if (card.method, card.architecture) != (first.method, first.architecture):
            raise InputError(f"{path}: {card.architecture}, but {parts[0][1]} has {first.architecture}")
        scaled = {key: value.float() * (share / total) for key, value in network.state_dict().items()}
        mean = scaled if mean is None else {key: mean[key] + scaled[key] for key in mean}
        told.append({"share": round(share / total, 4), "steps": card.training.get("steps")})
    network.load_state_dict(mean)
    return network, replace(card, training={**card.training, "average of": told})


def main(words: list[str] | None = None) -> int:
    """Average and save; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("parts", nargs="+", metavar="SHARE:FILE", type=_part)
    parser.add_argument("--half", action="store_true", help="store float16")
    arguments = parser.parse_args(words)
    try:
        network, card = average(arguments.parts)
        save_weights(network.half() if arguments.half else network, card, arguments.output)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _part(word: str) -> tuple[float, Path]:
    share, _, path = word.partition(":")
    return float(share), Path(path)


if __name__ == "__main__":
    sys.exit(main())
