"""The evaluation as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryomap.replacing import replacing

from .measures import DEPOSITED, MEASURES, SHARES, variants_of

PANELS = (
    "cc_mask_hr",
    "cc_box_hr",
    "cc_peaks_hr",
    "cc_mask",
    "d_fsc_model_05",
    "d_model",
    "cubes.improved",
    "q_mean",
    "residues.better",
    "trace.recall",
    "trace.precision",
)
COLOURS = ("#777777", "#4c9be8", "#e8a33d", "#c0392b", "#2e8b57", "#7d3c98")
MARKERS = "osD^vP"


def score_chart(entries: list[dict], path: Path) -> None:
    """Every map's figures, a dot a variant, joined by a line from the deposited map's."""
    plt = pyplot()
    entries = sorted(entries, key=lambda e: -e["resolution"])
    variants = variants_of(entries)
    panels = [m for key in PANELS for m in MEASURES if m.key == key]
    panels = [m for m in panels if any(m.of(s) is not None for e in entries for s in e["scores"].values())]
    columns = max(1, min(4, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(4.2 * columns, (0.26 * len(entries) + 1.1) * lines),
        sharey=True,
        squeeze=False,
    )
    places = np.arange(len(entries))
    for axis, measure in zip(axes.ravel(), panels, strict=False):
        table = np.array([[_value(measure.of(e["scores"].get(v, {}))) for v in variants] for e in entries])
        if measure.key.startswith(SHARES):
            table[:, variants.index(DEPOSITED)] = np.nan
            axis.axvline(0.5, color="0.85", zorder=0)
        known = np.isfinite(table).any(axis=1)
        low, high = np.nanmin(table[known], axis=1), np.nanmax(table[known], axis=1)
        axis.hlines(places[known], low, high, color="0.85", zorder=1)
        for i, variant in enumerate(variants):
            axis.scatter(
                table[:, i],
                places,
                s=26,
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
                label=variant,
                zorder=2,
            )
        axis.set_title(measure.title + (" (smaller is better)" if measure.sign < 0 else ""), fontsize=10)
        axis.grid(axis="x", alpha=0.3)
        if measure.sign < 0:
            axis.invert_xaxis()
    for axis in axes.ravel()[len(panels) :]:
        axis.axis("off")
    labels = [f"{e['entry']}  {e['resolution']:g} A" for e in entries]
    for line in axes:
        line[0].set_yticks(places, labels, fontsize=8)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(names), frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_size_inches()[1]))
    save(figure, path)


def section_chart(rows: list[tuple[str, dict[str, np.ndarray]]], path: Path) -> None:
    """Sections through maps: a line a map, a column a variant, each grey scale its own (0 to its top 0.2 %).

    Args:
        rows: of each map its name and, by variant, a section (y, x).
        path: of the PNG.
    """
    plt = pyplot()
    names = list(dict.fromkeys(name for _, sections in rows for name in sections))
    figure, axes = plt.subplots(
        len(rows), len(names), figsize=(2.6 * len(names), 2.7 * len(rows)), squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=10)
    for line, (title, sections) in zip(axes, rows, strict=True):
        for axis, name in zip(line, names, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            if name not in sections:
                axis.set_frame_on(False)
                continue
            section = sections[name]
            high = max(float(np.quantile(section, 0.998)), 1e-12)
            axis.imshow(section, cmap="gray_r", origin="lower", vmin=0, vmax=high, interpolation="nearest")
        line[0].set_ylabel(title, fontsize=8)
    figure.tight_layout()
    save(figure, path)


def _value(value: float | None) -> float:
    return np.nan if value is None else value


def pyplot():
    """matplotlib.pyplot, drawing without a window."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def save(figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and forget it."""
    with replacing(path, make_folders=True) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    pyplot().close(figure)
