"""The engine's main tests with every Python and numpy that can be had: python .ci/matrix.py [PYTHON ...]

Without arguments every python3.11, 3.12 ... on the PATH and among pyenv's is taken. Each pair gets a virtual
environment of its own in .matrix/, which is kept and used again. What can't be installed (numpy has no build for that
Python) is told, and is no failure; failing tests are (exit status 1).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = [f"python3.{minor}" for minor in range(11, 16)]
PYTHONS += map(str, sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python")))
NUMPYS = ("numpy==1.26.4", "numpy>=2")  # ChimeraX 1.8 to 1.12 have the one, later ones the other
TESTS = ("grid", "density", "atoms", "simulate", "correlation", "fourier", "qscore", "assess", "plots")
TESTS += ("checkpoint", "networks", "normalize", "tiles", "run", "mapcc_cli", "trust_judgement", "packaging")


def main(pythons: list[str]) -> int:
    """Run every pair; 1 if tests fail, or no pair could be tried."""
    found = {}
    for python in pythons or PYTHONS:
        version = _answer(python, "import sys; print('%d.%d' % sys.version_info[:2])")
        if version is None:
            print(f"{python}: not here")
            continue
        for numpy in (wanted for wanted in NUMPYS if (version, wanted) not in found):
            found[version, numpy] = _tried(python, version, numpy)
            print(f"Python {version}, {numpy}: {found[version, numpy]}", flush=True)
    ran = [told for told in found.values() if not told.startswith("can't be installed")]
    return 0 if ran and all(" passed" in told and "failed" not in told for told in ran) else 1


def _answer(python: str, program: str) -> str | None:
    """What a Python prints; None where there is none (a shim of pyenv may stand for nothing)."""
    if shutil.which(python) is None:
        return None
    told = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return told.stdout.strip() if told.returncode == 0 else None


def _tried(python: str, version: str, numpy: str) -> str:
    folder = ROOT / ".matrix" / f"{version}-{numpy.partition('=')[2].strip('=')}"
    own = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / ".ready").is_file():
        files = [str(ROOT / f"requirements{what}.txt") for what in ("", "-demo")]
        packages = [numpy, "-r", files[0], "-r", files[1], "pytest>=8", "mrcfile"]
        steps = (
            [python, "-m", "venv", "--clear", str(folder)],
            [str(own), "-m", "pip", "install", "--quiet", "--only-binary=:all:", *packages],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                lines = (done.stderr or done.stdout).strip().splitlines()
                return f"can't be installed ({lines[-1] if lines else 'no message'})"
        (folder / ".ready").touch()
    tests = [f"tests/engine/test_{name}.py" for name in TESTS]
    done = subprocess.run([str(own), "-m", "pytest", "-q", *tests], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout if done.returncode else "", end="")
    exact = _answer(str(own), "import numpy; print(numpy.__version__)")
    return f"numpy {exact}, {(done.stdout.strip() or done.stderr.strip() or 'no output').splitlines()[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
