"""Evaluations of several runs as one: a map at a time, on several machines, one program after another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryomap.errors import InputError

from .measures import DEPOSITED, MEASURES

SAME = 1e-3  # two measurements of one deposited map are alike


def joined(folders: Sequence[Path]) -> dict:
    """The evaluation (see `tables.report`) of all maps and variants of several runs.

    Args:
        folders: `--out` of each.

    Raises:
        InputError: no evaluation in one, a variant of a map twice, two variants of one name, or a deposited map that
            was measured otherwise.
    """
    result: dict = {"entries": [], "methods": {}, "failed": [], "without": []}
    by_name: dict[str, dict] = {}
    for folder in folders:
        found = _read(folder)
        result["failed"] += found.get("failed", [])
        for name, facts in found["methods"].items():
            if result["methods"].setdefault(name, facts) != facts:
                raise InputError(f"{folder}: {name} is {facts} there and {result['methods'][name]} before")
        result["without"] = sorted({*result["without"], *found.get("without", [])})
        for entry in found["entries"]:
            first = by_name.setdefault(entry["entry"], entry)
            if first is not entry:
                _add(first, entry, folder)
    result["entries"] = list(by_name.values())
    return result


def _read(folder: Path) -> dict:
    path = folder / "evaluation.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not found["entries"] or not isinstance(found["methods"], dict):
            raise ValueError("nothing in it")
        return found
    except OSError:
        raise InputError(f"{path}: no such file; give folders that evaluate.py wrote") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not an evaluation ({error})") from None


def _add(first: dict, entry: dict, folder: Path) -> None:
    """Add another run's variants of a map."""
    name, scores = entry["entry"], dict(entry["scores"])
    again = scores.pop(DEPOSITED)
    for measure in MEASURES:
        values = measure.of(first["scores"][DEPOSITED]), measure.of(again)
        if None not in values and abs(values[1] - values[0]) > SAME:
            raise InputError(
                f"{folder}: {name} as deposited has {measure.title} {values[1]:.4g} there and {values[0]:.4g} before; "
                "join runs of the same files, resolutions and version"
            )
    twice = set(scores) & set(first["scores"])
    if twice:
        raise InputError(f"{folder}: {name} has {', '.join(sorted(twice))} already")
    for key, value in again.items():
        first["scores"][DEPOSITED].setdefault(key, value)
    first["scores"] |= scores
    for key in ("facts", "missing"):
        first[key] |= entry[key]
