"""Evaluation beside others: other programs' maps, cross-validated weights, published figures, downloads, cards."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import save_as, sharpener
from pair_entries import protein, served, write_density, write_model

import evaluate
from cryomap.density import DensityMap, read_map, resample, write_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid
from cryomap.networks.training_ids import write_training_ids
from evaluation import variants
from evaluation.measures import DEPOSITED
from evaluation.options import chosen_entries, parse
from evaluation.published import comparisons, published
from evaluation.variants import read_folds
from pairs.entries import LISTS, read_list

ARCHITECTURE = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two maps of one specimen, about 4.5 A, with their models, listed in a table."""
    where = tmp_path_factory.mktemp("maps")
    rows = []
    for number in (1, 2):
        write_model(protein(number), where / f"model{number}.cif")
        write_density(protein(number), where / f"map{number}.map", number)
        rows.append(f"EMD-{number}\tmap{number}.map\tmodel{number}.cif\t4.5\thelices")
    header = "emdb_id\tmap_file\tmodel_file\tresolution_A\tspecimen"
    (where / "list.tsv").write_text("\n".join([header, *rows]) + "\n")
    return where


def run(folder, out, *arguments, expect=0):
    fixed = [
        "--maps",
        folder / "list.tsv",
        "--out",
        out,
        "--baselines",
        "none",
        "--metrics",
        "cc",
        "--device",
        "cpu",
    ]
    assert evaluate.main(list(map(str, [*fixed, *arguments]))) == expect
    return json.loads((out / "evaluation.json").read_text())


def test_another_programs_maps_are_measured_where_they_lie(folder, tmp_path):
    """The deposited maps themselves, once on another grid and once with the origin dropped, score as they do."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    first, second = (read_map(folder / f"map{n}.map") for n in (1, 2))
    moved = replace(first, grid=replace(first.grid, origin=(3.0, -2.0, 1.0)))
    write_map(replace(moved, grid=replace(moved.grid, origin=(0.0, 0.0, 0.0))), theirs / "map1_sharp.mrc")
    fine = second.grid.cubic(0.8)
    write_map(resample(second, fine, order=3), theirs / "emd_0002_result.mrc.gz")
    (theirs / "notes.txt").write_text("no map")
    found = run(folder, tmp_path / "out", "--also", f"theirs={theirs}")
    for entry, tolerance in zip(found["entries"], (1e-6, 0.01), strict=True):
        scores = entry["scores"]
        assert scores["theirs"]["cc_mask_hr"] == pytest.approx(scores[DEPOSITED]["cc_mask_hr"], abs=tolerance)
        assert scores["theirs"]["cc_mask_hr"] > 0.3
    assert found["entries"][1]["facts"]["theirs"]["file"] == "emd_0002_result.mrc.gz"


def test_a_dropped_origin_is_put_back(folder, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    density = read_map(folder / "map1.map")
    lost = replace(density.grid, origin=tuple(x + 30.0 for x in density.grid.origin))
    write_map(replace(density, grid=lost), theirs / "EMD-0001.mrc")
    (entry,) = run(folder, tmp_path / "out", "--also", f"theirs={theirs}", "--only", "map1")["entries"]
    assert entry["facts"]["theirs"]["origin"] == "the deposited map's"
    assert entry["scores"]["theirs"]["cc_box"] == pytest.approx(
        entry["scores"][DEPOSITED]["cc_box"], abs=1e-6
    )


def test_a_map_that_is_not_there_is_said(folder, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    grid = Grid((10, 10, 10))
    for name in ("emd_00012.mrc", "map12.mrc", "map1a.mrc"):  # none is of EMD-0001 or EMD-0002
        write_map(DensityMap(np.ones(grid.shape, np.float32), grid), theirs / name)
    found = run(folder, tmp_path / "out", "--also", f"theirs={theirs}")
    assert all(e["missing"] == {"theirs": "0 maps in theirs are called so"} for e in found["entries"])
    assert "0 maps in theirs" in (tmp_path / "out" / "evaluation.md").read_text()


@pytest.fixture
def folds(tmp_path):
    """Two folds of one network, one of which keeps more of the input."""
    where = tmp_path / "folds"
    for fold, weight in (("fold-1", 0.0), ("fold-2", 0.6)):
        (where / fold).mkdir(parents=True)
        save_as(sharpener(), where / fold, architecture=ARCHITECTURE, input_weight=weight)
    (where / "folds.json").write_text(json.dumps({"fold-1": ["EMD-0002"], "fold-2": ["map1"]}))
    return where


def test_each_map_is_run_by_the_weights_that_held_it_out(folder, folds, tmp_path):
    found = run(folder, tmp_path / "out", "--folds", f"mine={folds}")
    for entry, fold in zip(found["entries"], ("fold-2", "fold-1"), strict=True):
        assert entry["facts"]["mine"]["fold"] == fold
        density = read_map(folder / f"{entry['entry']}.map")
        method = load_method(None, folds / fold / "superem.safetensors", "cpu")
        expected, _ = enhance(density, method, grid_spacing=1.0)
        theirs = tmp_path / fold
        theirs.mkdir()
        write_map(expected, theirs / f"{entry['entry']}.mrc")
        again = run(folder, tmp_path / f"again-{fold}", "--also", f"x={theirs}", "--only", entry["entry"])
        wanted = again["entries"][0]["scores"]["x"]["cc_mask_hr"]
        assert entry["scores"]["mine"]["cc_mask_hr"] == pytest.approx(wanted, abs=1e-5)


def test_maps_that_weights_were_trained_on_are_named(folder, folds, tmp_path):
    weights = folds / "fold-1" / "superem.safetensors"
    write_training_ids(["EMD-0002", "1ABC"], weights)
    run(folder, tmp_path, "--also", f"seen={weights}")
    assert "**seen was trained on 1 of these maps**: map2." in (tmp_path / "evaluation.md").read_text()


def test_methods_are_told_the_resolution_that_the_list_gives(folder, tmp_path, monkeypatch):
    """As a user would tell them: it decides whether detail comes from the input."""
    told, true = [], variants.enhance
    monkeypatch.setattr(
        variants, "enhance", lambda *a, **how: told.append(how.get("resolution")) or true(*a, **how)
    )
    weights = save_as(sharpener(), tmp_path, architecture=ARCHITECTURE)
    run(folder, tmp_path / "out", "--weights", weights, "--only", "map1")
    assert told == [4.5]


def test_a_map_that_no_fold_held_out_is_not_run(folder, folds, tmp_path):
    (folds / "folds.json").write_text(json.dumps({"fold-1": ["EMD-0002"]}))
    found = run(folder, tmp_path / "out", "--folds", f"mine={folds}")
    assert found["entries"][0]["missing"] == {"mine": "no fold held it out"}
    assert "mine" in found["entries"][1]["scores"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a table"),
        ('{"fold-1": ["a"], "fold-2": ["A"]}', "A is held out twice"),
        ('{"x": ["a"]}', "0 weights"),
    ],
)
def test_folds_that_make_no_sense_are_refused(folds, text, message):
    (folds / "folds.json").write_text(text)
    with pytest.raises(evaluate.InputError, match=message):
        read_folds(folds, "superem")


def test_a_list_is_downloaded_and_measured(archive, tmp_path):
    """The files come from a server on this machine; without --downloads nothing is fetched."""
    (tmp_path / "list.tsv").write_text(
        "emdb_id\tpdb_id\tresolution_A\tsplit\nEMD-1\t1ABC\t4.5\ttest\nEMD-2\t2ABC\t\ttrain\n"
    )
    fixed = ["--maps", tmp_path / "list.tsv", "--quick", "--out", tmp_path / "out"]
    assert evaluate.main(list(map(str, fixed))) == 2 and not archive.requests
    servers = [a for a in served(archive) if a != "--attempts" and not str(a).isdigit()]
    arguments = [*fixed, "--downloads", tmp_path / "downloads", "--splits", "test", *servers]
    assert evaluate.main(list(map(str, arguments))) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [e["entry"] for e in found["entries"]] == ["EMD-0001"]
    assert found["entries"][0]["scores"][DEPOSITED]["cc_mask"] > 0.5
    assert (tmp_path / "downloads" / "emd_0001.map.gz").is_file()


def test_the_model_of_a_map_is_looked_up_in_its_header(archive, tmp_path):
    """A list may know the map alone; and a header that names no model is told."""
    header = "<emd><pdb_list><pdb_reference><pdb_id> 1abc</pdb_id></pdb_reference></pdb_list></emd>"
    archive.files["/emdb/EMD-0001/header/emd-0001.xml"] = header.encode()
    (tmp_path / "list.tsv").write_text("emdb_id\tresolution_A\nEMD-1\t4.5\nEMD-2\t4.5\n")
    servers = [a for a in served(archive) if a != "--attempts" and not str(a).isdigit()]
    words = ["--maps", tmp_path / "list.tsv", "--quick", "--downloads", tmp_path, "--out", tmp_path / "out"]
    assert evaluate.main(list(map(str, [*words, *servers]))) == 1
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["entries"][0]["scores"][DEPOSITED]["cc_mask"] > 0.5
    assert "EMD-0002" in found["failed"][0] and "names no model that was fitted" in found["failed"][0]


def test_the_maps_with_half_maps_are_those_of_the_published_table():
    chosen = chosen_entries(parse(["--maps", "superem-half-maps", "--downloads", "nowhere"], ""))
    assert {e.emdb_id for e in chosen} == set(published()["SuperEM, half maps"])
    known = {e.emdb_id: e.pdb_id for e in read_list(LISTS / "superem.tsv")}
    both = [e for e in chosen if e.emdb_id in known]  # marked * in Table S2
    assert len(both) == 6 and all(e.pdb_id == known[e.emdb_id] for e in both)


def test_the_maps_that_models_were_built_into_are_an_own_list():
    """CryoSAMU's Table S4, of its own list; a list that marks none has none."""
    words = ["--maps", "cryosamu", "--downloads", "nowhere"]
    chosen = chosen_entries(parse([*words, "--modelling"], ""))
    assert len(chosen) == 20 and len(chosen_entries(parse(words, ""))) == 75
    assert {"EMD-3366", "EMD-22144"} < {e.emdb_id for e in chosen}
    with pytest.raises(evaluate.InputError, match="--modelling"):
        chosen_entries(parse(["--maps", "superem", "--downloads", "nowhere", "--modelling"], ""))


def test_published_figures_are_those_of_the_papers():
    """Means as the papers and the CryoTEN repository print them."""
    superem = published()["SuperEM"]
    gains = [p["deposited"]["d_model"] - p["SuperEM"]["d_model"] for p in superem.values()]
    assert len(gains) == 36 and np.mean(gains) == pytest.approx(1.00277778, abs=0.001)
    assert sum(g > 0 for g in gains) == 33
    halves = published()["SuperEM, half maps"].values()
    assert np.mean([p["deposited"]["d_model"] - p["SuperEM"]["d_model"] for p in halves]) == pytest.approx(
        1.35, abs=0.01
    )
    cryoten = published()["CryoTEN"]
    assert len(cryoten) == 150 and sum("DeepEMhancer" in p for p in cryoten.values()) == 131
    for program, wanted in (
        ("deposited", (0.723, 0.787, 0.644, 0.538)),
        ("EMReady", (0.863, 0.793, 0.773, 0.593)),
        ("CryoTEN", (0.851, 0.768, 0.748, 0.543)),
    ):
        for key, value in zip(("cc_box", "cc_mask", "cc_peaks", "q_mean"), wanted, strict=True):
            mean = np.mean([p[program][key] for p in cryoten.values()])
            assert mean == pytest.approx(value, abs=0.0006), (program, key)


def test_published_figures_stand_beside_ours_of_the_same_maps():
    names = list(published()["CryoTEN"])[:2]
    entries = [
        {"entry": n, "emdb_id": n, "scores": {DEPOSITED: {"cc_box": 0.5}, "mine": {"cc_box": 0.1 * i}}}
        for i, n in enumerate([*names, "EMD-0000"])
    ]
    ((title, header, rows),) = comparisons(entries)
    assert title.startswith("CryoTEN: 2 of its 150 maps")
    column = header.index("CC_box")
    shown = {row[0]: row[column] for row in rows}
    expected = np.mean([published()["CryoTEN"][n]["EMReady"]["cc_box"] for n in names])
    assert shown["EMReady (published)"] == f"{expected:.3f}"
    assert shown["deposited (here)"] == "0.500" and shown["mine"] == "0.050"
    assert comparisons(entries[2:]) == []


def test_cubes_are_written_one_by_one(folder, tmp_path):
    weights = save_as(sharpener(), tmp_path, architecture=ARCHITECTURE)
    found = run(folder, tmp_path / "out", "--weights", weights, "--metrics", "cubes")
    with open(tmp_path / "out" / "cubes.tsv", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    for entry in found["entries"]:
        mine = [r for r in rows if r["map"] == entry["entry"] and r["superem"]]
        summary = entry["scores"]["superem"]["cubes"]
        assert len(mine) == summary["count"] > 0
        assert np.mean([float(r["superem"]) for r in mine]) == pytest.approx(summary["mean_after"], abs=1e-4)


def test_runs_are_joined_into_one_report(folder, tmp_path, capsys):
    """Two programs, each run by itself, and the maps one by one: the report is that of both together."""
    theirs, weights = tmp_path / "theirs", save_as(sharpener(), tmp_path, architecture=ARCHITECTURE)
    theirs.mkdir()
    for number in (1, 2):
        write_map(read_map(folder / f"map{number}.map"), theirs / f"map{number}.mrc")
    whole = run(folder, tmp_path / "whole", "--weights", weights, "--also", f"theirs={theirs}")
    parts = [tmp_path / name for name in ("a", "b", "c")]
    run(folder, parts[0], "--weights", weights, "--only", "map1")
    run(folder, parts[1], "--weights", weights, "--only", "map2")
    run(folder, parts[2], "--also", f"theirs={theirs}")
    assert evaluate.main(["--join", *map(str, parts), "--out", str(tmp_path / "joined")]) == 0
    found = json.loads((tmp_path / "joined" / "evaluation.json").read_text())
    assert [e["scores"] for e in found["entries"]] == [e["scores"] for e in whole["entries"]]
    assert found["methods"] == whole["methods"]
    wanted, text = ((tmp_path / n / "evaluation.md").read_text() for n in ("whole", "joined"))
    assert [x for x in text.splitlines() if "seconds" not in x] == [
        x for x in wanted.splitlines() if "seconds" not in x
    ]
    for wrong, message in (
        ([parts[0], parts[0]], "map1 has superem already"),
        ([tmp_path / "none"], "none/evaluation.json: no such file"),
    ):
        assert evaluate.main(["--join", *map(str, wrong), "--out", str(tmp_path / "x")]) == 2
        assert message in capsys.readouterr().err
    other = json.loads((parts[1] / "evaluation.json").read_text())
    other["methods"]["superem"]["version"] = "2"
    (parts[1] / "evaluation.json").write_text(json.dumps(other))
    assert evaluate.main(["--join", *map(str, parts[:2]), "--out", str(tmp_path / "x")]) == 2
    assert "b: superem is " in capsys.readouterr().err
    other = json.loads((parts[2] / "evaluation.json").read_text())
    other["entries"][0]["scores"][DEPOSITED]["cc_mask"] += 0.01
    (parts[2] / "evaluation.json").write_text(json.dumps(other))
    assert evaluate.main(["--join", str(parts[0]), str(parts[2]), "--out", str(tmp_path / "x")]) == 2
    assert "map1 as deposited has CC_mask" in capsys.readouterr().err
