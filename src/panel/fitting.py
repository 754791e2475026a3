"""Widgets that make do with the room that a docked panel has."""

from __future__ import annotations

from html import escape

from chimerax.core.session import Session
from chimerax.core.tools import ToolInstance
from chimerax.ui.widgets import ModelMenuButton
from Qt.QtCore import QSize, Qt, QTimer
from Qt.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QWidget,
)

_WIDEST, _LOWEST, _LOG_HEIGHT = 210, 150, 150  # pixels


class ModelMenu(ModelMenuButton):
    """A menu of models; a long name is cut in its middle, and whole in the tool tip."""

    def sizeHint(self) -> QSize:
        """No wider than a panel has room for."""
        hint = super().sizeHint()
        return QSize(min(_WIDEST, hint.width()), hint.height())

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the number of a model."""
        hint = super().minimumSizeHint()
        return QSize(min(80, hint.width()), hint.height())

    def paintEvent(self, event) -> None:
        """Draw the button with what of the name there is room for."""
        painter, option = QStylePainter(self), QStyleOptionButton()
        self.initStyleOption(option)
        style = self.style()
        room = style.subElementRect(QStyle.SubElement.SE_PushButtonContents, option, self).width()
        room -= style.pixelMetric(QStyle.PixelMetric.PM_MenuButtonIndicator, option, self)
        option.text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, room)
        self.setToolTip(f"<span>{escape(self.text())}</span>")  # a name may look like markup
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)


class Line(QLabel):
    """Text that doesn't widen its panel; it wraps."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)


class ScrollArea(QScrollArea):
    """What doesn't fit is scrolled to, up and down alone, so that the main window need not grow."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)

    def ask_for_room(self, main_window: QMainWindow) -> None:
        """Be high enough for the content, if the other docked panels leave room for it."""
        if (dock := _dock(self)) is not None:
            missing = self.widget().minimumSizeHint().height() - self.height()
            main_window.resizeDocks([dock], [dock.height() + max(0, missing)], Qt.Orientation.Vertical)

    def minimumSizeHint(self) -> QSize:
        """As wide as the content must be, and low."""
        content = self.widget().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(content.width() + bar, min(content.height(), _LOWEST))


def keep_log_in_sight(session: Session, height: int, times: int = 8) -> None:
    """Let the Log have room again that the Volume Viewer takes for one more map, as soon as it gives that back.

    It insists on its height for a while, which only its own timer ends; so this is tried several times.

    Args:
        session: the session.
        height: that of the main window before the map was there; what it grew is undone.
        times: how often to try.
    """
    if times > 1:
        QTimer.singleShot(400, lambda: keep_log_in_sight(session, height, times - 1))
    window = session.ui.main_window
    if window.height() > height:
        window.resize(window.width(), height)
    docks = [
        _dock(tool.tool_window.ui_area) for name in ("Log", "Volume Viewer") for tool in _tools(session, name)
    ]
    if len(docks) != 2 or None in docks or any(dock.isFloating() for dock in docks):
        return
    log, viewer = docks
    missing = _LOG_HEIGHT - log.height()
    if missing > 0:
        heights = [_LOG_HEIGHT, viewer.height() - missing]
        window.resizeDocks(docks, heights, Qt.Orientation.Vertical)


def _tools(session: Session, name: str) -> list[ToolInstance]:
    return [tool for tool in session.tools.list() if tool.tool_name == name]


def _dock(widget: QWidget | None) -> QDockWidget | None:
    """The docked panel that a widget is in."""
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget
