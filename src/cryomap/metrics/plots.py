"""The FSC curves and the scores along the chains, as a picture (matplotlib, which is optional)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..replacing import replacing
from .results import Assessment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The first map, the one before, is grey; the others follow.
COLORS = ("#8c8c8c", "#1f6fb4", "#d4691c", "#3a8f3a", "#8a4fae")
MASKED = ", masked"  # behind the label of a curve
TICKS = (40, 20, 10, 7, 5, 4, 3.5, 3, 2.5, 2, 1.7, 1.5, 1.2, 1)  # A, of an FSC plot


@dataclass(frozen=True)
class FscCurve:
    """One curve of a plot.

    Attributes:
        label: what the legend calls it.
        map_number: which of the compared maps it belongs to, from 0: its color.
        masked: whether the map was masked; such curves are drawn dashed.
        d: spacings in A.
        fsc: the correlation at each.
        corrected: whether it is freed of what the mask put in, see `true_fsc`; such curves are dotted.
    """

    label: str
    map_number: int
    masked: bool
    d: list[float]
    fsc: list[float]
    corrected: bool = False


def fsc_curves(report: Assessment, names: Sequence[str]) -> list[FscCurve]:
    """All curves of an assessment, labelled by the maps' names, and by what each is with where that differs."""
    partners = {kind.split("_")[1] for scores in report.maps for kind in scores.curves}
    curves = []
    for number, (name, scores) in enumerate(zip(names, report.maps, strict=True)):
        for kind, curve in scores.curves.items():
            _, partner, *how = kind.split("_")
            masked, corrected = how == ["masked"], how == ["true"]
            label = f"{name}, with the {partner}" if len(partners) > 1 else name
            label += MASKED * masked + ", freed of the mask" * corrected
            curves.append(FscCurve(label, number, masked, curve.d.tolist(), curve.fsc.tolist(), corrected))
    return curves


def literal(name: str) -> str:
    """A name of a file or model as matplotlib shows it unchanged: without a formula between dollar signs."""
    return name.replace("$", r"\$")


def draw_fsc(axes: Axes, curves: Sequence[FscCurve]) -> None:
    """Draw curves over 1/d, marked in A, and the cutoffs 0.5 and 0.143."""
    for cutoff in (0.5, 0.143):
        axes.axhline(cutoff, color="0.8", linewidth=0.8, zorder=0)
        axes.annotate(
            f"{cutoff:g}",
            (1, cutoff),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            color="0.4",
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
        )
    for curve in curves:
        axes.plot(
            1 / np.array(curve.d),
            curve.fsc,
            color=COLORS[curve.map_number % len(COLORS)],
            linestyle=":" if curve.corrected else "--" if curve.masked else "-",
            linewidth=1.4,
            label=literal(curve.label),
        )
    finest = _finest_worth_showing(curves)
    spacings: list[float] = []
    for d in TICKS:  # as many as can be read beside each other
        if 1 / d <= finest and (not spacings or 1 / d - 1 / spacings[-1] > finest / 20):
            spacings.append(d)
    axes.set_xticks([1 / d for d in spacings], [f"{d:g}" for d in spacings])
    axes.set_xlim(0, finest)
    axes.set_ylim(min(-0.05, *(min(curve.fsc) for curve in curves)) if curves else -0.05, 1.02)
    axes.set_xlabel("Resolution (Å)", fontsize=9)
    axes.set_ylabel("Fourier shell correlation", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="best")


def _finest_worth_showing(curves: Sequence[FscCurve]) -> float:
    """1/d up to which to draw: well beyond the last shell that says something, as the rest is noise about 0."""
    finest = max((1 / min(curve.d) for curve in curves), default=0.5)
    telling = [1 / d for curve in curves for d, fsc in zip(curve.d, curve.fsc, strict=True) if fsc > 0.143]
    return min(finest, 1.6 * max(telling, default=finest))


def save_plot(report: Assessment, path: str | os.PathLike) -> None:
    """Write FSC curves and RSCC and Q by residue, whichever there are, as a picture (.png, .pdf or .svg).

    Raises:
        InputError: matplotlib is not installed, there is nothing to draw, or the file can't be written.
    """
    path = Path(path)
    require_plottable(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

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
        draw_fsc(axes[0], fsc_curves(report, [scores.name for scores in report.maps]))
    for axis, (title, attribute) in zip(axes[has_curves:], tracks, strict=True):
        _draw_track(axis, report, title, attribute)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix[1:].lower() or "png")


def require_plottable(path: str | os.PathLike) -> None:
    """Raise InputError unless matplotlib is installed and writes files of that name."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise InputError("a plot needs matplotlib: pip install matplotlib") from None
    suffix = Path(path).suffix[1:].lower()
    if suffix and suffix not in FigureCanvasBase.get_supported_filetypes():
        raise InputError(f"{path}: can't be written; a plot is a .png, .pdf or .svg file")


def _draw_track(axis: Axes, report: Assessment, title: str, attribute: str) -> None:
    """One score along the residues, chains marked off."""
    residues = report.model.residues if report.model is not None else ()
    shown = np.any([np.isfinite(getattr(scores, attribute)) for scores in report.maps], axis=0)
    for index, scores in enumerate(report.maps):
        values = getattr(scores, attribute)[shown]
        axis.plot(values, color=COLORS[index % len(COLORS)], lw=0.9, label=literal(scores.name))
    chains = np.array([residue.chain_id for residue in residues])[shown]
    starts = np.flatnonzero(np.append(True, chains[1:] != chains[:-1]))
    for start in starts:
        axis.axvline(start - 0.5, color="0.8", lw=0.8, zorder=0)
    axis.set_xticks(starts, [literal(name) for name in chains[starts]])
    label = f"{title} (sigma {report.sigma:g} Å)" if attribute == "residue_q" else title
    axis.set(xlim=(-0.5, max(1, shown.sum()) - 0.5), xlabel="residues by chain", ylabel=label)
    axis.legend(fontsize=8, frameon=False)
