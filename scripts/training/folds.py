"""Cross-validation over specimens: every map is measured with weights that never saw its specimen.

OUT/folds.json says which maps each fold holds out, {"fold-0": ["emd_5168", ...], ...}; the weights of fold K are
OUT/fold-K/METHOD.safetensors. scripts/evaluate.py --folds gathers them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cryomap.atoms import read_model
from cryomap.errors import InputError
from cryomap.replacing import replacing
from pairs.entries import Entry
from pairs.identity import sequences

WORD = 5  # residues
SHARED = 0.1  # of a chain's words: two chains of one family of antibodies have .17, unrelated ones below .03


def held_out(
    entries: Sequence[Entry], chains: Mapping[str, Iterable[str]], folds: int
) -> dict[int, list[str]]:
    """Names of the maps that each fold holds out.

    Groups of specimens that share chains (antibodies, say), the largest first, then in an order by a hash of their
    names, go to the fold with the fewest maps so far.

    Args:
        entries: the maps.
        chains: sequences of the chains in each one's model, by name.
        folds: how many.

    Raises:
        InputError: fewer groups than folds.
    """
    groups = _groups(entries, {name: [_words(chain) for chain in found] for name, found in chains.items()})
    if not 2 <= folds <= len(groups):
        raise InputError(
            f"--folds {folds}: give 2 to {len(groups)}, the number of specimens that share nothing"
        )
    fold_of: dict[int, list[str]] = {fold: [] for fold in range(folds)}
    for group in sorted(groups, key=lambda g: (-len(g), hashlib.sha256(min(g).encode()).digest())):
        fold_of[min(fold_of, key=lambda fold: len(fold_of[fold]))] += group
    return {fold: sorted(names) for fold, names in fold_of.items()}


def chains_of(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Sequences of the protein chains in each entry's model, by name."""
    return {e.name: sorted(set(sequences(read_model(e.model_file)).values())) for e in entries}


def _groups(entries: Sequence[Entry], words: Mapping[str, list[set[str]]]) -> list[list[str]]:
    """Names of entries that are linked, by specimen or by chains, directly or through others."""
    groups: list[list[Entry]] = []
    for entry in entries:
        linked = [g for g in groups if any(_are_linked(entry, other, words) for other in g)]
        groups = [g for g in groups if g not in linked] + [[entry, *(e for g in linked for e in g)]]
    return [[entry.name for entry in group] for group in groups]


def _are_linked(a: Entry, b: Entry, words: Mapping[str, list[set[str]]]) -> bool:
    pairs = ((x, y) for x in words.get(a.name, ()) for y in words.get(b.name, ()) if x and y)
    return a.specimen == b.specimen or any(len(x & y) > SHARED * min(len(x), len(y)) for x, y in pairs)


def _words(chain: str) -> set[str]:
    words = {chain[i : i + WORD] for i in range(len(chain) - WORD + 1)}
    return {word for word in words if "X" not in word}


def write_folds(out: Path, fold_of: dict[int, list[str]]) -> None:
    """Write OUT/folds.json, or see that what is there is the same.

    Raises:
        InputError: other folds are there.
        WriteError: it can't be written.
    """
    path, content = out / "folds.json", {f"fold-{fold}": names for fold, names in fold_of.items()}
    if path.is_file():
        try:
            there = json.loads(path.read_text())
        except ValueError:
            there = None
        if there != content:
            raise InputError(f"{path}: of other folds or other maps; take another --out")
        return
    with replacing(path, make_folders=True) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n")
