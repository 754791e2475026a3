"""Which Python runs the engine: torch is never imported into ChimeraX's own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from chimerax.core.errors import UserError
from chimerax.core.session import Session
from chimerax.core.settings import Settings
from chimerax.core.triggerset import TriggerSet

from .child_process import clean_environment

# Where the package cryomap lies, here and in an installed bundle alike.
ENGINE_FOLDER = Path(__file__).resolve().parents[1]
# Import name -> the name pip knows it by.
NEEDED = {
    "torch": "torch>=2.2",
    "numpy": "numpy>=1.26",
    "scipy": "scipy>=1.11",
    "safetensors": "safetensors>=0.4.3",
    "gemmi": "gemmi>=0.6.7",
}
_FIND = "import json, sys; from importlib.util import find_spec as f; print(json.dumps([m for m in {0} if not f(m)]))"
_TRY = """
import json, sys, {modules}
mps = getattr(torch.backends, "mps", None)
devices = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * bool(mps and mps.is_available())
print(json.dumps(dict(python=sys.version.split()[0], torch=torch.__version__, devices=devices)))
"""


triggers = TriggerSet()
triggers.add_trigger("python chosen")  # by "enhance install", for the panel


class _EngineSettings(Settings):
    EXPLICIT_SAVE = {"python": ""}  # noqa: RUF012


@dataclass(frozen=True)
class EnginePython:
    """A Python that can run the engine.

    Attributes:
        path: its executable.
        origin: "chosen" by the user, the bundle's "private" environment, or "ChimeraX" itself.
        environment: what to add to the environment variables.
    """

    path: str
    origin: str
    environment: dict[str, str] = field(default_factory=dict)


def settings(session: Session) -> Settings:
    """The remembered choice of Python (attribute `python`; empty: the private environment)."""
    return _EngineSettings(session, "map_enhance")


def private_folder() -> Path:
    """Where `enhance install` puts the private environment: the user's data folder, for all versions."""
    from chimerax import app_dirs_unversioned

    return Path(app_dirs_unversioned.user_data_dir) / "map_enhance" / "python"


def executable(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def find_python(session: Session) -> EnginePython:
    """The Python to run the engine with: the chosen one, the private environment, or ChimeraX's own.

    Raises:
        UserError: there is none that has torch and the rest; the message says what to type.
    """
    chosen, private = settings(session).python, executable(private_folder())
    if chosen:
        return _checked(EnginePython(chosen, "chosen"), repair="enhance install python OTHER")
    if os.path.lexists(private):  # a dangling link, too: the ChimeraX it was made from is gone
        return _checked(EnginePython(str(private), "private"), repair="enhance install")
    if all(find_spec(name) for name in NEEDED):
        return own_python()
    raise UserError(
        'enhance needs PyTorch, which ChimeraX does not include: type "enhance install" once'
        ' (or "enhance install python PATH" to use a Python that has it).'
    )


def own_python() -> EnginePython:
    """ChimeraX's own Python, with the packages the user has added to it."""
    from chimerax import app_dirs
    from chimerax.core.python_utils import chimerax_python_executable

    return EnginePython(
        chimerax_python_executable(), "ChimeraX", {"PYTHONUSERBASE": str(app_dirs.user_data_dir)}
    )


def _checked(python: EnginePython, repair: str) -> EnginePython:
    code, output = _run(python, _FIND.format(sorted(NEEDED)))
    if code != 0:
        raise UserError(f'The Python that runs enhance no longer works ({python.path}): type "{repair}".')
    if missing := json.loads(output):
        names = ", ".join(missing)
        raise UserError(f'The Python that runs enhance lacks {names} ({python.path}): type "{repair}".')
    return python


def describe_python(python: EnginePython) -> dict[str, str | list[str]]:
    """Import all that the engine needs there (seconds), and say what was found.

    Returns:
        "python" and "torch": versions; "devices": those of cpu, cuda, mps that torch can use.

    Raises:
        UserError: it doesn't start, or something can't be imported.
    """
    code, output = _run(python, _TRY.format(modules=", ".join(NEEDED)), timeout=300)
    if code != 0:
        reason = output.strip().splitlines()[-1] if output.strip() else f"exit status {code}"
        needs = ", ".join(NEEDED)
        raise UserError(f"{python.path} can't run enhance, which needs {needs} there: {reason}")
    return json.loads(output.strip().splitlines()[-1])


def _run(python: EnginePython, program: str, timeout: float = 60) -> tuple[int, str]:
    flags = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        done = subprocess.run(
            [python.path, "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment(**python.environment),
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            **flags,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr
