"""Makes the pictures of README and help; runs in a ChimeraX with a window:

chimerax --script "scripts/help_pictures.py MAPS MODEL [WHAT...]"

MAPS is a folder with the maps and models of `pictures.maps`, gzipped; MODEL is that of PDB entry 1XDN. WHAT is any of
maps (with the panel) and trust; both by default.
"""

import atexit
import os
import sys
import traceback
from pathlib import Path

from chimerax.core.commands import run

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pictures import maps, panel, trust


def main(session, folder, model, *wanted):
    """Make what is wanted, then leave the program; what failed is told on standard error, and by the exit status."""
    failed = []
    atexit.register(lambda: failed and os._exit(1))  # ChimeraX's own is 0 whatever happened
    for name in wanted or ("maps", "trust"):
        try:
            make(session, name, Path(folder), model)
        except Exception:
            traceback.print_exc(file=sys.__stderr__)
            failed.append(name)
    run(session, "exit")


def make(session, name, folder, model):
    """One kind of pictures."""
    if name == "maps":
        panel.save_all(session, maps.save_all(session, folder))
    elif name == "trust":
        trust.save_all(session, folder, model)
    else:
        raise ValueError(f"{name}: maps or trust")


if "session" in globals():
    main(session, *sys.argv[1:])  # noqa: F821
