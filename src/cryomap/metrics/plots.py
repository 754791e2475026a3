"""The FSC curves and the scores along the chains, as a picture (matplotlib, which is optional)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..replacing import replacing
from .results import Assessment

COLORS = ("#1b5fa8", "#d1541c", "#2c8a4b", "#8a3ba0", "#7a6a1c", "#2a8f96")
CURVES = {
    "fsc_model": ("map-model", "-"),
    "fsc_model_masked": ("map-model, masked", "--"),
    "fsc_map": ("map-map", "-"),
    "fsc_map_masked": ("map-map, masked", "--"),
}


def save_plot(report: Assessment, path: str | os.PathLike) -> None:
    """Write FSC curves and RSCC and Q by residue, whichever there are, as a picture (.png, .pdf or .svg).

    Raises:
        InputError: matplotlib is not installed, there is nothing to draw, or the file can't be written.
    """
    path = Path(path)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("a plot needs matplotlib: pip install matplotlib") from None
    tracks = [
        (title, attribute)
        for title, attribute in (("RSCC", "residue_rscc"), ("Q-score", "residue_q"))
        if any(getattr(scores, attribute) is not None for scores in report.maps)
    ]
    has_curves = any(scores.curves for scores in report.maps)
    panels = len(tracks) + has_curves
    if not panels:
        raise InputError("nothing to plot: ask for metrics cc, qscore or fsc")
    figure = Figure(figsize=(9, 3 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(panels, squeeze=False)[:, 0]
    if has_curves:
        _draw_curves(axes[0], report)
    for axis, (title, attribute) in zip(axes[has_curves:], tracks, strict=True):
        _draw_track(axis, report, title, attribute)
    kind = path.suffix[1:] or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: can't be written; a plot is a .png, .pdf or .svg file")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=kind)


def _draw_curves(axis, report: Assessment) -> None:
    """FSC against 1/d, with the two usual cutoffs."""
    for index, scores in enumerate(report.maps):
        for name, curve in scores.curves.items():
            label, style = CURVES[name]
            color = COLORS[index % len(COLORS)]
            axis.plot(1 / curve.d, curve.fsc, style, color=color, lw=1.2, label=f"{scores.name}: {label}")
    for cutoff in (0.5, 0.143):
        axis.axhline(cutoff, color="0.7", lw=0.8, zorder=0)
        axis.text(0, cutoff, f" {cutoff:g}", va="bottom", color="0.4", fontsize=8)
    finest = min(float(curve.d.min()) for scores in report.maps for curve in scores.curves.values())
    # The corners of the box beyond the Nyquist limit are of no interest: cut at 1/(1.7 times the finest d).
    axis.set(xlim=(0, 1 / (1.7 * finest)), ylim=(-0.1, 1.02), xlabel="1/d (1/Å)", ylabel="FSC")
    axis.legend(fontsize=8, frameon=False)


def _draw_track(axis, report: Assessment, title: str, attribute: str) -> None:
    """One score along the residues, chains marked off."""
    shown = np.zeros(len(report.model.residues), bool)
    for scores in report.maps:
        shown |= np.isfinite(getattr(scores, attribute))
    for index, scores in enumerate(report.maps):
        values = getattr(scores, attribute)[shown]
        axis.plot(values, color=COLORS[index % len(COLORS)], lw=0.9, label=scores.name)
    chains = np.array([residue.chain_id for residue in report.model.residues])[shown]
    starts = np.flatnonzero(np.append(True, chains[1:] != chains[:-1]))
    for start in starts:
        axis.axvline(start - 0.5, color="0.8", lw=0.8, zorder=0)
    axis.set_xticks(starts, chains[starts])
    label = f"{title} (sigma {report.sigma:g} Å)" if attribute == "residue_q" else title
    axis.set(xlim=(-0.5, max(1, shown.sum()) - 0.5), xlabel="residues by chain", ylabel=label)
    axis.legend(fontsize=8, frameon=False)
