"""The residue attributes `rscc` and `qscore`, and coloring by them."""

from __future__ import annotations

import numpy as np
from chimerax.atomic import Residue, Residues
from chimerax.core.commands import run
from chimerax.core.session import Session

ATTRIBUTES = {"rscc": "real-space correlation", "qscore": "Q-score"}


def register_attributes(session: Session) -> None:
    """Make the attributes known to `color byattribute`, the attribute tools and sessions."""
    for name in ATTRIBUTES:
        Residue.register_attr(session, name, "mapcc", attr_type=float)


def set_values(residues: Residues, name: str, values: np.ndarray) -> None:
    """Give residues their values (n,); a residue whose value is nan loses the attribute."""
    for residue, value in zip(residues, values, strict=True):
        if np.isfinite(value):
            setattr(residue, name, float(value))
        elif hasattr(residue, name):
            delattr(residue, name)


def color_residues(session: Session, spec: str, name: str, expected: float = 0.5) -> None:
    """Color red where the attribute is 0, white at the expected value, blue at twice that (1 at most).

    Args:
        session: the session.
        spec: of the atoms.
        name: "rscc" or "qscore".
        expected: what is usual.
    """
    top = min(1.0, 2 * expected)
    run(
        session,
        f"color byattribute r:{name} {spec} palette 0,red:{min(expected, 0.99 * top):.2f},white:{top:.2f},blue"
        " noValueColor gray",
    )


def residue_spec(residue: Residue) -> str:
    """How commands name a residue, whatever else will be opened."""
    return residue.string(omit_structure=False, style="command")
