"""Pictures of the panel Enhance Map and of its pages."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from Qt.QtCore import QBuffer
from Qt.QtWidgets import QWidget

from .maps import TOOLS
from .scenes import Pair, save_small

COMMANDS = TOOLS.parent / "commands"
PANEL_SIZE, PAGE_SIZE = (578, 240), (440, 300)


def save_all(session, pair: Pair) -> None:
    """The panel with its form, and with its figures, one below the other, and the pages of plots."""
    from chimerax.map_enhance.panel.tool import show_panel

    panel = show_panel(session)
    panel.form.resolution.value = pair.entry.resolution
    panel.comparison.choose_result()
    panel.comparison.model_menu.value = pair.model
    panel.comparison.compare()
    panel.tool_window.floating = True
    wait_for_device(session, panel)
    titles = [panel.pages.tabText(number) for number in range(panel.pages.count())]
    shots = [grab(session, panel, number, PANEL_SIZE) for number in (0, titles.index("Compare"))]
    width, height = shots[0].size
    whole = Image.new("RGB", (width, 2 * height + 6), "white")
    for number, shot in enumerate(shots):
        whole.paste(shot, (0, number * (height + 6)))
    save_small(whole, TOOLS / "enhance-panel.png")
    for title in ("FSC", "Residues", "Classes"):
        grab(
            session,
            panel,
            titles.index(title),
            PAGE_SIZE,
            page=True,
            path=COMMANDS / f"mapcc-{title.lower()}.png",
        )
    panel.delete()


def wait_for_device(session, panel) -> None:
    """Let the window live until the panel says what it calculates on."""
    end = time.monotonic() + 120
    while "looking" in panel.form.device_line.text():
        if time.monotonic() > end:
            raise RuntimeError("the panel never told the device")
        session.ui.processEvents()
        time.sleep(0.05)


def grab(session, panel, number: int, size: tuple[int, int], page: bool = False, path: Path | None = None):
    """A picture of the panel, or of one page of it alone."""
    panel.pages.setCurrentIndex(number)
    panel.tool_window.ui_area.window().resize(*size)
    for _ in range(20):
        session.ui.processEvents()
    shown: QWidget = panel.pages.currentWidget() if page else panel.tool_window.ui_area
    buffer = QBuffer()
    shown.grab().save(buffer, "PNG")
    image = Image.open(BytesIO(bytes(buffer.data()))).convert("RGB")
    if path is not None:
        save_small(image, path)
    return image
