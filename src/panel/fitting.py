"""Widgets that make do with the room that a docked panel has."""

from __future__ import annotations

from html import escape

from chimerax.ui.widgets import ModelMenuButton
from Qt.QtCore import QSize, Qt
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

_WIDEST, _LOWEST = 210, 150  # pixels


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
        dock: QWidget | None = self
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parentWidget()
        if dock is not None:
            missing = self.widget().minimumSizeHint().height() - self.height()
            main_window.resizeDocks([dock], [dock.height() + max(0, missing)], Qt.Orientation.Vertical)

    def minimumSizeHint(self) -> QSize:
        """As wide as the content must be, and low."""
        content = self.widget().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(content.width() + bar, min(content.height(), _LOWEST))
