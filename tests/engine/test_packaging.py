"""What several files have to say alike: the version, and the packages with their bounds."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import cryomap

ROOT = Path(__file__).parents[2]
BUNDLE = ElementTree.parse(ROOT / "bundle_info.xml").getroot()


def wanted(name: str) -> dict[str, str]:
    """Package and bound of each line of a requirements file."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return dict(re.fullmatch(r"([\w.-]+)(.*)", line).groups() for line in lines if line and line[0] != "-")


def needed() -> dict[str, str]:
    """What `enhance install` asks pip for: NEEDED of engine_python, which can't be imported without ChimeraX."""
    tree = ast.parse((ROOT / "src/runtime/engine_python.py").read_text())
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [target.id for target in node.targets] == ["NEEDED"]
    )
    bounds = ast.literal_eval(value)
    return dict(re.fullmatch(r"([\w.-]+)(.*)", bound).groups() for bound in bounds.values())


def numbers(bound: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", bound)))


def test_one_version():
    assert BUNDLE.get("version") == cryomap.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", cryomap.__version__)
    wheel = f"chimerax_mapenhance-{cryomap.__version__}-py3-none-any.whl"
    assert set(re.findall(r"chimerax_mapenhance-\S+\.whl", (ROOT / "README.md").read_text("utf-8"))) == {wheel}
    versions = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] == "Unreleased" and versions[1] == cryomap.__version__


def test_what_is_installed_for_the_engine_is_what_it_is_tested_with():
    tested = wanted("requirements.txt")
    assert set(tested) == set(needed())
    for package, bound in needed().items():
        assert bound.startswith(">=")
        if tested[package].startswith("=="):
            assert numbers(tested[package]) >= numbers(bound), package
        else:
            assert tested[package] == bound, package


def test_the_bundle_asks_for_the_same_bounds():
    asked = {entry.get("name"): entry.get("version") for entry in BUNDLE.iter("Dependency")}
    own = {name: bound for name, bound in asked.items() if not name.startswith("ChimeraX-")}
    assert own and own.items() <= needed().items()


def test_no_package_is_asked_for_twice():
    files = ("requirements.txt", "requirements-demo.txt", "requirements-train.txt", "requirements-dev.txt")
    packages = [package for name in files for package in wanted(name)]
    assert len(packages) == len(set(packages))
    assert "pytest" not in {**wanted("requirements.txt"), **wanted("requirements-demo.txt")}
