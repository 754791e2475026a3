"""Maps that ChimeraX places elsewhere than their headers say, because of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from chimerax.map import Volume

from ..cryomap.errors import InputError
from ..cryomap.mrc import HEADER_BYTES, parse_header
from ..cryomap.mrc_place import NSTART_FIRST


def ignored_origin(volume: Volume) -> str:
    """A sentence on a header's ORIGIN that ChimeraX doesn't look at in files of that name; "" if there is none."""
    path = Path(volume.data.path or "")
    if path.suffix.lower() not in NSTART_FIRST:
        return ""
    try:
        with open(path, "rb") as file:
            header = parse_header(file.read(HEADER_BYTES), ".mrc")
    except (OSError, InputError):
        return ""
    origin = header.grid.origin
    if header.frame != "origin" or np.allclose(origin, volume.data.origin, atol=0.01):
        return ""
    place = ", ".join(f"{x:.1f}" for x in origin)
    return (
        f"The ORIGIN in the header of {path.name} is {place} Å, which ChimeraX ignores in {path.suffix} files:"
        f" copy it to {path.stem}.mrc and open that"
    )
