"""The inputs of the panel "Enhance Map" with the widgets of older ChimeraX. Skipped without a window."""

from unittest import mock

from support import Skipped, open_map, user_error


def test_blank_numbers_in_chimerax_1_8(session):
    if not session.ui.is_gui:
        raise Skipped("no window")
    from chimerax.map_enhance.panel.form import EnhanceForm
    from chimerax.ui.widgets.composite import NumberEntry
    from Qt.QtWidgets import QVBoxLayout, QWidget

    def as_in_1_8(entry):
        return entry.string_to_value(entry.widget.text())

    open_map(session)
    with mock.patch.object(NumberEntry, "value", property(as_in_1_8, NumberEntry.value.fset)):
        top = QWidget()
        QVBoxLayout(top)
        form = EnhanceForm(session, top)
        assert form.command() == "enhance #1" and form.snapshot()["resolution"] is None
        form.resolution.widget.setText("4.2")
        assert form.command() == "enhance #1 resolution 4.2" and form.snapshot()["resolution"] == 4.2
        form.resolution.widget.setText("4.2 or so")
        with user_error("4.2 or so", "not a number"):
            form.command()
    form.deleteLater()
    top.deleteLater()
