"""The panel "Enhance Map" in a test's hands: opened, clicked, written into, read."""

import contextlib

from support import Skipped, use_fake_engine
from test_window import wait


@contextlib.contextmanager
def panel(session):
    """The panel, in a session that does not take what happens for a script's doing; lists the commands run."""
    if not session.ui.is_gui:
        raise Skipped("no window")
    from chimerax.map_enhance.panel.tool import show_panel

    use_fake_engine()
    commands, in_script = [], session.in_script
    handler = session.triggers.add_handler("command started", lambda _, text: commands.append(text))
    session.in_script = type(in_script)()
    shown = show_panel(session)
    try:
        wait(session, lambda: shown.form.device_line.text().startswith("Device: p"), 60)
        yield shown, commands
    finally:
        session.in_script = in_script
        session.triggers.remove_handler(handler)
        if shown in session.tools.list():
            shown.delete()


def click(widget, x=None, y=None):
    """Press and release the left button in the middle of a widget, or at (x, y)."""
    from Qt.QtCore import QEvent, QPointF, Qt
    from Qt.QtGui import QMouseEvent
    from Qt.QtWidgets import QApplication

    place = QPointF(widget.rect().center()) if x is None else QPointF(x, y)
    left, nothing = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    for kind, held in ((QEvent.Type.MouseButtonPress, left), (QEvent.Type.MouseButtonRelease, nothing)):
        at = widget.mapToGlobal(place.toPoint()).toPointF()
        event = QMouseEvent(kind, place, at, left, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(widget, event)


def write(widget, text):
    """Replace the text of an entry, key by key."""
    from Qt.QtCore import QEvent, Qt
    from Qt.QtGui import QKeyEvent
    from Qt.QtWidgets import QApplication

    widget.clear()
    for letter in text:
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event = QKeyEvent(kind, 0, Qt.KeyboardModifier.NoModifier, letter)
            QApplication.sendEvent(widget, event)


def choose(button, text):
    """Choose an entry of a menu button."""
    (action,) = [action for action in button.menu().actions() if action.text() == text]
    action.trigger()


def item_of(view, label):
    """The row of the table of figures with that label."""
    for number in range(view.topLevelItemCount()):
        group = view.topLevelItem(number)
        for child in range(group.childCount()):
            if group.child(child).text(0) == label:
                return group.child(child)
    raise AssertionError(f"no row {label}")


def titles(pages):
    return [pages.tabText(number) for number in range(pages.count())]
