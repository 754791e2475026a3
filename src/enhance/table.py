"""What `enhance` tells in the Log."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from chimerax.core.logger import html_table_params
from chimerax.map import Volume

from ..cryomap.enhancement.report import Report
from ..scene.volumes import short_name

_COLUMNS = ("New map", "Method", "Device", "Time", "Tiles run", "Level")


def results_table(results: Sequence[tuple[Volume, Report]]) -> str:
    """HTML table of new maps, each with what the engine reports of it."""
    rows = "".join(_row(volume, report) for volume, report in results)
    titles = "".join(f"<th>{title}</th>" for title in _COLUMNS)
    return f"<table {html_table_params}><tr>{titles}</tr>{rows}</table>"


def _row(volume: Volume, report: Report) -> str:
    number = volume.id_string
    cells = (
        f'<a href="cxcmd:select #{number}">#{number} {escape(short_name(volume.name))}</a>',
        f"{escape(report.method)}, {escape(Path(report.weights).name)}{_from_input(report)}",
        f"{escape(report.device.upper())}, {escape(report.precision)}",
        duration(report.seconds),
        f"{report.tiles_run} of {report.tiles_total}",
        f"{report.contour_out:.4g} (input {report.contour_in:.4g})",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _from_input(report: Report) -> str:
    """What of a result is the input's, in words."""
    parts = ""
    if report.detail_from_input is not None:
        parts += f"; detail finer than {report.detail_from_input:g} &Aring; is the input&rsquo;s"
    if round(report.undrawn):
        parts += f"; {report.undrawn:.0f} &Aring;<sup>3</sup> not drawn by the network are the input&rsquo;s"
    if report.preserved:
        parts += f"; {report.preserved:.0f} &Aring;<sup>3</sup> preserved"
    return parts


def duration(seconds: float) -> str:
    """Seconds as people say them: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
