"""A report of the engine as rows to show, with what each is called; for the Log's table and the panel's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..cryomap.metrics.results import Assessment
from ..cryomap.trust.judgement import Trust
from ..cryomap.trust.lost import Region


@dataclass(frozen=True)
class Row:
    """One quantity in every map.

    Attributes:
        label: what it is.
        values: one for each map, None where there is none.
        spreads: standard deviations, or empty.
        digits: behind the decimal point.
        residue: index of the residue it belongs to, if it belongs to one.
        marks: what became worse than in the first map, in words.
        region: "lost" or "invented" and the number of the region it belongs to, if it belongs to one.
    """

    label: str
    values: tuple[float | None, ...]
    spreads: tuple[float, ...] = ()
    digits: int = 3
    residue: int | None = None
    marks: tuple[str, ...] = ()
    region: tuple[str, int] | None = None

    @property
    def is_link(self) -> bool:
        """Whether there is a place to go to."""
        return self.residue is not None or self.region is not None

    def text(self, number: int) -> str:
        """The value in a map."""
        value = self.values[number]
        if value is None:
            return "–"
        spread = f" ± {self.spreads[number]:.2f}" if self.spreads else ""
        return f"{value:.{self.digits}f}{spread}"

    def change(self, number: int) -> str:
        """The change of a map against the first."""
        first, now = self.values[0], self.values[number]
        return "" if None in (first, now) else f"{now - first:+.{self.digits}f}"


@dataclass(frozen=True)
class Group:
    """Rows under a title."""

    title: str
    rows: list[Row]


_CORRELATIONS = (
    ("cc_mask", "CC mask"),
    ("cc_volume", "CC volume"),
    ("cc_peaks", "CC peaks"),
    ("cc_box", "CC box"),
)
_REGIONS = (("rscc_main_chain", "main chain and CB"), ("rscc_side_chain", "side chains beyond CB"))
_SHARES = (
    ("unmodelled", "far from every atom"),
    ("major_conformation", "the better occupied of alternate conformations"),
)
_RESOLUTIONS = (
    ("d_fsc_model_05", "map–model FSC = 0.5"),
    ("d_fsc_model_0143", "map–model FSC = 0.143"),
    ("d_fsc_model_0", "map–model FSC = 0"),
    ("d_fsc_0143", "map–map FSC = 0.143"),
    ("d_fsc_05", "map–map FSC = 0.5"),
    ("d_model", "d model"),
    ("d99", "d99"),
)


def groups(report: Assessment) -> list[Group]:
    """All rows but those of chains and residues; groups without rows are left out."""
    fixed = tuple((f"{key}_hr", label) for key, label in _CORRELATIONS)
    masked = tuple((f"{key}_masked", f"{label}, masked") for key, label in _RESOLUTIONS)
    between = [pair for pairs in zip(_RESOLUTIONS, masked, strict=True) for pair in pairs]
    between.append(("d_fsc_0143_true", "map–map FSC = 0.143, freed of the mask"))
    found = [
        Group("Map–map correlation", _figures(report, (("map_cc", "CC"), ("map_cc_masked", "CC, masked")))),
        Group(
            f"Correlation with the model map at {report.resolution:.3g} Å", _figures(report, _CORRELATIONS)
        ),
        Group("Correlation on the fixed scale (cc_*_hr): B = 20 Å², 3 Å", _figures(report, fixed)),
        Group("RSCC, all residues as one region", _figures(report, _REGIONS)),
        Group("Resolution (Å)", _figures(report, between, digits=2)),
        Group(_q_title(report), _figures(report, (("q_mean", "mean of all atoms"),))),
        Group("Q-score by class (number of atoms)", list(_classes(report, "q"))),
        Group("RSCC by class, mean over residues (their number)", list(_classes(report, "rscc"))),
        Group("Q-score of ligands, lipids, glycans, ions", list(_ligands(report))),
        Group("Shares of the density", _figures(report, _SHARES)),
        Group("Correlation in 25 Å cubes", list(_cubes(report))),
    ]
    return [group for group in found if group.rows]


def _q_title(report: Assessment) -> str:
    title = f"Q-score, sigma {report.sigma:g} Å"
    expected = report.maps[0].figures.get("q_expected")
    return title if expected is None else f"{title} (usual at {report.resolution:.3g} Å: {expected:.2f})"


def _figures(report: Assessment, names, digits: int = 3) -> list[Row]:
    rows = []
    for key, label in names:
        if any(key in scores.figures for scores in report.maps):
            values = tuple(_finite(scores.figures.get(key)) for scores in report.maps)
            rows.append(Row(label, values, digits=digits))
    return rows


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _classes(report: Assessment, score: str) -> Iterator[Row]:
    for name, first in report.maps[0].classes.items():
        scores = [one.classes.get(name, first) for one in report.maps]
        count = getattr(first, f"{score}_count")
        if count:
            values = tuple(_finite(getattr(one, f"{score}_mean")) for one in scores)
            spreads = tuple(getattr(one, f"{score}_sd") for one in scores)
            yield Row(f"{name.replace('_', ' ')} ({count:,})", values, spreads)


def _ligands(report: Assessment) -> Iterator[Row]:
    """Those that became worse come first."""
    rows = []
    for index in report.maps[0].ligands:
        of_maps = [scores.ligands[index] for scores in report.maps]
        marks = tuple(dict.fromkeys(mark for one in of_maps for mark in one.marks))
        values = tuple(_finite(one.q) for one in of_maps)
        rows.append(Row(str(report.model.residues[index]), values, residue=index, marks=marks))
    yield from sorted(rows, key=lambda row: not row.marks)


def _cubes(report: Assessment) -> Iterator[Row]:
    if report.maps[0].cubes is None:
        return
    after = [_finite(scores.cube_comparison.mean_after) for scores in report.maps]
    count = report.maps[-1].cube_comparison.count
    yield Row(f"mean of {count:,} cubes", tuple(after))
    if len(report.maps) > 1:
        shares = [scores.cube_comparison.improved for scores in report.maps[1:]]
        percent = (_finite(share) and 100 * share for share in shares)
        yield Row("improved cubes (%)", (None, *percent), digits=1)


def trust_groups(trust: Trust) -> list[Group]:
    """What was lost and invented, in the engine's words: the share of the density that input and result have."""
    support = Row("mean over the result", (None, trust.mean_support), digits=2)
    found = [
        Group("Support by the input", [support]),
        Group(
            "Lost density: share that is left",
            [_region("lost", *item) for item in enumerate(trust.lost, 1)],
        ),
        Group(
            "Invented density: share that was there",
            [_region("invented", *item) for item in enumerate(trust.invented, 1)],
        ),
    ]
    return [group for group in found if group.rows]


def _region(kind: str, number: int, region: Region) -> Row:
    spec, _, name = region.nearest.rpartition(" ")
    near = f"{name} {spec}" if spec else ", ".join(f"{x:.0f}" for x in region.center)
    label = f"{number}: {near}, {region.volume:.0f} Å³, {region.peak_sigma:.1f} σ"
    rest = 1 - region.share
    values = (1.0, rest) if kind == "lost" else (rest, 1.0)
    return Row(label, values, digits=2, marks=(kind,), region=(kind, number))
