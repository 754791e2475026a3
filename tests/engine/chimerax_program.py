"""A ChimeraX, found by the environment variable CHIMERAX or on the PATH, and the bundle's wheel for it."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUNDLE = ("bundle_info.xml", "pyproject.toml", "LICENSE", "src")


@pytest.fixture(scope="session")
def chimerax() -> str:
    """The program; skips where there is none."""
    named = os.environ.get("CHIMERAX")
    program = named or shutil.which("chimerax") or shutil.which("ChimeraX")
    if not program:
        pytest.skip("no ChimeraX: set CHIMERAX to its program to run the tests inside it")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip(
            "ChimeraX can't show its Log or keep settings as root: run these tests as an ordinary user"
        )
    return program


def call(*command: str) -> str:
    """Run a command; what it printed and its exit status, for messages."""
    done = subprocess.run([*command], capture_output=True, text=True, timeout=540)
    return f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def wheel(chimerax: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's wheel, built from a copy so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("bundle")
    for name in BUNDLE:
        source, target = TOP / name, copy / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    told = call(chimerax, "--nogui", "--exit", "--cmd", f"devel build {copy}")
    wheels = list(copy.glob("dist/*.whl"))
    assert len(wheels) == 1, told
    return wheels[0]


@pytest.fixture(scope="session")
def bundle(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked; the ChimeraX stays as it is."""
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder
