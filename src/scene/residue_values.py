"""Residue attributes (RSCC, Q-score, confidence), coloring by them, and how commands name residues."""

from __future__ import annotations

import re

import numpy as np
from chimerax.atomic import Residue, Residues
from chimerax.core.commands import run
from chimerax.core.session import Session

PLAIN_SPEC = re.compile(r"#[\d.]+/\w*:-?\d+\w?", re.ASCII)  # of one residue, whose chain has a harmless name
ATTRIBUTES = ("rscc", "qscore", "confidence")


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
    """How commands name a residue, whatever else will be opened and whatever its chain is called.

    A chain's name may hold anything, a command or a wildcard, too; where it isn't of letters and digits, the
    residue is named by the serial numbers of its atoms.
    """
    spec = residue.string(omit_structure=False, style="command")
    if PLAIN_SPEC.fullmatch(spec):
        return spec
    structure = residue.structure.atomspec
    return " | ".join(f"{structure}@@serial_number={number}" for number in residue.atoms.serial_numbers)
