"""The help pages: every option is described, every link leads somewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path

import chimerax
from chimerax.core.commands import Command
from chimerax.map_enhance.runtime.engine_python import ENGINE_FOLDER

OURS = ENGINE_FOLDER / "docs" / "user"


class Page(HTMLParser):
    """Names to link to and links of a page."""

    def __init__(self, file):
        super().__init__()
        self.names, self.links = set(), []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("name", "id"):
                self.names.add(value)
            elif key in ("href", "src"):
                self.links.append(value)


def find(page, link):
    """The file a link of a page leads to: one of ours, or of ChimeraX's."""
    place = (page.parent / link).resolve().relative_to(OURS)
    theirs = Path(chimerax.app_data_dir) / "docs" / "user"
    return next((root / place for root in (OURS, theirs) if (root / place).exists()), None)


def test_links(session):
    pages = list(OURS.rglob("*.html"))
    assert pages
    broken = []
    for page in pages:
        for link in Page(page).links:
            if re.match(r"\w+:", link):
                continue
            path, _, name = link.partition("#")
            target = find(page, path) if path else page
            if target is None or (name and name not in Page(target).names):
                broken.append(f"{page.name}: {link}")
    assert not broken, broken


def options(session, command):
    parsed = Command(session)
    parsed.current_text = command
    parsed._find_command_name(True)
    return parsed._ci._keyword


def test_every_option_is_described(session):
    text = (OURS / "commands" / "enhance.html").read_text(encoding="utf-8")
    for command in ("enhance", "enhance install"):
        names = options(session, command)
        assert len(names) >= 5
        for name in names:
            camel = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
            assert f"<b>{camel}</b>" in text, f"{command} {camel}"
