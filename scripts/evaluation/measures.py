"""The figures an evaluation reports, how they are averaged, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .specimens import Interval, bootstrap, specimen_means

DEPOSITED = "deposited"
NYQUIST = 2.0  # A, of the 1 A grid: an FSC that never falls below 0.5 counts as this


@dataclass(frozen=True)
class Measure:
    """One figure of a map.

    Attributes:
        key: in the scores of a map, "cubes.improved" being inside "cubes".
        title: for people.
        sign: 1 where larger is better, -1 where smaller is.
        digits: after the point.
    """

    key: str
    title: str
    sign: int = 1
    digits: int = 3

    def of(self, scores: dict) -> float | None:
        """The value in a map's scores (a map of the JSON that `mapcc` writes), None where there is none."""
        if self.key == "d_fsc_model_05" and self.key in scores and scores[self.key] is None:
            return NYQUIST
        value = scores
        for key in self.key.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, value: float | None) -> str:
        """The value for a table."""
        return "–" if value is None else f"{value:.{self.digits}f}"


MEASURES = (
    Measure("cc_box_hr", "CC_box_hr"),
    Measure("cc_mask_hr", "CC_mask_hr"),
    Measure("cc_volume_hr", "CC_volume_hr"),
    Measure("cc_peaks_hr", "CC_peaks_hr"),
    Measure("cc_box", "CC_box"),
    Measure("cc_mask", "CC_mask"),
    Measure("cc_volume", "CC_volume"),
    Measure("cc_peaks", "CC_peaks"),
    Measure("d_fsc_model_05", "map-model FSC 0.5 (A)", -1, 2),
    Measure("d_model", "d_model (A)", -1, 2),
    Measure("cubes.mean_after", "mean CC of 25 A cubes"),
    Measure("cubes.improved", "share of 25 A cubes improved"),
    Measure("q_mean", "mean Q"),
    Measure("residues.better", "share of residues with better RSCC"),
    Measure("residues.helix", "the same in helices"),
    Measure("residues.strand", "the same in strands"),
    Measure("residues.other", "the same elsewhere"),
    Measure("trace.recall", "C alphas found as peaks"),
    Measure("trace.precision", "peaks that are C alphas"),
)
SHARES = ("cubes.improved", "residues.")  # of what became better: the deposited map has none


@dataclass(frozen=True)
class Summary:
    """A measure over maps.

    Attributes:
        mean: over specimens, of the variant.
        deposited: the same of the deposited maps.
        maps: on how many maps.
        better: on how many it is better by more than the table shows.
        worst: the smallest gain.
        gain: the mean gain over the deposited maps with its interval, above 0 where better.
    """

    mean: float
    deposited: float
    maps: int
    better: int
    worst: float
    gain: Interval


def summarise(entries: list[dict], measure: Measure, variant: str, before: str = DEPOSITED) -> Summary | None:
    """A measure of a variant over the entries that have it; None if none has.

    Args:
        entries: of the evaluation's JSON, each with `scores` by variant.
        measure: which.
        variant: which.
        before: the variant it is compared with.
    """
    found = [
        (measure.of(e["scores"][before]), measure.of(e["scores"][variant]), specimen_of(e))
        for e in entries
        if variant in e["scores"] and before in e["scores"]
    ]
    found = [row for row in found if row[0] is not None and row[1] is not None]
    if not found:
        return None
    specimens = [row[2] for row in found]
    first, after = np.array([row[:2] for row in found]).T
    gains = measure.sign * (after - first)
    return Summary(
        float(specimen_means(after, specimens).mean()),
        float(specimen_means(first, specimens).mean()),
        len(found),
        int((gains > 0.5 * 10**-measure.digits).sum()),  # less than the table shows is no gain
        float(gains.min()),
        bootstrap(gains, specimens),
    )


def specimen_of(entry: dict) -> str:
    """What an entry of the evaluation's JSON is a map of."""
    return entry.get("specimen") or entry["entry"]


def variants_of(entries: Iterable[dict]) -> list[str]:
    """Every variant that any entry has, the deposited map first."""
    return list(dict.fromkeys([DEPOSITED, *(v for e in entries for v in e["scores"])]))


def class_means(
    entries: list[dict], variant: str, of: Callable[[dict], float | None]
) -> dict[str, tuple[float, int]]:
    """Mean Q over all atoms of each class in all maps that have this variant, and how many atoms those are.

    Args:
        entries: of the evaluation's JSON.
        variant: which.
        of: the value of a class's scores to average.
    """
    sums: dict[str, list[float]] = {}
    for entry in entries:
        for name, scores in entry["scores"].get(variant, {}).get("classes", {}).items():
            value = of(scores)
            if value is not None:
                total = sums.setdefault(name, [0.0, 0])
                total[0] += value * scores["q_count"]
                total[1] += scores["q_count"]
    return {name: (total / count, int(count)) for name, (total, count) in sums.items() if count}
