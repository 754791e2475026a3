"""Makes an unpacked wheel the bundle, and a Python the engine's, until this ChimeraX ends.

    ChimeraX --nogui --cmd "runscript use_bundle.py FOLDER PYTHON; ..."

Nothing is installed and no setting of the user's is changed.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run as runner

runner.load_bundle(session, sys.argv[1])  # noqa: F821
from chimerax.map_enhance.runtime import engine_python  # noqa: E402

chosen = SimpleNamespace(python=sys.argv[2])
engine_python.settings = lambda session: chosen
