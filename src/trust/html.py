"""What `enhance` tells in the Log of how far its results can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chimerax.atomic import AtomicStructure
from chimerax.map import Volume

from ..cryomap.enhancement.report import Report
from ..cryomap.metrics.changes import WATERS_LOST, MoleculeChanges
from ..cryomap.trust.halves import Disagreement
from ..cryomap.trust.input_verdict import MEANINGLESS, InputWarning
from ..cryomap.trust.lost import Region
from ..mapcc.html import command_link
from ..scene.engine_text import with_signs
from ..scene.residue_values import PLAIN_SPEC
from .markers import go_there, marker_spec
from .model import TrustModel

WARNING_COLORS = {True: "#c00000", False: "#c06000"}  # grave or not
MOST_ROWS = 12  # of a kind
_TABLE = "border=1 cellpadding=2 cellspacing=0"
_COLORS = {"lost": "#c00000", "invented": "#8030b0", "disagreement": "#b06000"}
_SHARES = {"lost": "gone", "invented": "not in the input"}


def warning_text(warning: InputWarning) -> str:
    """What is wrong with an input, in red if the result is worthless, else in orange."""
    color = WARNING_COLORS[warning.is_grave]
    return f'<p><font color="{color}"><b>{escape(with_signs(warning.message))}</b></font></p>'


def trust_section(result: Volume, given: Volume, report: Report, group: TrustModel | None) -> str:
    """A sentence on a result, and a table of what was lost or invented if anything was.

    Args:
        result: the new map.
        given: its input.
        report: the engine's, with its judgement, if there is one.
        group: what was opened of it.
    """
    trust = report.trust
    if trust is None:
        return ""
    worthless = any(warning.is_grave for warning in report.warnings)
    lost, invented = len(trust.lost), len(trust.invented)
    sentence = (
        f"#{result.id_string}: support by the input {trust.mean_support:.2f}"
        f" (the mean of what colorBy support shows, at {trust.resolution:.1f} &Aring;; 1 is full support);"
        f" {MEANINGLESS if worthless else _summary(lost, invented)}"
    )
    if lost and not worthless:
        sentence += (
            ", and filled from the input"
            if trust.restored
            else "; <b>keepLost true</b> fills it from the input"
        )
    if lost and not worthless and not given.deleted:
        mesh = command_link(f"volume #{given.id_string} show style mesh", "Show the input as mesh")
        sentence += f". {mesh} to see what was there"
    if not worthless and not result.session.models.list(type=AtomicStructure):
        sentence += ". With an atomic model open, its ligands and ions are looked at more closely"
    molecules = "" if trust.molecules is None else molecules_section(trust.molecules)
    if group is None or not lost + invented:
        return f"<p>{sentence}.</p>{molecules}"
    titles = ("", "Center (&Aring;)", "&Aring;<sup>3</sup>", "Peak", "Share", "Nearest", "Confidence")
    rows = _rows(group, "lost", trust.lost) + _rows(group, "invented", trust.invented)
    if all(region.confidence is None for region in trust.lost + trust.invented):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    return f"<p>{sentence}.</p>{_table(titles, rows)}{molecules}"


def molecules_section(found: MoleculeChanges) -> str:
    """What became of the model's ligands, lipids, glycans and ions, of its nucleotides and waters."""
    sentences = []
    worse = found.flagged
    if found.molecules:
        count = f"{len(worse)} of {len(found.molecules)} ligands, lipids, glycans, and ions became worse"
        sentences.append(_worse(count) if worse else count)
    if found.nucleotides:
        lost = sum(bool(change.marks) for change in found.nucleotides)
        sentences.append(f"{lost} of {len(found.nucleotides)} nucleotides became worse")
    if found.water_q is not None:
        waters = "mean Q of {} water{} {:.2f} &rarr; {:.2f}".format(
            found.waters, "" if found.waters == 1 else "s", *found.water_q
        )
        if found.waters_lost:
            waters += f"; {len(found.waters_lost)} of {found.waters_shown} that showed {WATERS_LOST}"
        sentences.append(_worse(waters) if found.waters_worse else waters)
    if not sentences:
        return ""
    rows = [
        [_residue(change.residue), change.kind, _pair(change.q), _pair(change.rscc), "; ".join(change.marks)]
        for change in worse[:MOST_ROWS]
    ]
    if len(worse) > MOST_ROWS:
        rows.append([f"and {len(worse) - MOST_ROWS} more; <b>mapcc</b> lists all", *[""] * 4])
    titles = ("Molecule", "", "Q", "RSCC", "")
    return f"<p>{'; '.join(sentences)}.</p>" + (_table(titles, rows) if rows else "")


def _worse(text: str) -> str:
    return f'<b><font color="{_COLORS["lost"]}">{text}</font></b>'


def _pair(values: tuple[float | None, float | None]) -> str:
    return " &rarr; ".join("&ndash;" if value is None else f"{value:.2f}" for value in values)


def _summary(lost: int, invented: int) -> str:
    if not lost + invented:
        return "no density was lost or invented"
    parts = []
    for count, word in ((lost, "lost"), (invented, "invented")):
        if count:
            color = _COLORS[word]
            parts.append(
                f'<b><font color="{color}">{count} region{"" if count == 1 else "s"} {word}</font></b>'
            )
    return " and ".join(parts)


def _rows(group: TrustModel, kind: str, regions: Sequence[Region]) -> list[list[str]]:
    rows = [
        [
            _link(group, kind, number),
            _place(region),
            f"{region.volume:.0f}",
            f"{region.peak_sigma:.1f} &sigma;",
            f"{100 * region.share:.0f} % {_SHARES[kind]}",
            _nearest(region),
            "" if region.confidence is None else f"{region.confidence:.2f}",
        ]
        for number, region in enumerate(regions[:MOST_ROWS], 1)
    ]
    if len(regions) > MOST_ROWS:
        rows.append([f"and {len(regions) - MOST_ROWS} more {kind}, smaller or weaker", *[""] * 6])
    return rows


def halves_section(group: TrustModel) -> str:
    """What became of half maps: resolutions, where they disagree, and what that is worth."""
    halves = group.halves
    before, after = (f"at {d:.2f} &Aring;" if d else "nowhere" for d in (halves.d_before, halves.d_after))
    places = halves.disagreements
    text = (
        f"<p>FSC, unmasked, falls below 0.143: half maps {before}, enhanced halves {after}."
        f" <b>{escape(with_signs(halves.warning))}</b></p>"
    )
    if not places:
        return text + "<p>There is no larger region where the enhanced halves disagree.</p>"
    rows = [
        [_link(group, "disagreement", number), _place(place), f"{place.volume:.0f}", _nearest(place)]
        for number, place in enumerate(places[:MOST_ROWS], 1)
    ]
    if len(places) > MOST_ROWS:
        rows.append([f"and {len(places) - MOST_ROWS} smaller ones", "", "", ""])
    titles = ("Halves disagree", "Center (&Aring;)", "&Aring;<sup>3</sup>", "Nearest")
    return text + _table(titles, rows)


def _link(group: TrustModel, kind: str, number: int) -> str:
    spec = marker_spec(group, kind, number)
    text = f'<font color="{_COLORS[kind]}">{kind} {number}</font>'
    return text if spec is None else command_link(go_there(spec), text)


def _place(region: Region | Disagreement) -> str:
    return ", ".join(f"{x:.1f}" for x in region.center)


def _nearest(region: Region | Disagreement) -> str:
    """A link to the residue, and how far away it is if the region doesn't touch it."""
    if not region.nearest:
        return ""
    what = f" ({escape(region.kind)})" if region.kind not in ("", "protein") else ""
    away = f", {region.distance:.0f} &Aring; away" if region.distance > 2.5 else ""
    return f"{_residue(region.nearest)}{what}{away}"


def _residue(name: str) -> str:
    """A link to a residue named as in "#1/A:301 HEM"."""
    where, _, component = name.rpartition(" ")
    text = escape(f"{component} {where}")
    return command_link(f"select {where} ; view sel", text) if PLAIN_SPEC.fullmatch(where) else text


def _table(titles: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td nowrap>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table {_TABLE}><tr>{head}</tr>{body}</table>"
