"""Names in models and maps that are commands, links or markup: shown as they are, never run."""

import contextlib
import re
import tempfile
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
from chimerax.core.commands import run
from support import Skipped, open_map

HOSTILE = (
    "X'; log text RAN; select '",
    "*",
    ";log text RAN",
    '"><img src=x onerror=alert(1)>',
    "A:1 | #2",
    "$\\frac$",
    "B c",
)
MARKUP = '<img src="x"><a href="cxcmd:log text RAN">$x^$ & name</a>'
ALLOWED = re.compile(r"[#\w/:.@=| ;-]*", re.ASCII)
COLUMNS = """group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id
label_seq_id Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id pdbx_PDB_model_num"""


def open_hostile(session):
    """Alanines in chain A and, for each hostile name, a ligand in a chain of that name; a map over them."""
    if find_spec("gemmi") is None:
        raise Skipped("this ChimeraX lacks gemmi")
    lines, serial = [], 0

    def add(kind, element, atom, residue, entity, number, chain, xyz):
        nonlocal serial
        serial += 1
        sequence = number if entity == 1 else "."
        where = " ".join(f"{x:.3f}" for x in xyz)
        lines.append(
            f"{kind} {serial} {element} {atom} . {residue} C{entity} {entity} {sequence} {where} 1 20 {number}\n"
            f";{chain}\n;\n1\n"
        )

    for number in range(1, 9):
        for atom, shift in (("N", -1.2), ("CA", 0), ("C", 1.2)):
            add("ATOM", atom[0], atom, "ALA", 1, number, "A", (4 + 2.8 * number + shift, 8, 8))
    for index, chain in enumerate(HOSTILE):
        for number in range(3):
            add("HETATM", "C", f"C{number}", "LIG", 2 + index, 1, chain, (4 + 3 * index, 16 + number, 14))
    names = "".join(f"_atom_site.{name}\n" for name in COLUMNS.split())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hostile.cif")
        path.write_text(f"data_x\nloop_\n{names}{''.join(lines)}")
        (model,) = run(session, f"open {path}")
    found = {residue.chain_id for residue in model.residues if residue.name == "LIG"}
    assert found == set(HOSTILE), found
    model.name = MARKUP
    return model, open_map(session, name=MARKUP, shape=(26, 30, 34))


@contextlib.contextmanager
def logged(session):
    """What is told in the Log as HTML, and what `log text RAN` would tell."""
    told, info = [], session.logger.info

    def listen(text, *args, is_html=False, **keywords):
        told.append((text, is_html))
        return info(text, *args, is_html=is_html, **keywords)

    with mock.patch.object(session.logger, "info", listen):
        yield told


class Links(HTMLParser):
    """The commands of links, and all tags."""

    def __init__(self, text):
        super().__init__()
        self.commands, self.tags = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.commands += [value.removeprefix("cxcmd:") for name, value in attributes if name == "href"]


def test_residues_are_named_by_ids(session):
    from chimerax.map_enhance.scene.residue_values import residue_spec

    model, _ = open_hostile(session)
    for residue in model.residues:
        spec = residue_spec(residue)
        assert ALLOWED.fullmatch(spec) and ";" not in spec, spec
        run(session, f"select {spec}")
        assert set(session.selection.items("atoms")[0]) == set(residue.atoms), spec


def test_the_log_of_mapcc_runs_nothing_of_a_name(session):
    model, volume = open_hostile(session)
    with logged(session) as told:
        run(
            session,
            f"mapcc {volume.atomspec} to {model.atomspec} resolution 4 metrics classes perResidue true",
        )
    html = "".join(text for text, is_html in told if is_html)
    found = Links(html)
    assert found.tags <= {"table", "tr", "th", "td", "a", "ul", "li", "br"}, found.tags
    assert found.commands and all(map(ALLOWED.fullmatch, found.commands)), found.commands
    with logged(session) as told:
        for command in found.commands:
            run(session, command)
    assert not [text for text, _ in told if text.strip() == "RAN"]


def test_the_table_of_regions_runs_nothing_of_a_name(session):
    from chimerax.map_enhance.cryomap.trust.lost import Region
    from chimerax.map_enhance.scene.nearest_residue import describe
    from chimerax.map_enhance.trust.html import _nearest

    model, _ = open_hostile(session)
    for residue in model.residues:
        shown = Links(_nearest(Region((0, 0, 0), 9.0, 5.0, 1.0, **describe(residue, 1.0))))
        if residue.chain_id != "A":
            assert not shown.tags
            continue
        (command,) = shown.commands
        assert shown.tags == {"a"} and ALLOWED.fullmatch(command), command
        run(session, command)
        assert set(session.selection.items("atoms")[0]) == set(residue.atoms)
    for name in ('#1/"><img src=x>:1 LIG', "#1/A:1; log text RAN LIG", '#1/A:1 "><img src=x>'):
        assert Links(_nearest(Region((0, 0, 0), 9.0, 5.0, 1.0, name, "", 1.0))).tags <= {"a"}
        assert "RAN" not in "".join(Links(_nearest(Region((0, 0, 0), 9.0, 5.0, 1.0, name, "", 1.0))).commands)


def test_plots_draw_names_as_they_are(session):
    from chimerax.map_enhance.cryomap.metrics.plots import FscCurve, draw_fsc
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    draw_fsc(axes, [FscCurve(MARKUP, 0, False, [10.0, 5.0, 3.0], [1.0, 0.8, 0.1])])
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).min() == 0
