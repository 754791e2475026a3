"""Runs tests/chimerax in a ChimeraX (see chimerax_program.py)."""

import ast
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from chimerax_program import TOP, call

TESTS = TOP / "tests" / "chimerax"
WINDOWED = ("test_window", "test_panel")


def names() -> list[str]:
    """All tests in tests/chimerax, as file::function."""
    found = []
    for file in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        found += [f"{file.stem}::{name}" for name in functions if name.startswith("test_")]
    return found


def run_tests(results: Path, bundle: Path, *command: str, files: str = "") -> dict[str, str]:
    # Not resolved: the Python of a virtual environment is a link.
    script = f"{TESTS / 'run.py'} {results} {sys.executable} {bundle} {files}"
    told = call(*command, "--exit", "--script", script.strip())
    assert results.exists(), told
    return json.loads(results.read_text())


@pytest.fixture(scope="module")
def outcomes(chimerax: str, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_tests(tmp_path_factory.mktemp("results") / "nogui.json", bundle, chimerax, "--nogui")


@pytest.fixture(scope="module")
def windowed(chimerax: str, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    display = []
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        if not shutil.which("xvfb-run"):
            pytest.skip("no display, and no xvfb-run to make one")
        display = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24"]
    results = tmp_path_factory.mktemp("results") / "window.json"
    files = sorted({name.split("::")[0] for name in names() if name.startswith(WINDOWED)})
    return run_tests(results, bundle, *display, chimerax, files=" ".join(files))


def test_wheel_holds_all_of_the_bundle(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = TOP / "src"
    for file in source.rglob("*"):
        if file.suffix in (".py", ".html", ".safetensors", ".json", ".png"):
            assert f"chimerax/map_enhance/{file.relative_to(source).as_posix()}" in inside
    assert not [name for name in inside if "test" in name or name.startswith("scripts")]


def check(outcome: str) -> None:
    if outcome.startswith("skipped"):
        pytest.skip(outcome)
    assert outcome == "passed", outcome


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith(WINDOWED)])
def test_inside(outcomes: dict[str, str], name: str) -> None:
    check(outcomes.get(name, "was not run"))


@pytest.mark.parametrize("name", [name for name in names() if name.startswith(WINDOWED)])
def test_inside_with_a_window(windowed: dict[str, str], name: str) -> None:
    check(windowed.get(name, "was not run"))
