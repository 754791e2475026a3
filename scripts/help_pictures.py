"""Makes the pictures of the help pages with the bundle itself; runs in a ChimeraX with a window:

chimerax --script "scripts/help_pictures.py MAP MODEL RESOLUTION"
"""

import sys
import tempfile
from pathlib import Path

from chimerax.core.commands import run

PAGES = Path(__file__).resolve().parents[1] / "src" / "docs" / "user"
PANEL_SIZE = (560, 760)
PAGE_SIZE = (560, 560)
VIEW_SIZE = (420, 420)


def open_scene(session, map_path, model_path):
    """The map as #1 and the model as #2, ready for pictures."""
    run(session, f"open {map_path}")
    run(session, f"open {model_path}")
    run(session, "hide atoms; cartoon; set bgColor white; lighting soft; graphics silhouettes true")


def enhance_with_panel(session, resolution):
    """Enhance and compare by the panel, waiting for the end."""
    from chimerax.map_enhance.panel.tool import show_panel

    panel = show_panel(session)
    panel.form.resolution.value = float(resolution)
    panel.enhance()
    return panel


def save_view(session, shown, hidden, path):
    """A picture of one of the maps, transparent, with the model in it."""
    run(session, f"hide {hidden} models; show {shown} models; transparency {shown} 55")
    run(session, "view /C; zoom 1.3")
    width, height = VIEW_SIZE
    run(session, f"save {path} width {width} height {height} supersample 3")


def save_views(session, path):
    """Input and result side by side."""
    from Qt.QtGui import QImage, QPainter

    run(session, "view orient; turn x 90")  # the filament from its side
    run(session, "color #1 #b0b0b0 models; color #3 #7fb2e5 models; volume #1,3 step 1")
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        for shown, hidden in (("#1", "#3"), ("#3", "#1")):
            file = Path(folder, f"{shown[1:]}.png")
            save_view(session, shown, hidden, file)
            pictures.append(QImage(str(file)))
    both = QImage(2 * VIEW_SIZE[0], VIEW_SIZE[1], QImage.Format.Format_RGB32)
    painter = QPainter(both)
    for number, picture in enumerate(pictures):
        painter.drawImage(number * VIEW_SIZE[0], 0, picture)
    painter.end()
    both.save(str(path))


def save_panel(session, panel, path, page=1):
    """A picture of the panel with one of its pages."""
    panel.pages.setCurrentIndex(page)
    panel.tool_window.floating = True
    area = panel.tool_window.ui_area
    area.window().resize(*PANEL_SIZE)
    for _ in range(20):
        session.ui.processEvents()
    area.grab().save(str(path))


def save_page(session, panel, number, path):
    """A picture of one page of the panel alone."""
    panel.pages.setCurrentIndex(number)
    panel.tool_window.ui_area.window().resize(*PAGE_SIZE)
    for _ in range(20):
        session.ui.processEvents()
    panel.pages.currentWidget().grab().save(str(path))


def main(session, map_path, model_path, resolution):
    """Make all pictures."""
    open_scene(session, map_path, model_path)
    panel = enhance_with_panel(session, resolution)
    save_panel(session, panel, PAGES / "tools" / "enhance-panel.png")
    save_page(session, panel, 2, PAGES / "commands" / "mapcc-fsc.png")
    save_page(session, panel, 3, PAGES / "commands" / "mapcc-residues.png")
    save_page(session, panel, 4, PAGES / "commands" / "mapcc-classes.png")
    save_views(session, PAGES / "tools" / "enhance-views.png")


if "session" in globals():
    main(session, *sys.argv[1:])  # noqa: F821
