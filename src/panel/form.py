"""The inputs of the panel "Enhance Map", and the command they stand for."""

from __future__ import annotations

from chimerax.core.commands import quote_path_if_necessary
from chimerax.core.errors import UserError
from chimerax.core.session import Session
from chimerax.map import Volume
from chimerax.ui.widgets import CollapsiblePanel, EntriesRow
from Qt.QtCore import QTimer
from Qt.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ..cryomap.job import DEVICES, METHODS, OPTIONS, Option
from ..enhance.results import newest_input
from .fitting import Line, ModelMenu

AUTOMATIC = "automatic"  # the method
NO_COLOR = "nothing"


def advice(resolution: float | None) -> str:
    """One line on which method suits a map of that resolution (A)."""
    if resolution is None:
        return "superem suits maps at 3–6 Å, cryosamu 4–8 Å; at 4–6 Å try both."
    where = f"At {resolution:g} Å: "
    if resolution < 3:
        return where + "better than the maps the methods were trained on; expect little gain."
    if resolution < 4:
        return where + "superem (3–6 Å)."
    if resolution <= 6:
        return where + "superem (3–6 Å) and cryosamu (4–8 Å) both suit; try both."
    if resolution <= 8:
        return where + "cryosamu (4–8 Å)."
    return where + "beyond what either method was trained on; don't trust the result."


class EnhanceForm(QWidget):
    """Map, resolution, method and mask; device, contour level, samples, weights and the like on request."""

    def __init__(self, session: Session, top: QWidget) -> None:
        """Make it.

        Args:
            session: the session.
            top: where the row of the map and its resolution goes, which comparing needs, too.
        """
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        maps = {"class_filter": Volume}
        self.map_menu = ModelMenu(session, **maps)
        if (given := newest_input(session)) is not None:
            self.map_menu.value = given
        row = EntriesRow(top, "Map", self.map_menu, "  Resolution", 0.0, "Å")
        self.resolution = row.values[0]
        self.resolution.value = None
        self.resolution.widget.textChanged.connect(lambda _: self._advise())
        self.mask_menu = ModelMenu(
            session,
            no_value_menu_text="none",
            no_value_button_text="none",
            autoselect_single_item=False,
            **maps,
        )
        row = EntriesRow(self, "Method", (AUTOMATIC, *METHODS), "  Mask", self.mask_menu)
        row.frame.setToolTip("Mask: enhance only inside the contour of another map, as it is shown")
        self.method = row.values[0]
        self._advice = Line()
        self._advice.setStyleSheet("color: gray")
        layout.addWidget(self._advice)
        self._advise()
        self.device_line = Line("Device: looking for it...")
        layout.addWidget(self.device_line)
        self.options = CollapsiblePanel(self, title=None)
        self._make_options(self.options.content_area)

    def _make_options(self, area: QWidget) -> None:
        row = EntriesRow(area, True, "Hide the input", "   ", False, "Fill lost density")
        self.hide_input, self.keep_lost = row.values
        row.frame.setToolTip("Lost density is listed either way; it can be filled from the input")
        row = EntriesRow(area, "Color by", (NO_COLOR, "support", "confidence"), "   Calculate on", DEVICES)
        self.color_by, self.device = row.values
        row.frame.setToolTip(
            "Support: how well the result agrees with the input, place by place; "
            "confidence: how probable an atom is there"
        )
        row = EntriesRow(area, "Contour level", 0.0, "  Voxel size", 0.0, "Å")
        self.level, self.grid_spacing = row.values
        row.frame.setToolTip(
            "Contour level of the input, blank: as shown; voxel size of the result, blank: the method's"
        )
        row = EntriesRow(area, "Orientations", 0, "  Weights", "", ("Browse...", self._browse))
        self.samples, self.weights, *_ = row.values
        row.frame.setToolTip(
            "Deviation over so many orientations, blank: none; file of weights, blank: those included"
        )
        self.level.value = self.grid_spacing.value = self.samples.value = None
        self.weights.pixel_width = 110

    def toggle_options(self, shown: bool | None = None) -> None:
        """Show or hide the options."""
        self.options.toggle_panel_display(shown)
        # Before they are first shown their size is guessed too small.
        QTimer.singleShot(0, self.options.resize_panel)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights File", "", "Weights (*.safetensors *.pt *.pth *)"
        )
        if path:
            self.weights.value = path

    def _advise(self) -> None:
        self._advice.setText(advice(entry_value(self.resolution) or None))

    def command(self) -> str:
        """The command `enhance` with these inputs.

        Raises:
            UserError: no map chosen, or an entry that's no number.
        """
        volume = self.map_menu.value
        if volume is None:
            raise UserError("Choose the map to enhance.")
        parts = [f"enhance {volume.atomspec}"]
        for option in OPTIONS:
            if option.name in vars(self):
                parts += _argument(option, getattr(self, option.name))
        if self.mask_menu.value is not None:
            parts.append(f"mask {self.mask_menu.value.atomspec}")
        if not self.hide_input.value:
            parts.append("hideInput false")
        if self.color_by.value != NO_COLOR:
            parts.append(f"colorBy {self.color_by.value}")
        return " ".join(parts)

    def _kept(self) -> list[str]:
        names = (*(option.name for option in OPTIONS), "hide_input", "color_by")
        return [name for name in names if name in vars(self)]

    def snapshot(self) -> dict:
        """What a session keeps."""
        entries = {name: entry_value(getattr(self, name)) for name in self._kept()}
        return {
            **entries,
            "map": self.map_menu.value,
            "mask": self.mask_menu.value,
            "options_shown": self.options.shown,
        }

    def restore(self, data: dict) -> None:
        """Set the inputs from `snapshot`."""
        for name in self._kept():
            if name in data:
                getattr(self, name).value = data[name]
        self.map_menu.value, self.mask_menu.value = data["map"], data["mask"]
        self.toggle_options(data["options_shown"])


def entry_value(entry):
    """What an entry holds; None if it is one for numbers that is blank or holds none."""
    try:
        return entry.value
    except ValueError:  # ChimeraX 1.8 and 1.9
        return None


def _argument(option: Option, entry) -> list[str]:
    """An entry's value as an argument of the command; nothing for a blank one or the default."""
    first, *others = option.name.split("_")
    keyword = first + "".join(word.capitalize() for word in others)
    value = entry_value(entry)
    if option.kind in (int, float):
        text = entry.widget.text().strip()
        if text and value is None:
            raise UserError(f"{keyword}: “{text}” is not a number.")
        return [f"{keyword} {value:g}"] if text else []
    if option.kind is bool:
        return [] if value == option.default else [f"{keyword} {str(value).lower()}"]
    value = value.strip()
    if value in ("", AUTOMATIC, option.default):
        return []
    return [f"{keyword} {quote_path_if_necessary(value) if option.is_file else value}"]
