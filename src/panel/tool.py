"""The panel "Enhance Map": enhance a map, and compare the result with it, without typing commands."""

from __future__ import annotations

from chimerax.core.commands import run
from chimerax.core.session import Session
from chimerax.core.tools import ToolInstance
from chimerax.core.triggerset import DEREGISTER
from chimerax.ui import MainToolWindow
from chimerax.ui.widgets import button_row, vertical_layout
from Qt.QtCore import QTimer
from Qt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ..cryomap.trust.input_verdict import InputWarning
from ..enhance.job import EnhanceJob, Progress
from ..runtime import background, engine_python
from ..runtime.background import BackgroundTask
from ..runtime.status_line import EngineLine, look_for_engine
from ..trust.html import warning_text
from .comparison import ComparisonBox
from .fitting import Line, ScrollArea, keep_log_in_sight
from .form import EnhanceForm


class EnhancePanel(ToolInstance):
    """Inputs, progress, and the comparison of a result with its input; all work is done by commands.

    It shows the tasks of commands that were typed, too.
    """

    SESSION_SAVE = True
    help = "help:user/tools/enhance.html"

    def __init__(self, session: Session, tool_name: str = "Enhance Map") -> None:
        super().__init__(session, tool_name)
        self._closed = False
        self._tasks: list[BackgroundTask] = []  # the first is shown
        self._started: object = None  # what the button Enhance began last
        self._handlers: list = []
        self._window_height = 0  # when the last result was opened
        self.tool_window = MainToolWindow(self)
        content = QWidget()
        layout = vertical_layout(content, margins=(5, 3, 5, 3), spacing=3)
        self.form = EnhanceForm(session, content)
        self.warnings = QLabel()
        self.warnings.setWordWrap(True)
        self.warnings.hide()
        layout.addWidget(self.warnings)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.addTab(self._first_page(), "Enhance")
        self.comparison = ComparisonBox(session, self.form, self.pages)
        layout.addWidget(self.pages, stretch=1)
        area = vertical_layout(self.tool_window.ui_area, margins=(0, 0, 0, 0), spacing=2)
        scroll_area = ScrollArea(content)
        area.addWidget(scroll_area, stretch=1)
        self.pages.currentChanged.connect(lambda _: self._page_changed(scroll_area))
        self._make_progress(area)
        self.tool_window.manage(placement="side")
        QTimer.singleShot(0, lambda: scroll_area.ask_for_room(session.ui.main_window))
        self._engine_handler = engine_python.triggers.add_handler("python chosen", lambda *_: self._look())
        self._begun_handler = background.triggers.add_handler("begun", lambda _, task: self._watch(task))
        for task in session.tasks.values():
            if isinstance(task, BackgroundTask) and not task.done:
                self._watch(task)
        self._look()

    def _first_page(self) -> QWidget:
        page = QWidget()
        layout = vertical_layout(page, spacing=3)
        layout.addWidget(self.form)
        _, buttons = button_row(
            page,
            [
                ("Enhance", lambda *_: self.enhance()),
                ("Install PyTorch", lambda *_: self.install()),
                ("Options", lambda *_: self.form.toggle_options()),
                ("Help", lambda *_: self.display_help()),
            ],
            spacing=8,
            button_list=True,
        )
        self.enhance_button, self.install_button, self.options_button, _ = buttons
        self.install_button.hide()
        layout.addWidget(self.form.options)  # below the buttons, which stay in sight in a low window
        layout.addStretch(1)
        return page

    def _page_changed(self, scroll_area: ScrollArea) -> None:
        """Give a page the height that it needs itself, not that of the highest, and show its top."""
        for number in range(self.pages.count()):
            shown = number == self.pages.currentIndex()
            policy = QSizePolicy.Policy.Preferred if shown else QSizePolicy.Policy.Ignored
            self.pages.widget(number).setSizePolicy(policy, policy)
        scroll_area.verticalScrollBar().setValue(0)

    def _make_progress(self, layout: QVBoxLayout) -> None:
        self.progress_text = Line()
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setMaximumHeight(12)
        self.stop_button = QPushButton("Stop")
        self.stop_button.clicked.connect(lambda *_: self.stop())
        row = QHBoxLayout()
        row.setContentsMargins(5, 0, 5, 3)
        row.addWidget(self.progress_bar, stretch=1)
        row.addWidget(self.stop_button)
        self.progress_text.setContentsMargins(5, 0, 5, 0)
        layout.addWidget(self.progress_text)
        layout.addLayout(row)
        for widget in (self.progress_text, self.progress_bar, self.stop_button):
            widget.hide()

    def _look(self) -> None:
        look_for_engine(self.session, self._show_engine)

    def _show_engine(self, engine: EngineLine) -> None:
        if self._closed:
            return
        self.form.device_line.setText(engine.text)
        self.install_button.setVisible(not engine.ready)
        self.enhance_button.setVisible(engine.ready)
        if engine.ready and not self._tasks:
            self.progress_text.hide()  # why an installation failed before

    def enhance(self) -> None:
        """Run `enhance` with the inputs."""
        self._started = run(self.session, self.form.command())
        if not isinstance(self._started, BackgroundTask):  # in a script, where the command waits
            self.comparison.compare_by_model()

    def install(self) -> None:
        """Run `enhance install`."""
        run(self.session, "enhance install")

    def stop(self) -> None:
        """Stop what is shown."""
        if self._tasks:
            run(self.session, f"taskman kill {self._tasks[0].id}")

    def _watch(self, task: BackgroundTask) -> None:
        """Show how far a task is, when it's the first, until it's done."""
        self._tasks.append(task)
        self._handlers += [
            task.triggers.add_handler("progress", lambda _, progress: self._show_progress(task, progress)),
            task.triggers.add_handler("done", lambda *_: self._task_done(task)),
        ]
        if isinstance(task, EnhanceJob):
            self._handlers += [
                task.triggers.add_handler("warned", lambda _, one: self._show_warning(one)),
                task.triggers.add_handler("result", lambda *_: self._remember_height()),
            ]
            self.warnings.setText("")
            self.warnings.hide()
        if task is self._tasks[0]:
            self._show_task()

    def _remember_height(self) -> None:
        self._window_height = self.session.ui.main_window.height()

    def _show_task(self) -> None:
        """Show the first task, or that there is none."""
        busy = bool(self._tasks)
        for widget in (self.progress_text, self.progress_bar, self.stop_button):
            widget.setVisible(busy)
        self.install_button.setEnabled(not busy)
        if busy:
            self.progress_bar.setRange(0, 0)  # moving to and fro
            self.progress_text.setText(self._tasks[0].title)

    def _show_progress(self, task: BackgroundTask, progress: Progress | str) -> None:
        if task is not self._tasks[0]:
            return
        if isinstance(progress, str):
            self.progress_text.setText(progress)
            return
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setValue(round(1000 * progress.fraction))
        self.progress_text.setText(progress.text)

    def _show_warning(self, warning: InputWarning) -> None:
        self.warnings.setText(self.warnings.text() + warning_text(warning))
        self.warnings.show()

    def _task_done(self, task: BackgroundTask) -> None:
        self._tasks.remove(task)
        self._show_task()
        if task.error is not None and not self._tasks:
            self.progress_text.setText(str(task.error))
            self.progress_text.show()
        if isinstance(task, EnhanceJob) and task.results:
            self.form.map_menu.value = task.opened[-1].given
            self.comparison.show_result(task.results[-1])
            keep_log_in_sight(self.session, self._window_height)
            if task is self._started:
                self.comparison.compare_by_model()

    def delete(self) -> None:
        """Close the panel; what is running goes on."""
        self._closed = True
        for handler in (self._engine_handler, self._begun_handler, *self._handlers):
            handler.remove()
        self.comparison.delete()
        super().delete()

    def take_snapshot(self, session: Session, flags: int) -> dict:
        """What a session keeps."""
        data = super().take_snapshot(session, flags)
        return {
            "version": 1,
            "tool": data,
            "form": self.form.snapshot(),
            "comparison": self.comparison.snapshot(),
        }

    @classmethod
    def restore_snapshot(cls, session: Session, data: dict) -> EnhancePanel:
        """The panel as it was; the menus know the session's models only at the end."""
        panel = cls(session)

        def restore(*_) -> str:
            panel.form.restore(data["form"])
            panel.comparison.restore(data["comparison"])
            return DEREGISTER

        session.triggers.add_handler("end restore session", restore)
        panel.display(data["tool"].get("shown", True))
        return panel


def show_panel(session: Session) -> EnhancePanel:
    """Show the panel, opened unless there is one."""
    panels = session.tools.find_by_class(EnhancePanel)
    panel = panels[0] if panels else EnhancePanel(session)
    panel.display(True)
    return panel
