"""What becomes of residues, in helices, strands and elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cryomap.atoms import AtomicModel
from cryomap.metrics.results import MapScores
from cryomap.metrics.secondary_structure import secondary_structure

from .measures import DEPOSITED


def better_residues(
    model: AtomicModel, scores: Mapping[str, MapScores]
) -> dict[str, dict[str, float | None]]:
    """The share of residues whose RSCC is better than in the deposited map, by variant.

    Returns:
        Of each variant but the deposited map `better` (of all), `helix`, `strand` and `other`; None where there are
        none. Empty if RSCC was not asked for.
    """
    first = scores[DEPOSITED].residue_rscc
    if first is None:
        return {}
    kinds = secondary_structure(model)
    parts = {"better": np.ones(len(kinds), bool)} | {
        name: kinds == kind for name, kind in (("helix", "H"), ("strand", "E"), ("other", "-"))
    }
    found = {}
    for name, now in scores.items():
        if name == DEPOSITED:
            continue
        valid = np.isfinite(first) & np.isfinite(now.residue_rscc)
        better = now.residue_rscc > first
        found[name] = {
            part: float(better[valid & chosen].mean()) if (valid & chosen).any() else None
            for part, chosen in parts.items()
        }
    return found


def structure_shares(model: AtomicModel) -> dict[str, float]:
    """The shares of helix and strand among the model's protein residues; 0 where there are none."""
    kinds = secondary_structure(model)
    protein = max(1, int((kinds != "").sum()))
    return {
        name: round(float((kinds == kind).sum() / protein), 3)
        for name, kind in (("helix", "H"), ("strand", "E"))
    }
