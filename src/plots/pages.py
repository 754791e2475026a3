"""The pages of `mapcc`'s panel: Fourier shell correlations, and a value for each residue to click on."""

from __future__ import annotations

import numpy as np
from chimerax.atomic import Residue
from chimerax.core.commands import run
from chimerax.core.session import Session
from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from Qt.QtCore import Qt
from Qt.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ..cryomap.metrics.plots import COLORS, MASKED, FscCurve, draw_fsc, literal
from ..scene.residue_values import residue_spec
from .data import PlotData

ALL_CHAINS = "all chains"
MOST_RESIDUES = 500  # to show at first; more are hard to tell apart
MOST_APART = 120  # residues whose curves can be told apart without their running means
AVERAGED = 15  # residues
BESIDE = 0.7  # inches beside a plot, for its scale


class _Page(QWidget):
    """A matplotlib figure that fills a page, under whatever `layout` has already."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        # The size it asks for: matplotlib's own, 640 by 480, pushes the Log out of the window.
        self.figure = Figure(figsize=(4.2, 2.5), dpi=100, layout="constrained")
        self.axes: Axes = self.figure.add_subplot()
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setMinimumSize(200, 140)  # matplotlib can't draw on nothing
        self.canvas.mpl_connect("resize_event", lambda _: _legend_above(self.axes))
        self.figure.set_facecolor("white")
        self.axes.tick_params(labelsize=8)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of the finite values within half a width on either side; nan where there are none."""
    known = np.isfinite(values)
    box = np.ones(min(width, max(1, len(values))))
    counts = np.convolve(known, box, "same")
    sums = np.convolve(np.where(known, values, 0), box, "same")
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0.5)


def _legend_above(axes: Axes) -> None:
    """A legend of the maps where it covers nothing; that of masked curves, dashed like each other, is told once."""
    entries = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    shown = {
        label: drawn
        for label, drawn in entries.items()
        if label.removesuffix(MASKED) not in entries.keys() - {label}
    }
    if len(shown) < len(entries):
        shown["masked"] = Line2D([], [], color="0.3", linestyle="--")
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    for columns in range(max(1, len(shown)), 0, -1):  # what is too wide would take its room from the plot
        legend = axes.legend(shown.values(), shown, fontsize=8, frameon=False, ncols=columns, **place)
        if legend.get_window_extent().width + BESIDE * axes.figure.dpi <= axes.figure.bbox.width:
            return


class FscPage(_Page):
    """FSC curves over 1/d, marked in A."""

    def __init__(self, curves: list[FscCurve]) -> None:
        super().__init__()
        self.layout().addWidget(self.canvas, stretch=1)
        draw_fsc(self.axes, curves)
        self.axes.set_ylabel("FSC", fontsize=9)  # all of its name is cut off in a low panel
        _legend_above(self.axes)


class ClassPage(_Page):
    """How Q-scores are distributed in each class of molecule: a violin for each map."""

    def __init__(self, classes: dict[str, dict[str, np.ndarray]]) -> None:
        super().__init__()
        self.layout().addWidget(self.canvas, stretch=1)
        draw_classes(self.axes, classes)


def draw_classes(axes: Axes, classes: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw violins, maps side by side, with their means; single values as points."""
    maps = list(dict.fromkeys(label for of_maps in classes.values() for label in of_maps))
    width = 0.8 / max(1, len(maps))
    for number, label in enumerate(maps):
        color = COLORS[number % len(COLORS)]
        axes.plot([], [], color=color, linewidth=6, alpha=0.6, label=literal(label))
        for place, of_maps in enumerate(classes.values()):
            scores = of_maps.get(label, np.zeros(0))
            x = place + (number - (len(maps) - 1) / 2) * width
            if len(scores) > 2 and np.ptp(scores) > 0:
                drawn = axes.violinplot(scores, [x], widths=0.95 * width, showextrema=False)
                for body in drawn["bodies"]:
                    body.set(facecolor=color, alpha=0.6)
            else:
                axes.plot([x] * len(scores), scores, "o", color=color, markersize=3)
            if len(scores):
                axes.plot([x - width / 3, x + width / 3], [scores.mean()] * 2, color="black", linewidth=1)
    labels = [name.replace(" ", "\n", 1) for name in classes]
    axes.set_xticks(range(len(classes)), labels, fontsize=8)
    axes.set_ylabel("Q-score", fontsize=9)
    _legend_above(axes)


class ResiduePage(_Page):
    """A value for each residue and map; click to select the residue, double-click to go there."""

    def __init__(self, session: Session, data: PlotData) -> None:
        super().__init__()
        self._session = session
        self._data = data
        self._shown = np.zeros(0, int)  # indices of data.residues along the axis
        self._marker = None
        row = QHBoxLayout()
        row.setContentsMargins(5, 3, 5, 0)
        self.measure, self.chain = QComboBox(), QComboBox()
        self.measure.addItems(list(data.values))
        self._chains = [f"{r.structure.atomspec}/{r.chain_id}" for r in data.residues]
        chains = list(dict.fromkeys(self._chains))
        self.chain.addItems([ALL_CHAINS, *chains] if len(chains) > 1 else chains)
        if len(chains) > 1 and len(self._chains) > MOST_RESIDUES:
            self.chain.setCurrentIndex(1)
        for widget in (self.measure, self.chain):
            widget.currentIndexChanged.connect(lambda _: self.draw())
            row.addWidget(widget)
        self.note = QLabel("Click to select a residue")
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        row.addWidget(self.note)
        row.addStretch(1)
        self.layout().addLayout(row)
        self.layout().addWidget(self.canvas, stretch=1)
        self.canvas.mpl_connect("button_press_event", self._clicked)
        self.canvas.mpl_connect("motion_notify_event", self._pointed)
        self.draw()

    def draw(self) -> None:
        """Draw the measure and chain chosen in the menus."""
        chain = self.chain.currentText()
        chains = np.array(self._chains)
        series = self._data.values[self.measure.currentText()]
        known = np.isfinite(list(series.values())).any(axis=0)
        self._shown = np.flatnonzero(known if chain == ALL_CHAINS else known & (chains == chain))
        axes = self.axes
        axes.clear()
        self._marker = None
        for number, (label, values) in enumerate(series.items()):
            color = COLORS[number % len(COLORS)]
            shown = values[self._shown]
            many = len(shown) > MOST_APART and len(series) > 1
            name = literal(label)
            if many:  # the means tell the maps apart where their curves hide each other
                axes.plot(shown, color=color, linewidth=0.8, alpha=0.3)
                axes.plot(running_mean(shown, AVERAGED), color=color, linewidth=1.6, label=name)
            else:
                axes.plot(shown, color=color, linewidth=1.1, alpha=0.85, label=name)
        axes.set_ylabel(self.measure.currentText(), fontsize=9)
        axes.set_xlim(-0.5, max(0.5, len(self._shown) - 0.5))
        self._label_residues(chains[self._shown], chain == ALL_CHAINS)
        axes.tick_params(labelsize=8)
        _legend_above(axes)
        self.canvas.draw_idle()

    def _label_residues(self, chains: np.ndarray, by_chain: bool) -> None:
        axes = self.axes
        if by_chain:
            starts = np.flatnonzero(np.append(True, chains[1:] != chains[:-1])) if len(chains) else []
            ends = np.append(starts[1:], len(chains))
            for start in starts[1:]:
                axes.axvline(start - 0.5, color="0.85", linewidth=0.8, zorder=0)
            wide = ends - starts > len(chains) / 60
            middles = [(a + b - 1) / 2 for a, b in zip(starts[wide], ends[wide], strict=True)]
            axes.set_xticks(middles, [literal(name.rpartition("/")[2]) for name in chains[starts[wide]]])
            axes.set_xlabel("Chain", fontsize=9)
            return
        numbers = self._data.residues.numbers[self._shown]
        every = max(1, len(numbers) // 8)
        axes.set_xticks(range(0, len(numbers), every), [str(n) for n in numbers[::every]])
        axes.set_xlabel("Residue", fontsize=9)

    def residue_at(self, x: float) -> Residue | None:
        """The residue nearest to a horizontal position; None if there is none or it was deleted."""
        place = round(x)
        if not 0 <= place < len(self._shown):
            return None
        residues = self._data.residues
        residue = residues[int(self._shown[place])] if len(residues) == len(self._chains) else None
        return None if residue is None or residue.deleted else residue

    def select(self, x: float, go_there: bool = False) -> None:
        """Select the residue at a horizontal position, and look at it if wanted."""
        residue = self.residue_at(x)
        if residue is None:
            return
        run(self._session, f"select {residue_spec(residue)}")
        if go_there:
            run(self._session, "view sel")
        if self._marker is not None:
            self._marker.remove()
        self._marker = self.axes.axvline(round(x), color="#2ca02c", linewidth=1.2, zorder=0)
        self.note.setText(self._describe(residue, round(x)))
        self.canvas.draw_idle()

    def _describe(self, residue: Residue, place: int) -> str:
        index = self._shown[place]
        series = self._data.values[self.measure.currentText()]
        values = " → ".join(f"{values[index]:.2f}" for values in series.values())
        return f"{residue.name} {residue.number} {residue.chain_id}: {values}"

    def _clicked(self, event) -> None:
        if event.inaxes is self.axes and event.button == 1:
            self.select(event.xdata, go_there=event.dblclick)

    def _pointed(self, event) -> None:
        residue = self.residue_at(event.xdata) if event.inaxes is self.axes else None
        if residue is not None:
            self.note.setText(self._describe(residue, round(event.xdata)))


def pages(session: Session, data: PlotData) -> list[tuple[str, _Page]]:
    """The pages that have something to show, with their titles."""
    found: list[tuple[str, _Page]] = []
    if data.curves:
        found.append(("FSC", FscPage(data.curves)))
    if data.residue_count:
        found.append(("Residues", ResiduePage(session, data)))
    if data.classes:
        found.append(("Classes", ClassPage(data.classes)))
    return found
