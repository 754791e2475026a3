"""What the plots of `mapcc` show, as plain data that a session can keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from chimerax.atomic import Residues
from chimerax.core.models import Model
from chimerax.map import Volume

from ..cryomap.metrics.plots import FscCurve, fsc_curves
from ..cryomap.metrics.results import Assessment
from ..cryomap.trust.halves import HalvesComparison
from ..scene.volumes import short_name

MOST_ATOMS = 5000  # of a class; the shape of a distribution needs no more
TITLES = {"qscore": "Q-score", "rscc": "RSCC"}


@dataclass(frozen=True)
class PlotData:
    """All that one `mapcc` has to show.

    Attributes:
        title: what was compared with what.
        curves: FSC curves.
        residues: along the horizontal axis of the residue plot, or None.
        values: by measure ("Q-score"), by map, a value or nan for each residue.
        classes: by class of molecule, by map, the Q-scores of its atoms (of some of them if there are many).
        models: maps and atomic models that it is about.
    """

    title: str = ""
    curves: list[FscCurve] = field(default_factory=list)
    residues: Residues | None = None
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    classes: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    models: list[Model] = field(default_factory=list)

    def is_about(self, models: Collection[Model]) -> bool:
        """Whether it is about any of these: once they are closed, others get their numbers."""
        return any(model in models for model in self.models)

    @property
    def residue_count(self) -> int:
        """How many residues there are values for; 0 if some of them were deleted since."""
        lengths = {len(array) for of_maps in self.values.values() for array in of_maps.values()}
        return len(self.residues) if self.residues is not None and lengths == {len(self.residues)} else 0

    def snapshot(self) -> dict:
        """The data for a session file."""
        return {**vars(self), "version": 1, "curves": [asdict(curve) for curve in self.curves]}

    @staticmethod
    def from_snapshot(data: dict) -> PlotData:
        """The data from a session file."""
        curves = [FscCurve(**curve) for curve in data["curves"]]
        models = data.get("models", [])
        return PlotData(data["title"], curves, data["residues"], data["values"], data["classes"], models)


def plot_data(
    title: str, volumes: Sequence[Volume], residues: Residues | None, report: Assessment
) -> PlotData:
    """What there is to plot of a report on these maps and residues."""
    names = [_label(volume) for volume in volumes]
    values: dict[str, dict[str, np.ndarray]] = {}
    for name, scores in zip(names, report.maps, strict=True):
        for attribute, array in scores.by_residue.items():
            values.setdefault(TITLES[attribute], {})[name] = np.asarray(array, float)
    structures = [] if residues is None else residues.unique_structures
    classes = _class_scores(volumes, report)
    return PlotData(title, fsc_curves(report, names), residues, values, classes, [*volumes, *structures])


def _label(volume: Volume) -> str:
    return f"#{volume.id_string} {short_name(volume.name)}"


def halves_plot(result: Volume, halves: HalvesComparison) -> PlotData:
    """The Fourier shell correlation of half maps before and after enhancement, as the engine tells it."""
    labels = {"before": "half maps", "after": "enhanced halves (not a resolution)"}
    curves = [
        FscCurve(label, number, False, halves.fsc[key].d.tolist(), halves.fsc[key].fsc.tolist())
        for number, (key, label) in enumerate(labels.items())
    ]
    return PlotData(result.name, curves, models=[result])


def _class_scores(volumes: Sequence[Volume], report: Assessment) -> dict[str, dict[str, np.ndarray]]:
    if "classes" not in report.metrics or report.model is None:
        return {}
    from ..cryomap.metrics.classes import CLASSES, atom_classes

    classes = atom_classes(report.model)
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in CLASSES:
        for volume, scores in zip(volumes, report.maps, strict=True):
            q = scores.atom_q[classes == name]
            q = q[np.isfinite(q)].astype(np.float32)
            if len(q):
                some = q[:: max(1, len(q) // MOST_ATOMS)]
                found.setdefault(name.replace("_", " "), {})[_label(volume)] = some
    return found
