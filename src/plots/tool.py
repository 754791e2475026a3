"""The panel that shows the plots of `mapcc`."""

from __future__ import annotations

from chimerax.core.errors import UserError
from chimerax.core.models import REMOVE_MODELS, Model
from chimerax.core.session import Session
from chimerax.core.tools import ToolInstance
from chimerax.ui import MainToolWindow
from Qt.QtGui import QAction
from Qt.QtWidgets import QFileDialog, QMenu, QTabWidget, QVBoxLayout

from .data import PlotData
from .pages import pages


class PlotPanel(ToolInstance):
    """Pages of plots: FSC, residues, classes; each there if it has something to show."""

    SESSION_SAVE = True
    help = "help:user/commands/mapcc.html#plots"

    def __init__(self, session: Session, tool_name: str = "Map Agreement") -> None:
        super().__init__(session, tool_name)
        self.tool_window = MainToolWindow(self)
        area = self.tool_window.ui_area
        layout = QVBoxLayout(area)
        layout.setContentsMargins(0, 0, 0, 0)
        self.pages = QTabWidget(area)
        layout.addWidget(self.pages)
        self.data = PlotData()
        self.tool_window.fill_context_menu = self._fill_menu
        # Docked below the panel "Enhance Map" it would make the main window grow; they take turns in one place.
        panel = next((tool for tool in session.tools.list() if tool.tool_name == "Enhance Map"), None)
        self.tool_window.manage(placement="side" if panel is None else panel.tool_window)
        self._closed = session.triggers.add_handler(REMOVE_MODELS, self._models_closed)

    def delete(self) -> None:
        """Close the panel."""
        self._closed.remove()
        super().delete()

    def _models_closed(self, _name: str, models: list[Model]) -> None:
        if self.data.is_about(models):
            self._fill(PlotData(title="what it showed was closed"))

    def show(self, data: PlotData) -> None:
        """Show these data instead of the present ones."""
        self._fill(data)
        self.tool_window.shown = True

    def _fill(self, data: PlotData) -> None:
        self.data = data
        current = self.pages.currentIndex()
        while self.pages.count():
            page = self.pages.widget(0)
            self.pages.removeTab(0)
            page.deleteLater()
        for title, page in pages(self.session, data):
            self.pages.addTab(page, title)
        self.pages.setCurrentIndex(max(0, min(current, self.pages.count() - 1)))
        self.tool_window.title = f"Map Agreement: {data.title}"

    def _fill_menu(self, menu: QMenu, _x: int, _y: int) -> None:
        action = QAction("Save Plot...", menu)
        action.triggered.connect(lambda *_: self._save())
        menu.addAction(action)

    def _save(self) -> None:
        page = self.pages.currentWidget()
        path, _ = QFileDialog.getSaveFileName(page, "Save Plot", "plot.png", "Images (*.png *.svg *.pdf)")
        if not path:
            return
        try:
            page.figure.savefig(path, dpi=300)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: the plot can't be saved ({error})") from None

    def take_snapshot(self, session: Session, flags: int) -> dict:
        """The data, for a session."""
        return self.data.snapshot()

    @classmethod
    def restore_snapshot(cls, session: Session, data: dict) -> PlotPanel:
        """The panel with the data of a session."""
        panel = cls(session)
        panel.show(PlotData.from_snapshot(data))
        return panel


def show_plots(session: Session, data: PlotData) -> PlotPanel:
    """Show the data in the panel, which is opened unless there is one."""
    panels = session.tools.find_by_class(PlotPanel)
    panel = panels[0] if panels else PlotPanel(session)
    panel.show(data)
    return panel
