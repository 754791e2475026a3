"""Figures that others published, beside those measured here on the same maps.

`published.tsv` holds them, a line a map and program. Sources: Subramaniya, Terashi & Kihara (SuperEM), Table S2 and
the half-map comparison with DeepEMhancer: d_model; Zhang & Dao Duc (CryoSAMU), Table 1: means of its 75 test maps
alone; Selvaraj, Wang & Cheng (CryoTEN): the 150 maps of its test set, map by map, from that program's repository.
CC_volume and the FSCs are as those papers computed them (phenix.map_model_cc and phenix.mtriage, unmasked).
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np

from pairs.entries import LISTS, read_list

from .measures import DEPOSITED, MEASURES, Measure, variants_of

FILE = Path(__file__).with_name("published.tsv")
MEANS = "75 maps"  # in place of an EMDB id: the mean over CryoSAMU's test maps

Table = tuple[str, list[str], list[list[str]]]
"""Title, header and rows."""


@cache
def published() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Figures by source, EMDB id, program and key of the measure."""
    found: dict = {}
    with open(FILE, newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            source, emdb_id, program = (row.pop(key) for key in ("source", "emdb_id", "program"))
            values = {key: float(text) for key, text in row.items() if text}
            found.setdefault(source, {}).setdefault(emdb_id, {})[program] = values
    return found


def comparisons(entries: list[dict]) -> list[Table]:
    """A table for each source that has any of the evaluated maps: means over the maps in common, theirs and ours.

    Args:
        entries: of the evaluation's JSON.
    """
    tables = []
    for source, figures in published().items():
        if MEANS in figures:
            listed = {e.emdb_id for e in read_list(LISTS / "cryosamu.tsv") if e.split == "test"}
            common = [e for e in entries if e.get("emdb_id") in listed]
            theirs = figures[MEANS]
            title = (
                f"{source}: {len(common)} of its {len(listed)} maps measured here; its own means are over all"
            )
        else:
            common = [e for e in entries if e.get("emdb_id") in figures]
            theirs = _means([figures[e["emdb_id"]] for e in common])
            title = f"{source}: {len(common)} of its {len(figures)} maps, its means and ours over these"
        if common:
            tables.append(_table(title, theirs, common))
    return tables


def _table(title: str, theirs: dict[str, dict[str, float]], entries: list[dict]) -> Table:
    shown = [m for m in MEASURES if any(m.key in values for values in theirs.values())]
    rows = [
        [f"{program} (published)", *(m.text(values.get(m.key)) for m in shown)]
        for program, values in theirs.items()
    ]
    for variant in variants_of(entries):
        name = "deposited (here)" if variant == DEPOSITED else variant
        rows.append([name, *(m.text(_mean_here(m, variant, entries)) for m in shown)])
    return title, ["mean", *(m.title for m in shown)], rows


def _mean_here(measure: Measure, variant: str, entries: list[dict]) -> float | None:
    values = [measure.of(e["scores"].get(variant, {})) for e in entries]
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def _means(maps: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of each program over the maps that it has."""
    found: dict[str, dict[str, list[float]]] = {}
    for programs in maps:
        for program, values in programs.items():
            for key, value in values.items():
                found.setdefault(program, {}).setdefault(key, []).append(value)
    return {p: {key: float(np.mean(v)) for key, v in values.items()} for p, values in found.items()}
