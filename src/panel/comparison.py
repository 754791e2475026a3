"""A page of the panel "Enhance Map": a result beside its input; the pages of plots follow it."""

from __future__ import annotations

from chimerax.atomic import AtomicStructure
from chimerax.core.commands import run
from chimerax.core.errors import UserError
from chimerax.core.models import REMOVE_MODELS, Model
from chimerax.core.session import Session
from chimerax.map import Volume
from chimerax.ui.widgets import EntriesRow
from Qt.QtCore import Qt, QTimer
from Qt.QtWidgets import QPushButton, QSlider, QTabWidget, QVBoxLayout, QWidget

from ..enhance.results import newest_result
from ..mapcc.command import Comparison
from ..mapcc.rows import Group, Row, groups, trust_groups
from ..plots.data import PlotData, plot_data
from ..plots.pages import pages
from ..runtime.background import BackgroundTask
from ..scene.residue_values import residue_spec
from ..trust.markers import go_there, marker_spec
from ..trust.model import trust_of
from .fade import Fader, LevelLink
from .fitting import ModelMenu
from .form import EnhanceForm, entry_value
from .results_view import ResultsView

_NOTHING = {"no_value_menu_text": "none", "no_value_button_text": "none"}


class ComparisonBox(QWidget):
    """Result and model to compare; fading, contours of equal volume, and the figures of `mapcc`."""

    def __init__(self, session: Session, form: EnhanceForm, pages: QTabWidget) -> None:
        """Make it.

        Args:
            session: the session.
            form: where the input map and its resolution are chosen.
            pages: get this one, and those of plots behind it.
        """
        super().__init__()
        self._session, self._form, self._pages = session, form, pages
        self._number = pages.addTab(self, "Compare")
        self._link: LevelLink | None = None
        self._fader = Fader(session)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.result_menu = ModelMenu(session, class_filter=Volume, autoselect_single_item=False, **_NOTHING)
        self.model_menu = ModelMenu(session, class_filter=AtomicStructure, **_NOTHING)
        self.compare_button = QPushButton("Compare")
        self.compare_button.clicked.connect(lambda *_: self.compare())
        EntriesRow(self, "Result", self.result_menu, "Model", self.model_menu, self.compare_button)
        self.fader = QSlider(Qt.Orientation.Horizontal)
        self.fader.setRange(0, 100)
        self.fader.setValue(100)
        self.fader.setMinimumWidth(120)
        row = EntriesRow(self, "Show input", self.fader, "result   ", True, "equal volumes")
        (self.equal_volume,) = row.values
        row.frame.setToolTip(
            "Contours: a change of the input's is followed by the result's, to enclose the same volume"
        )
        self.results = ResultsView(self._go_to)
        self.results.hide()
        self._plots = PlotData()
        self._residue_count = 0
        layout.addWidget(self.results, stretch=100)
        layout.addStretch(1)
        self.fader.valueChanged.connect(lambda _: self._fade())
        self.fader.sliderReleased.connect(self._fade)
        self.equal_volume.changed.connect(lambda _: self.follow_level())
        self.result_menu.value_changed.connect(self.follow_level)
        form.map_menu.value_changed.connect(self.follow_level)
        # The mouse may change levels faster than volumes can be measured.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(100)
        self._later.timeout.connect(self._update_level)
        self._closed = session.triggers.add_handler(REMOVE_MODELS, self._models_closed)
        self.choose_result()

    def _pair(self) -> tuple[Volume, Volume] | None:
        """The input and the result, if both are chosen."""
        volumes = self._form.map_menu.value, self.result_menu.value
        return None if None in volumes or volumes[0] is volumes[1] else volumes

    def _fade(self) -> None:
        pair = self._pair()
        if pair is not None:
            self._fader.fade(*pair, self.fader.value() / 100, log=not self.fader.isSliderDown())

    def follow_level(self) -> None:
        """Let the result's contour follow the input's, if wanted and both are chosen."""
        self.end()
        pair = self._pair()
        self.fader.setEnabled(pair is not None)
        if pair is not None and self.equal_volume.value:
            self._link = LevelLink(*pair, self._later.start)

    def _update_level(self) -> None:
        if self._link is not None:
            self._link.update()

    def end(self) -> None:
        """Follow no more."""
        if self._link is not None:
            self._link.end()
            self._link = None

    def delete(self) -> None:
        """Follow nothing any more, as the panel is closed."""
        self.end()
        self._closed.remove()

    def _models_closed(self, _name: str, models: list[Model]) -> None:
        """Figures of models that are gone would be taken for those of others with their numbers."""
        if self._plots.is_about(models):
            self.hide_figures()

    def hide_figures(self) -> None:
        """Show no figures and plots."""
        self.results.show_groups([], [])
        self._show(PlotData())

    def choose_result(self) -> None:
        """Choose the newest result of the chosen input, if there is one, and tell what was lost."""
        given = self._form.map_menu.value
        result = None if given is None else newest_result(given)
        if result is not None:
            self._take(result)
        self.follow_level()

    def _take(self, result: Volume) -> None:
        """Take a result, and tell what was lost."""
        self.result_menu.value = result
        self.fader.blockSignals(True)
        self.fader.setValue(100)
        self.fader.blockSignals(False)
        self.hide_figures()
        if found := self._trust_groups():
            pair = self._pair()
            self.results.show_groups(found, [f"#{volume.id_string}" for volume in pair])
            self._show(PlotData(models=list(pair)))

    def show_result(self, result: Volume) -> None:
        """Take a new result, and tell what was lost."""
        self._take(result)
        self._pages.setCurrentWidget(self)

    def compare_by_model(self) -> None:
        """Compare if a model is chosen."""
        if self.model_menu.value is not None:
            self.compare()

    def _trust_groups(self) -> list[Group]:
        """What was lost and invented, if the pair is a result and its input's."""
        pair = self._pair()
        group = None if pair is None else trust_of(self._session, pair[1])
        return [] if group is None or group.trust is None else trust_groups(group.trust)

    def command(self) -> str:
        """The command `mapcc` with what is chosen.

        Raises:
            UserError: not both maps and the model are chosen.
        """
        pair, model = self._pair(), self.model_menu.value
        if pair is None or model is None:
            raise UserError("Choose the input map, its result, and the model to compare them by.")
        maps = ",".join(volume.id_string for volume in pair)
        resolution = entry_value(self._form.resolution)
        given = f" resolution {resolution:g}" if resolution else ""
        return f"mapcc #{maps} to {model.atomspec}{given} metrics fsc,classes"

    def compare(self) -> None:
        """Run `mapcc`, and show its figures when they are there."""
        answer = run(self._session, self.command())
        if isinstance(answer, BackgroundTask):
            answer.triggers.add_handler(
                "done", lambda _, task: task.answer and self._show_figures(task.answer)
            )
        else:
            self._show_figures(answer)

    def _show_figures(self, found: Comparison) -> None:
        names = [f"#{volume.id_string}" for volume in found.volumes]
        self.results.show_groups([*self._trust_groups(), *groups(found.report)], names)
        self._show(plot_data("", found.volumes, found.residues, found.report))

    def _show(self, plots: PlotData) -> None:
        """Show the table, and the pages of plots behind its page."""
        self._plots = plots
        self._residue_count = plots.residue_count
        self.results.setVisible(bool(self.results.groups))
        while self._pages.count() > self._number + 1:
            page = self._pages.widget(self._number + 1)
            self._pages.removeTab(self._number + 1)
            page.deleteLater()
        for title, page in pages(self._session, plots):
            self._pages.addTab(page, title)

    def _go_to(self, row: Row) -> None:
        if row.region is not None:
            self._go_to_region(*row.region)
            return
        residues = self._plots.residues
        if residues is None or len(residues) != self._residue_count:  # atoms were deleted since
            return
        run(self._session, f"select {residue_spec(residues[row.residue])}")
        run(self._session, "view sel")

    def _go_to_region(self, kind: str, number: int) -> None:
        result = self.result_menu.value
        group = None if result is None else trust_of(self._session, result)
        spec = None if group is None else marker_spec(group, kind, number)
        if spec is not None:  # else it was closed since
            run(self._session, go_there(spec))

    def snapshot(self) -> dict:
        """What a session keeps."""
        return {
            "result": self.result_menu.value,
            "model": self.model_menu.value,
            "fade": self.fader.value(),
            "equal_volume": self.equal_volume.value,
            "figures": self.results.snapshot(),
            "plots": self._plots.snapshot(),
        }

    def restore(self, data: dict) -> None:
        """Be as in `snapshot`."""
        self.result_menu.value, self.model_menu.value = data["result"], data["model"]
        self.fader.blockSignals(True)
        self.fader.setValue(data["fade"])
        self.fader.blockSignals(False)
        self.equal_volume.value = data["equal_volume"]
        self.results.restore(data["figures"])
        if self.results.groups:
            self._show(PlotData.from_snapshot(data["plots"]))
        self.follow_level()
