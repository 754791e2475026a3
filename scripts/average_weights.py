"""Average weights: average_weights.py OUT.safetensors 0.35:A.safetensors 0.65:B.safetensors [--half]

Of one run, or of runs that began with the same weights: superem 0.5.0 began its last run with the mean of two
(Izmailov et al. 2018, "Averaging weights leads to wider optima"). OUT.toml records the parts, shares and SHA-256 of
each; `average_weights.py OUT.safetensors --by OUT.toml` makes the same weights again, or says which part is missing
or another. Keep the parts and their cards for it, where they lie from OUT.toml.

A cryosamu's cross-attention that no embedding ever taught is left out; of a single file, that is all that changes:
average_weights.py OUT.safetensors 1:IN.safetensors --half
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch

from cryomap.errors import InputError
from cryomap.networks.card import Card
from cryomap.networks.checkpoint import load_weights, save_weights, without_untrained_attention
from cryomap.networks.training_ids import training_ids, write_training_ids
from cryomap.replacing import replacing
from cryomap.typed_json import from_plain
from pairs.checksums import digest


@dataclass(frozen=True)
class Part:
    """One of the weights that are averaged.

    Attributes:
        share: of it; shares are scaled to a sum of 1.
        file: its path, from the record's folder or as given.
        sha256: that it must have; "": any.
    """

    share: float
    file: str
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ValueError(f"{self.file}: share {self.share:g}; every share must be above 0")


def average(parts: Sequence[Part], folder: Path) -> tuple[torch.nn.Module, Card, list[Part]]:
    """The weighted mean of networks, with the last one's card, which then tells the shares.

    Returns:
        The network, its card, and the parts with the SHA-256 that they have.

    Raises:
        InputError: a file can't be used, isn't the one that was recorded, or is of another architecture than the
            first.
    """
    total = sum(part.share for part in parts)
    mean, told, found, first = None, [], [], None
    for part in parts:
        path = folder / part.file
        network, card = without_untrained_attention(*load_weights(None, path))
        sha256 = digest(path, "sha256")
        if part.sha256 not in ("", sha256):
            raise InputError(f"{path}: not the weights that were averaged; its SHA-256 is {sha256}")
        first = first or card
        if (card.method, card.architecture) != (first.method, first.architecture):
            raise InputError(f"{path}: {card.architecture}, but {parts[0].file} has {first.architecture}")
        scaled = {key: value.float() * (part.share / total) for key, value in network.state_dict().items()}
        mean = scaled if mean is None else {key: mean[key] + scaled[key] for key in mean}
        found.append(replace(part, sha256=sha256))
        facts = {"version": card.version, "steps": card.training.get("steps"), "sha256": sha256}
        told.append({"share": round(part.share / total, 4), **facts})
    network.load_state_dict(mean)
    if len(parts) > 1:
        card = replace(card, training={**card.training, "average of": told})
    return network, card, found


def read_record(path: Path) -> tuple[list[Part], bool]:
    """The parts that a record names, and whether float16 was stored.

    Raises:
        InputError: it can't be read, or isn't such a record.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        parts = [from_plain(Part, part, "part") for part in content["part"]]
        if not parts:
            raise ValueError("no parts in it")
        return parts, bool(content.get("half", False))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a record of average_weights.py ({error})") from None


def write_record(path: Path, parts: Sequence[Part], half: bool) -> None:
    """Write what was averaged; TOML's strings are written as JSON's.

    Raises:
        WriteError: it can't be written.
    """
    import json

    lines = [f"half = {str(half).lower()}"]
    for part in parts:
        lines += ["", "[[part]]", f"share = {part.share!r}"]
        file = os.path.relpath(part.file, path.parent)
        lines += [f"file = {json.dumps(file)}", f"sha256 = {json.dumps(part.sha256)}"]
    with replacing(path) as temporary:
        Path(temporary).write_text("\n".join([*lines, ""]), encoding="utf-8")


def main(words: list[str] | None = None) -> int:
    """Average, save and record; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("parts", nargs="*", metavar="SHARE:FILE")
    parser.add_argument("--half", action="store_true", help="store float16")
    parser.add_argument("--by", type=Path, help="a record: make the same again, from the files it names")
    arguments = parser.parse_args(words)
    try:
        if bool(arguments.by) == bool(arguments.parts):
            raise InputError("give parts as SHARE:FILE, or --by a record")
        if arguments.by:
            parts, half = read_record(arguments.by)
            folder = arguments.by.parent
        else:
            parts, half, folder = [_part(word) for word in arguments.parts], arguments.half, Path()
        network, card, parts = average(parts, folder)
        save_weights(network.half() if half else network, card, arguments.output)
        write_training_ids(
            frozenset().union(*(training_ids(folder / part.file) for part in parts)), arguments.output
        )
        if not arguments.by:
            write_record(arguments.output.with_suffix(".toml"), parts, half)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _part(word: str) -> Part:
    share, _, file = word.partition(":")
    try:
        return Part(float(share), file)
    except ValueError as error:
        raise InputError(f"{word}: not SHARE:FILE ({error})") from None


if __name__ == "__main__":
    sys.exit(main())
