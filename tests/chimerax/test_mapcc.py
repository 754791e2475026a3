"""The command `mapcc`, against the engine in plain use and against cases whose answer is known."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
from chimerax.core.commands import run
from chimerax.geometry import rotation, translation
from chimerax.map import volume_from_grid_data
from chimerax.map_data import ArrayGridData
from small_model import ORIGIN, SIZE, STEP, pdb_text, scene, true_map
from support import open_map, user_error
from test_help import OURS, options


def same_figures(first, second, tolerance=1e-4):
    for name, value in first.report.maps[0].figures.items():
        other = second.report.maps[0].figures[name]
        agree = value is other is None or np.isclose(value, other, rtol=0, atol=tolerance, equal_nan=True)
        assert agree, f"{name}: {value} and {other}"


def test_atoms_are_the_engines(session):
    """ChimeraX's atoms give the model that the engine reads from the same file."""
    from chimerax.map_enhance.cryomap.atoms import read_model
    from chimerax.map_enhance.scene.models import atomic_model

    model, _ = scene(session)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.pdb")
        path.write_text(pdb_text())
        expected = read_model(path)
    found, residues = atomic_model(model.atoms, model.scene_position)

    def rows(atoms):
        columns = (atoms.atom_names, atoms.alt_locs, atoms.atomic_numbers, atoms.b_factors, atoms.occupancies)
        owners = [atoms.residues[index] for index in atoms.residue_indices]
        places = [tuple(np.round(xyz, 3)) for xyz in atoms.positions]
        return sorted(map(str, zip(owners, places, *(column.tolist() for column in columns), strict=True)))

    assert rows(found) == rows(expected)
    assert {r.kind for r in found.residues} == {"protein", "ligand", "ion", "water"}
    assert [r.name for r in residues] == [r.name for r in found.residues]
    assert [model.atoms[i].alt_loc for i in range(len(model.atoms)) if model.atoms[i].num_alt_locs] == ["A"]


def test_figures_are_the_engines(session):
    """The command gives what the engine gives for the files, by another way in."""
    from chimerax.map_enhance.cryomap.atoms import read_model
    from chimerax.map_enhance.cryomap.density import DensityMap
    from chimerax.map_enhance.cryomap.grid import Grid
    from chimerax.map_enhance.cryomap.metrics.assess import assess

    _, volume = scene(session)
    found = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,fsc,qscore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.pdb")
        path.write_text(pdb_text())
        grid = Grid((SIZE,) * 3, (STEP,) * 3, ORIGIN)
        density = DensityMap(volume.full_matrix(), grid)
        expected = assess([density], read_model(path), resolution=3.5, metrics=("cc", "fsc", "qscore"))
    for name, value in expected.maps[0].figures.items():
        assert np.isclose(found.report.maps[0].figures[name], value, rtol=0, atol=1e-6, equal_nan=True), name
    assert found.report.maps[0].figures["cc_mask"] > 0.9


def test_the_two_of_the_main_chain_are_told_apart(session):
    """One counts CB and takes all residues as one region, the other is a mean over residues: signs may differ."""
    from chimerax.map_enhance.mapcc.rows import groups

    scene(session)
    found = run(session, "mapcc #2 to #1 resolution 3.5")
    rows = [(group.title, row.label) for group in groups(found.report) for row in group.rows]
    assert len(set(rows)) == len(rows)
    correlations = [(title, label) for title, label in rows if "RSCC" in title and "main chain" in label]
    (region, with_cb), (mean, by_class) = correlations
    assert "one region" in region and with_cb == "main chain and CB"
    assert "mean over residues" in mean and by_class.startswith("protein main chain")


def test_display_does_not_matter(session):
    scene(session)
    whole = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,qscore")
    run(session, "volume #2 region 5,5,5,20,20,20 step 2")
    same_figures(whole, run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,qscore"))


def test_moved_together(session):
    model, volume = scene(session)
    before = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,fsc,qscore")
    place = translation((20, -30, 5)) * rotation((1, 2, 3), 50)
    model.position, volume.position = place * model.position, place * volume.position
    same_figures(before, run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,fsc,qscore"))


def test_moved_model(session):
    model, _ = scene(session)
    model.position = translation((0, 0, 4))
    moved = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc")
    assert moved.report.maps[0].figures["cc_mask"] < 0.6


def test_model_elsewhere(session):
    model, _ = scene(session)
    model.position = translation((0, 0, 400))
    with user_error("small.pdb #1 lies outside true #2"):
        run(session, "mapcc #2 to #1")


def test_map_turned_against_the_other(session):
    """A map turned with the model is as good as before; changes are told on each map's own grid."""
    model, first = scene(session)
    second = true_map(session, model, name="second")
    turn = rotation((0, 0, 1), 90, center=(18, 25, 23))
    values = second.full_matrix()
    second.position = turn
    # The same density, stored turned back: (x, y) of the data is (y, -x) of the scene about the center.
    data = ArrayGridData(
        np.ascontiguousarray(np.rot90(values, 1, axes=(1, 2))),
        origin=turned_origin(turn),
        step=(STEP,) * 3,
        name="turned",
    )
    second.replace_data(data)
    found = run(session, "mapcc #2,3 to #1 resolution 3.5 metrics cc,qscore")
    first_cc, second_cc = (scores.figures["cc_mask"] for scores in found.report.maps)
    assert first_cc > 0.9 and abs(first_cc - second_cc) < 2e-3
    assert abs(np.subtract(*(scores.figures["q_mean"] for scores in found.report.maps))) < 1e-3
    assert first.full_matrix().shape == (SIZE,) * 3


def turned_origin(turn):
    """Lowest corner of the map's box in coordinates before the turn."""
    last = np.array(ORIGIN) + STEP * (SIZE - 1)
    corners = np.array(np.meshgrid(*zip(ORIGIN, last, strict=True))).reshape(3, -1).T
    return tuple(turn.inverse().transform_points(corners).min(axis=0))


def test_map_to_map(session):
    _, volume = scene(session)
    data = ArrayGridData(volume.full_matrix().copy(), ORIGIN, (STEP,) * 3, name="copy")
    volume_from_grid_data(data, session)
    same = run(session, "mapcc #2 to #3 resolution 4").report.maps[0]
    assert abs(same.figures["map_cc"] - 1) < 1e-9
    assert np.allclose(same.curves["fsc_map"].fsc, 1, atol=1e-6)
    moved = run(session, "move x 3 models #3; mapcc #2 to #3 resolution 4")[-1].report.maps[0]
    assert moved.figures["map_cc"] < 0.7


def test_lost_ligand_is_marked(session):
    from chimerax.map_enhance.mapcc.rows import groups

    model, volume = scene(session)
    true_map(session, model, without="XYZ", name="without")
    found = run(session, "mapcc #2,3 to #1 resolution 3.5")
    rows = {
        row.label: row
        for group in groups(found.report)
        for row in group.rows
        if group.title.startswith("Q-score of")
    }
    marks = " ".join(rows["/A:101 XYZ"].marks)
    assert "Q fell" in marks and "below the contour" in marks
    assert rows["/B:102 MG"].marks == ()
    assert next(iter(rows)) == "/A:101 XYZ"
    from chimerax.map_enhance.mapcc.html import report_table

    html = report_table(found.report, found.volumes, found.residues, ())
    (line,) = [line for line in html.splitlines() if "XYZ" in line]
    assert "#c00000" in line and 'href="cxcmd:select #1/A:101 ; view sel"' in line
    assert volume.name in html and "change" in html


def test_residue_attributes_survive_the_session(session):
    model, _ = scene(session)
    found = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc,qscore")
    scores = found.report.maps[0]
    assert [r.qscore for r in model.residues] == scores.residue_q.tolist()
    assert [r.rscc for r in model.residues] == scores.residue_rscc.tolist()
    values = scores.residue_q.tolist()
    with tempfile.TemporaryDirectory() as folder:
        run(session, f"save {folder}/a.cxs")
        run(session, "close session")
        run(session, f"open {folder}/a.cxs")
    (restored,) = [m for m in session.models if m.name == "small.pdb"]
    assert [r.qscore for r in restored.residues] == values
    run(session, "color byattribute r:rscc #1")
    run(session, "select ::qscore>0.5")
    assert session.selection.items("atoms")


def test_only_some_atoms(session):
    model, _ = scene(session)
    found = run(session, "mapcc #2 to #1/B metrics qscore resolution 3.5")
    assert {r.chain_id for r in found.residues} == {"B"}
    assert not any(hasattr(r, "qscore") for r in model.residues if r.chain_id == "A")


def test_color(session):
    model, _ = scene(session)
    model.residues.ribbon_colors = (0, 255, 0, 255)
    run(session, "mapcc #2 to #1 resolution 3.5 metrics qscore color true")
    good = max(model.residues, key=lambda r: r.qscore)
    red, _, blue, _ = good.ribbon_color
    assert blue > 200 and blue > red  # better than usual


def test_json_for_rest(session):
    scene(session)
    answer = run(session, "mapcc #2 to #1 resolution 3.5 metrics qscore", return_json=True)
    told = json.loads(answer.json_value)
    assert told["maps"][0]["id"] == "2"
    assert told["maps"][0]["q_mean"] == round(answer.python_value.report.maps[0].figures["q_mean"], 6)
    assert len(told["maps"][0]["residues"]) == 19


def test_files(session):
    scene(session)
    with tempfile.TemporaryDirectory() as folder:
        run(session, f"mapcc #2 to #1 resolution 3.5 saveJson {folder}/a.json saveTable {folder}/a.csv")
        told = json.loads(Path(folder, "a.json").read_text())
        lines = Path(folder, "a.csv").read_text().splitlines()
        assert sorted(path.name for path in Path(folder).iterdir()) == ["a.csv", "a.json"]
    assert told["maps"][0]["map"] == "true #2" and told["resolution"] == 3.5
    assert any(line.startswith("true #2,map,,cc_mask,0.9") for line in lines)


def test_mask(session):
    scene(session)
    inside = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc mask #2")
    whole = run(session, "mapcc #2 to #1 resolution 3.5 metrics cc")
    assert inside.report.maps[0].figures["cc_mask"] != whole.report.maps[0].figures["cc_mask"]
    open_map(session, name="far", origin=(500, 0, 0))
    with user_error("mask", "inside its contour"):
        run(session, "mapcc #2 to #1 mask #3")


def test_bad_input(session):
    scene(session)
    with user_error("no maps"):
        run(session, "mapcc #9 to #1")
    with user_error("neither atoms nor a map"):
        run(session, "mapcc #2 to #9")
    with user_error("both atoms and a map"):
        run(session, "mapcc #2 to #1,2")
    with user_error('"to"'):
        run(session, "mapcc #2")
    with user_error("metrics"):
        run(session, "mapcc #2 to #1 metrics r2")
    with user_error("resolution 99"):
        run(session, "mapcc #2 to #1 resolution 99")
    with user_error("/nowhere"):
        run(session, "mapcc #2 to #1 saveJson /nowhere/a.json")
    with user_error("color needs"):
        run(session, "mapcc #2 to #1 metrics fsc color true")


def test_without_gemmi(session):
    from chimerax.map_enhance.mapcc import command as mapcc_command

    scene(session)
    kept = mapcc_command.find_spec
    mapcc_command.find_spec = lambda name: None
    try:
        with user_error("pip install gemmi"):
            run(session, "mapcc #2 to #1")
    finally:
        mapcc_command.find_spec = kept


def test_every_option_is_in_the_help(session):
    text = (OURS / "commands" / "mapcc.html").read_text(encoding="utf-8")
    names = options(session, "mapcc")
    assert len(names) >= 10
    for name in names:
        camel = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
        assert f"<b>{camel}</b>" in text, camel


def test_an_origin_that_chimerax_ignores_is_told(session):
    """A .map file with an ORIGIN alone is opened at 0, 0, 0, away from its model; the same file fits as .mrc."""
    import mrcfile

    _, volume = scene(session)
    run(session, "move x 300 models #1")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("far.map", "far.mrc"):
            with mrcfile.new(Path(folder, name), volume.full_matrix()) as file:
                file.voxel_size = STEP
                file.header.origin = (300 + ORIGIN[0], *ORIGIN[1:])
        run(session, f"open {folder}/far.map id 5")
        with user_error("lies outside", "297.0, 4.0, 2.0 Å", "far.mrc"):
            run(session, "mapcc #5 to #1 resolution 3.5 metrics cc")
        run(session, f"open {folder}/far.mrc id 6")
        found = run(session, "mapcc #6 to #1 resolution 3.5 metrics cc")
    assert found.report.maps[0].figures["cc_mask"] > 0.9
