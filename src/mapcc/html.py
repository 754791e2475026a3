"""The tables of `mapcc` in the Log."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from chimerax.atomic import Residue, Residues
from chimerax.map import Volume

from ..cryomap.metrics.results import Assessment
from ..scene.engine_text import with_signs
from ..scene.residue_values import residue_spec
from ..scene.volumes import short_name, with_short_names
from .rows import Row, groups

MOST_LIGANDS = 40
MOST_RESIDUES = 5000
_TABLE = "border=1 cellpadding=2 cellspacing=0"
_LOST = ' style="color:#c00000"'
_TITLES = {"qscore": "Q", "rscc": "RSCC"}


def report_table(
    report: Assessment, volumes: Sequence[Volume], residues: Residues | None, attributes: Sequence[str]
) -> str:
    """Every figure of the report: a row each, a column a map, changes against the first map beside them.

    Args:
        report: what the engine found.
        volumes: the maps, in the report's order.
        residues: the model's residues, in the report's order.
        attributes: the residue attributes that were set from the last map.
    """
    columns = len(volumes) * 2
    lines = [f"<table {_TABLE}><tr><th></th>{_map_titles(volumes)}</tr>"]
    for group in groups(report):
        lines.append(
            f'<tr><th colspan={columns} align=left bgcolor="#e8e8e8">{escape(group.title)}</th></tr>'
        )
        shown = [
            row for i, row in enumerate(group.rows) if row.residue is None or row.marks or i < MOST_LIGANDS
        ]
        lines += [_row(row, len(volumes), residues) for row in shown]
        if len(shown) < len(group.rows):
            more = len(group.rows) - len(shown)
            lines.append(f"<tr><td colspan={columns}>and {more} more; saveTable writes all of them</td></tr>")
    lines.append("</table>")
    notes = list(report.notes)
    if attributes:
        notes.append(f"residue attributes {' and '.join(attributes)}: from {volumes[-1]}")
    names = [volume.name for volume in volumes]
    notes = "".join(f"<li>{escape(with_signs(with_short_names(note, names)))}</li>" for note in notes)
    return "\n".join(lines) + (f"<ul>{notes}</ul>" if notes else "")


def _map_titles(volumes: Sequence[Volume]) -> str:
    titles = []
    for number, volume in enumerate(volumes):
        titles.append(f"<th>{escape(short_name(volume.name))} #{volume.id_string}</th>")
        if number:
            titles.append("<th>change</th>")
    return "".join(titles)


def _row(row: Row, maps: int, residues: Residues | None) -> str:
    label = escape(row.label)
    if row.residue is not None and residues is not None:
        label = residue_link(residues[row.residue], label)
    if row.marks:
        label += f"<br>{escape(', '.join(row.marks))}"
    cells = []
    for number in range(maps):
        cells.append(f"<td align=right nowrap>{row.text(number)}</td>")
        if number:
            cells.append(f"<td align=right>{row.change(number)}</td>")
    return f"<tr{_LOST if row.marks else ''}><td>{label}</td>{''.join(cells)}</tr>"


def residue_link(residue: Residue, label: str) -> str:
    """A link that goes to a residue and selects it."""
    return command_link(f"select {residue_spec(residue)} ; view sel", label)


def command_link(command: str, label: str) -> str:
    """A link that runs a command.

    Args:
        command: built from ids and numbers alone: what a file holds must never be a part of it.
        label: HTML.
    """
    return f'<a href="cxcmd:{escape(command)}">{label}</a>'


def residue_table(report: Assessment, volumes: Sequence[Volume], residues: Residues) -> str:
    """Scores of every residue that has any: a row each."""
    columns = [
        (f"{_TITLES[name]} #{volume.id_string}", values)
        for volume, scores in zip(volumes, report.maps, strict=True)
        for name, values in scores.by_residue.items()
    ]
    if not columns:
        return ""
    table = np.array([values for _, values in columns])
    known = np.flatnonzero(np.isfinite(table).any(axis=0))
    titles = "".join(f"<th>{title}</th>" for title, _ in columns)
    lines = [f"<table {_TABLE}><tr><th>Residue</th>{titles}</tr>"]
    for index in known[:MOST_RESIDUES].tolist():
        label = residue_link(residues[index], escape(str(report.model.residues[index])))
        cells = "".join(
            f"<td align=right>{value:.3f}</td>" if np.isfinite(value) else "<td></td>"
            for value in table[:, index]
        )
        lines.append(f"<tr><td>{label}</td>{cells}</tr>")
    lines.append("</table>")
    if len(known) > MOST_RESIDUES:
        lines.append(f"The first {MOST_RESIDUES} of {len(known)} residues; saveTable writes all of them.")
    return "\n".join(lines)
