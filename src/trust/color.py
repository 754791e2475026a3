"""Coloring an enhanced map by how far its input, or the agreement of half maps, supports it."""

from __future__ import annotations

from chimerax.core.commands import run
from chimerax.core.models import REMOVE_MODELS, Model
from chimerax.core.session import Session
from chimerax.core.triggerset import DEREGISTER
from chimerax.label.label2d import Label
from chimerax.map import Volume

# Correlation and color: red where the result has nothing to rest on.
PALETTE = ((0.0, "#b2182b"), (0.5, "#f7f7f7"), (1.0, "#2166ac"))
# Confidence rises with density, which is the same all over a surface: so far (A) inside of it the values are taken.
INSIDE = {"confidence": 1.2}


def color_by(session: Session, result: Volume, values: Volume) -> None:
    """Color the surface of a map by another map's values, 0 to 1, and show the key.

    ChimeraX does it, so it follows the contour level and is in sessions.
    """
    result.update_drawings()
    if not any(len(surface.vertices) for surface in result.surfaces if surface.vertices is not None):
        session.logger.warning(f"{result} is not shown as a surface, so it wasn't colored by {values.name}")
        return
    palette = ":".join(f"{value:g},{color}" for value, color in PALETTE)
    offset = -INSIDE.get(values.name, 0.0)
    sample = f"color sample #{result.id_string} map #{values.id_string} palette {palette} offset {offset:g}"
    run(session, sample)
    labels = " ".join(f"{color}:{value:g}" for value, color in PALETTE)
    # High enough for the labels below it in a low window, too.
    key = run(session, f"key {labels} fontSize 16 ticks true pos 0.68,0.14 size 0.28,0.04")
    title = run(session, f'2dlabels text "{values.name}" size 16 xpos 0.68 ypos 0.19')
    _close_with(session, result, key, title)


def _close_with(session: Session, result: Volume, key: Model, title: Label | None) -> None:
    """Close the key and its title with the result, unless someone has made another of the key meanwhile."""
    ours = key.rgbas_and_labels

    def closed(_name: str, models: list[Model]) -> str | None:
        if result not in models and key not in models:
            return None
        if title is not None and title.drawing is not None:  # it has none once it's closed
            session.models.close([title.drawing])
        if session.models.have_model(key) and key.rgbas_and_labels is ours and key not in models:
            session.models.close([key])
        return DEREGISTER

    session.triggers.add_handler(REMOVE_MODELS, closed)
