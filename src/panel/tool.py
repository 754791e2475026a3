"""The panel "Enhance Map": enhance a map, and compare the result with it, without typing commands."""

from __future__ import annotations

from collections.abc import Callable

from chimerax.core.commands import run
from chimerax.core.session import Session
from chimerax.core.tools import ToolInstance
from chimerax.core.triggerset import DEREGISTER
from chimerax.ui import MainToolWindow
from chimerax.ui.widgets import button_row, vertical_layout
from Qt.QtWidgets import QFrame, QLabel, QProgressBar, QVBoxLayout, QWidget

from ..cryomap.trust.input_verdict import InputWarning
from ..enhance.job import Progress
from ..runtime import engine_python
from ..runtime.background import BackgroundTask
from ..runtime.status_line import EngineLine, look_for_engine
from ..trust.html import warning_text
from .comparison import ComparisonBox
from .form import EnhanceForm, Line


class EnhancePanel(ToolInstance):
    """Inputs, progress, and the comparison of a result with its input; all work is done by commands."""

    SESSION_SAVE = True
    help = "help:user/tools/enhance.html"

    def __init__(self, session: Session, tool_name: str = "Enhance Map") -> None:
        super().__init__(session, tool_name)
        self._closed = False
        self._task: BackgroundTask | None = None
        self._handlers: list = []
        self.tool_window = MainToolWindow(self)
        area = self.tool_window.ui_area
        layout = vertical_layout(area, margins=(5, 3, 5, 3), spacing=4)
        self.form = EnhanceForm(session)
        layout.addWidget(self.form)
        self._make_buttons(area)
        self._make_progress(layout)
        line = QFrame(area)
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFrameShadow(QFrame.Shadow.Sunken)
        layout.addWidget(line)
        self.comparison = ComparisonBox(session, self.form, self._watch)
        layout.addWidget(self.comparison, stretch=1)
        self.tool_window.manage(placement="side")
        self._engine_handler = engine_python.triggers.add_handler("python chosen", lambda *_: self._look())
        self._look()

    def _make_buttons(self, area: QWidget) -> None:
        _, buttons = button_row(
            area,
            [
                ("Enhance", lambda *_: self.enhance()),
                ("Install PyTorch", lambda *_: self.install()),
                ("Stop", lambda *_: self.stop()),
                ("Options", lambda *_: self.form.toggle_options()),
                ("Help", lambda *_: self.display_help()),
            ],
            spacing=8,
            button_list=True,
        )
        self.enhance_button, self.install_button, self.stop_button, self.options_button, _ = buttons
        self.stop_button.setEnabled(False)
        self.install_button.hide()

    def _make_progress(self, layout: QVBoxLayout) -> None:
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setMaximumHeight(12)
        self.progress_text = Line()
        self.warnings = QLabel()
        self.warnings.setWordWrap(True)
        for widget in (self.progress_bar, self.progress_text, self.warnings):
            layout.addWidget(widget)
            widget.hide()

    def _look(self) -> None:
        look_for_engine(self.session, self._show_engine)

    def _show_engine(self, engine: EngineLine) -> None:
        if self._closed:
            return
        self.form.device_line.setText(engine.text)
        self.install_button.setVisible(not engine.ready)
        self.enhance_button.setVisible(engine.ready)
        if engine.ready and self._task is None:
            self.progress_text.hide()  # why an installation failed before

    def enhance(self) -> None:
        """Run `enhance` with the inputs."""
        answer = run(self.session, self.form.command())
        if isinstance(answer, BackgroundTask):
            self._watch(answer, "Starting...", self._enhanced)
        else:  # a script pressed the button, and in scripts the command waits
            self.comparison.show_result(answer[-1])

    def install(self) -> None:
        """Run `enhance install`."""
        task = run(self.session, "enhance install")
        if task is not None and not task.done:
            self._watch(task, str(task.plan), lambda _: None)

    def stop(self) -> None:
        """Stop what is running."""
        if self._task is not None:
            run(self.session, f"taskman kill {self._task.id}")

    def _enhanced(self, job: BackgroundTask) -> None:
        if job.results:
            self.comparison.show_result(job.results[-1])

    def _watch(self, task: BackgroundTask, text: str, when_done: Callable[[BackgroundTask], None]) -> None:
        """Show how far a task is, beginning with a text, until it's done."""
        self._task = task
        self._handlers = [
            task.triggers.add_handler("progress", lambda _, progress: self._show_progress(progress)),
            task.triggers.add_handler("done", lambda *_: self._task_done(when_done)),
        ]
        if task.triggers.has_trigger("warned"):
            self._handlers.append(task.triggers.add_handler("warned", lambda _, one: self._show_warning(one)))
        self.warnings.setText("")
        self.warnings.hide()
        self._set_busy(True)
        self.progress_bar.setRange(0, 0)  # moving to and fro
        self.progress_text.setText(text)
        self.progress_bar.show()
        self.progress_text.show()

    def _set_busy(self, busy: bool) -> None:
        for button in (self.enhance_button, self.install_button, self.comparison.compare_button):
            button.setEnabled(not busy)
        self.stop_button.setEnabled(busy)

    def _show_progress(self, progress: Progress | str) -> None:
        if isinstance(progress, str):
            self.progress_text.setText(progress)
            return
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setValue(round(1000 * progress.fraction))
        self.progress_text.setText(progress.text)

    def _show_warning(self, warning: InputWarning) -> None:
        self.warnings.setText(self.warnings.text() + warning_text(warning))
        self.warnings.show()

    def _task_done(self, when_done: Callable[[BackgroundTask], None]) -> None:
        task, self._task, self._handlers = self._task, None, []
        self._set_busy(False)
        self.progress_bar.hide()
        self.progress_text.setText("" if task.error is None else str(task.error))
        self.progress_text.setVisible(task.error is not None)
        when_done(task)

    def delete(self) -> None:
        """Close the panel; what is running goes on."""
        self._closed = True
        for handler in (self._engine_handler, *self._handlers):
            handler.remove()
        self.comparison.end()
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
