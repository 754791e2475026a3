"""Markers where density was lost or invented, and the commands that go there."""

from __future__ import annotations

from collections.abc import Sequence

from chimerax.atomic import Atom
from chimerax.core.session import Session
from chimerax.markers import MarkerSet

from ..cryomap.trust.halves import Disagreement
from ..cryomap.trust.lost import Region
from .model import TrustModel

COLORS = {"lost": (208, 32, 32, 130), "invented": (150, 50, 200, 130), "disagreement": (235, 140, 20, 130)}
NAMES = {
    "lost": "lost density",
    "invented": "invented density",
    "disagreement": "disagreement of the halves",
}
# What a marker knows: attribute, attribute of the region, type.
ATTRIBUTES = (
    ("density_volume", "volume", float),
    ("density_peak", "peak_sigma", float),
    ("density_share", "share", float),
    ("density_nearest", "nearest", str),
)
_SMALLEST, _LARGEST = 1.2, 4.0  # radii in A


def add_markers(group: TrustModel, kind: str, regions: Sequence[Region | Disagreement]) -> None:
    """Mark regions by spheres of about their volume, numbered from 1; nothing for no regions.

    Args:
        group: what the markers go to.
        kind: "lost", "invented" or "disagreement".
        regions: of the engine's judgement, in the result's coordinates.
    """
    if not regions:
        return
    session = group.session
    register_attributes(session)
    markers = MarkerSet(session, f"{NAMES[kind]} ({len(regions)})")
    for number, region in enumerate(regions, 1):
        radius = (3 * region.volume / (4 * 3.1416)) ** (1 / 3)
        radius = min(_LARGEST, max(_SMALLEST, radius))
        marker = markers.create_marker(region.center, COLORS[kind], radius, number)
        for attribute, key, convert in ATTRIBUTES:
            if (value := getattr(region, key, None)) not in (None, ""):
                setattr(marker, attribute, convert(value))
    session.models.add([markers], parent=group)


def register_attributes(session: Session) -> None:
    """Make the markers' attributes known to sessions and attribute tools."""
    for attribute, _, convert in ATTRIBUTES:
        Atom.register_attr(session, attribute, "enhance", attr_type=convert)


def marker_spec(group: TrustModel, kind: str, number: int) -> str | None:
    """How commands name a marker; None if it was closed."""
    markers = group.part(NAMES[kind])
    return None if markers is None else f"#{markers.id_string}:{number}"


def go_there(spec: str) -> str:
    """The command that looks at a marker, from near by, what is in front of it cut away."""
    return f"view {spec} clip false pad 0.75; clip near -7 far 12 position {spec}"
