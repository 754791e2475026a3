"""SuperEM's selection of training maps, as its Methods tell it ("Datasets"): 788, 377, 122 maps, 86 to train on.

    python scripts/select_pairs.py candidates.tsv selected.tsv

The ids of those 86 were never published. This applies the rules to a list of candidates with maps and models at hand
(the paper's: all of EMDB up to December 2018): those of 3 to 6 A; those whose map correlates with its model by more
than 0.65; no two with chains above 25 % identity (MMseqs2), of which the better correlated one is kept, which the
paper leaves open. 86 of 122 are for training, the others for testing.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.atoms import read_model
from cryomap.density import read_map
from cryomap.errors import InputError
from cryomap.replacing import replacing
from pairs.entries import Entry, read_list
from pairs.identity import mmseqs, redundant, relatives, sequences
from pairs.recipes import PAIR_RECIPES, PairRecipe, map_model_correlation, objection

TRAINING = 86 / 122
UNLIKE = "map and model correlate too little"
COLUMNS = ("emdb_id", "pdb_id", "resolution_A", "split", "map_file", "model_file", "correlation", "reason")


@dataclass(frozen=True)
class Candidate:
    """An entry on its way through the rules; `reason` says why it is left out, "" if it isn't."""

    entry: Entry
    correlation: float = 0.0
    chains: tuple[str, ...] = ()
    reason: str = ""


def examined(entry: Entry, recipe: PairRecipe) -> Candidate:
    """With its correlation and chains, or the reason why it is left out."""
    try:
        model = read_model(entry.model_file)
        reason = objection(recipe, model, entry.resolution)
        if reason:
            return Candidate(entry, reason=reason)
        correlation = map_model_correlation(read_map(entry.map_file), model, entry.resolution)
    except InputError as error:
        return Candidate(entry, reason=str(error))
    reason = "" if correlation >= recipe.min_correlation else UNLIKE
    return Candidate(entry, correlation, tuple(sequences(model).values()), reason)


def without_relatives(candidates: Sequence[Candidate], recipe: PairRecipe) -> list[Candidate]:
    """Of related entries the best correlated one stays.

    Raises:
        InputError: MMseqs2 is needed and absent.
    """
    left = [c for c in candidates if not c.reason]
    found = relatives({c.entry.name: dict(enumerate(c.chains)) for c in left}) if len(left) > 1 else []
    order = [c.entry.name for c in sorted(left, key=lambda c: -c.correlation)]
    dropped = redundant(order, found, recipe.max_identity)
    return [
        replace(c, reason=f"{dropped[c.entry.name].identity:.0f} % identity with a better one")
        if c.entry.name in dropped
        else c
        for c in candidates
    ]


def with_splits(candidates: Sequence[Candidate]) -> list[Candidate]:
    """What is left, split into training and test by the order of the names' hashes, in the paper's shares."""
    left = sorted((c.entry.name for c in candidates if not c.reason), key=lambda n: zlib.crc32(n.encode()))
    training = set(left[: round(TRAINING * len(left))])
    return [
        replace(c, entry=replace(c.entry, split="train" if c.entry.name in training else "test"))
        for c in candidates
    ]


def write(candidates: Sequence[Candidate], path: Path) -> None:
    """A table for prepare_pairs.py --list: what was left out has a reason, and is left out there.

    Raises:
        WriteError: it can't be written.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for c in candidates:
            e = c.entry
            files = [str(Path(f).absolute()) for f in (e.map_file, e.model_file)]
            split = "" if c.reason else e.split
            row = [e.emdb_id, e.pdb_id, f"{e.resolution:g}", split, *files, f"{c.correlation:.4f}", c.reason]
            writer.writerow(row)


def main(words: list[str] | None = None) -> int:
    """Select, and say how many each rule left; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("candidates", type=Path, help="table with map_file, model_file, resolution_A, pdb_id")
    parser.add_argument("output", type=Path, help="the table to write")
    arguments = parser.parse_args(words)
    recipe = PAIR_RECIPES["superem"]
    try:
        entries = read_list(arguments.candidates)
        mmseqs()
        candidates = [examined(entry, recipe) for entry in entries]
        within = sum(c.reason in ("", UNLIKE) for c in candidates)
        correlated = sum(not c.reason for c in candidates)
        candidates = with_splits(without_relatives(candidates, recipe))
        write(candidates, arguments.output)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    left = [c.entry.split for c in candidates if not c.reason]
    print(
        f"{within} of {len(candidates)} are of 3 to 6 A, {correlated} of them correlate with their models, {len(left)} "
        f"are unrelated: {left.count('train')} to train on, {left.count('test')} to test on"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
