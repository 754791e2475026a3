"""The help pages describe every option of every command, with its choices and bounds, and no others."""

import ast
import re
from html import unescape
from pathlib import Path

import pytest

from cryomap.job import OPTIONS

SOURCE = Path(__file__).parents[2] / "src"
PAGES = SOURCE / "docs" / "user" / "commands"


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def keywords(module: str, function: str) -> dict[str, list[str]]:
    """Keywords that a function of a module lists as ("name", Kind), and the words of an EnumOf each."""
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    # mapcc's required argument is a tuple, too, but not in the list that is called keyword.
    required = [node for node in ast.walk(found) if isinstance(node, ast.keyword) and node.arg == "required"]
    skipped = {id(node) for one in required for node in ast.walk(one)}
    names = {}
    for node in ast.walk(found):
        if not (isinstance(node, ast.Tuple) and len(node.elts) == 2 and id(node) not in skipped):
            continue
        name, kind = node.elts
        if isinstance(name, ast.Constant) and not isinstance(kind, ast.Constant):
            is_enum = isinstance(kind, ast.Call) and getattr(kind.func, "id", "") == "EnumOf"
            names[name.value] = re.findall(r"'(\w+)'", ast.unparse(kind)) if is_enum else []
    return names


OWN = keywords("enhance/command.py", "_enhance_description")
ENHANCE = {**OWN, **{option.name: list(option.choices) for option in OPTIONS if option.in_chimerax}}
INSTALL = keywords("enhance/command.py", "_install_description")
MAPCC = keywords("mapcc/command.py", "register_command")
del MAPCC["to"]  # which must be given, and is in the usage at the top


def sections(page: str) -> dict[str, str]:
    """The text of each option of a page, by its name."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r'<blockquote>\s*<a name="(\w+)"></a>(.*?)</blockquote>', text, re.DOTALL)
    return {name: unescape(re.sub(r"<[^>]*>|\s+", " ", block)) for name, block in blocks}


@pytest.mark.parametrize("page, options", [("enhance.html", ENHANCE), ("mapcc.html", MAPCC)])
def test_every_option_has_its_section_and_no_other_has(page, options):
    assert len(options) > 8
    found = sections(page)
    assert set(found) == {camel(name) for name in options}
    for name, choices in options.items():
        missing = [choice for choice in choices if not re.search(rf"\b{choice}\b", found[camel(name)])]
        assert not missing, f"{name}: {missing}"


def test_bounds_are_told():
    found = sections("enhance.html")
    bounded = [option for option in OPTIONS if option.in_chimerax and option.bounds]
    assert len(bounded) >= 3
    for option in bounded:
        told = {
            float(number.replace("−", "-"))
            for number in re.findall(r"(?<!\d)[-−]?\d+\.?\d*", found[camel(option.name)])
        }
        assert {abs(bound) for bound in option.bounds} <= {abs(number) for number in told}, option.name


def test_install_is_described():
    text = (PAGES / "enhance.html").read_text(encoding="utf-8").split('<a name="install">')[1]
    assert set(INSTALL) >= {"python", "build", "index_url"}
    for name, choices in INSTALL.items():
        assert f"<b>{camel(name)}</b>" in text, name
        assert all(f"<b>{choice}</b>" in text for choice in choices), name
