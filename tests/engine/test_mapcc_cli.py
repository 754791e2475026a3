import argparse
import json

import numpy as np
import pytest
from made_models import crowded_chain
from references import to_gemmi

from cryomap.cli.mapcc import add_parser
from cryomap.density import DensityMap, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.simulate import structure_factor_map

GRID = Grid((36, 34, 38), (1.0,) * 3, (-17.0, -16.0, -18.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """model.cif, model.pdb.gz, map.mrc and noisy.mrc of one made-up model."""
    import gemmi

    path = tmp_path_factory.mktemp("mapcc")
    rng = np.random.default_rng(5)
    model = crowded_chain(rng, 10)
    structure = gemmi.Structure()
    structure.add_model(to_gemmi(model, Grid(GRID.shape)))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(path / "model.cif"))
    structure.write_pdb(str(path / "model.pdb"))
    density = structure_factor_map(model, GRID, 4.0)
    write_map(DensityMap(density.values, GRID), path / "map.mrc")
    noise = density.values.std() * rng.normal(size=GRID.shape).astype(np.float32)
    write_map(DensityMap(density.values + noise, GRID), path / "noisy.mrc.gz")
    return path


def mapcc(*arguments):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    options = parser.parse_args(["mapcc", *map(str, arguments)])
    options.run(options)


def test_one_model_of_an_ensemble(folder, tmp_path, capsys):
    """The first is what the map was made of, the second lies 2 A off."""
    import gemmi

    structure = gemmi.read_structure(str(folder / "model.cif"))
    structure.add_model(structure[0].clone())
    structure[1].num = 7
    for chain in structure[1]:
        for residue in chain:
            for atom in residue:
                atom.pos += gemmi.Position(2, 0, 0)
    structure.make_mmcif_document().write_file(str(tmp_path / "both.cif"))
    found = []
    for more in ((), ("--model-number", 1), ("--model-number", 7)):
        words = ["--to", tmp_path / "both.cif", "--resolution", 4, "--metrics", "cc", "--json", "-", *more]
        mapcc(folder / "map.mrc", *words)
        found.append(json.loads(capsys.readouterr().out)["maps"][0]["cc_mask"])
    assert found[0] == found[1] > 0.99 and found[2] < 0.9
    with pytest.raises(InputError, match="no MODEL 3 in it; it has 1, 7"):
        mapcc(folder / "map.mrc", "--to", tmp_path / "both.cif", "--model-number", 3)
    with pytest.raises(InputError, match="chooses from a model's file"):
        mapcc(folder / "map.mrc", "--to", folder / "noisy.mrc.gz", "--model-number", 1)


def test_json_to_standard_output(folder, capsys):
    mapcc(
        folder / "map.mrc",
        folder / "noisy.mrc.gz",
        "--to",
        folder / "model.cif",
        "--resolution",
        4,
        "--json",
        "-",
    )
    found = json.loads(capsys.readouterr().out)
    first, second = found["maps"]
    assert (first["map"], second["map"]) == ("map.mrc", "noisy.mrc.gz")
    assert first["cc_box"] == pytest.approx(1, abs=1e-3) and first["frame"] == "origin"
    assert second["cc_box"] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert found["resolution"] == 4 and second["cubes"]["improved"] < 0.1


def test_files_and_table(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    mapcc(
        *(folder / "map.mrc", folder / "noisy.mrc.gz", "--to", folder / "model.pdb", folder / "noisy.mrc.gz"),
        *("--resolution", 4, "--metrics", "cc,fsc,classes", "--json", tmp_path / "o.json"),
        *("--csv", tmp_path / "o.csv", "--plot", tmp_path / "o.png"),
    )
    table = capsys.readouterr().out
    assert "cc_mask_hr" in table and "protein_main_chain q" in table and "note: cc_*_hr" in table
    assert "map.mrc (origin)" in table and "to model.pdb and noisy.mrc.gz, resolution 4 A" in table
    entry = json.loads((tmp_path / "o.json").read_text())["maps"][0]
    assert "fsc_map_masked" in entry["curves"] and "cubes" not in entry
    assert (tmp_path / "o.csv").read_text().startswith("map,scope,item,measure,value\nmap.mrc,map,,")
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.csv", "o.json", "o.png"]


def test_a_plot_that_no_program_reads_is_refused_before_the_work(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match=r"o\.xyz: can't be written; a plot is a \.png"):
        mapcc(folder / "map.mrc", "--to", folder / "model.pdb", "--plot", tmp_path / "o.xyz")
    assert capsys.readouterr().err == ""


def test_mask_and_sigma_from_the_command_line(folder, tmp_path, capsys):
    mask = np.zeros(GRID.shape, np.float32)
    mask[10:25, 10:25, 10:25] = 1
    write_map(DensityMap(mask, GRID), tmp_path / "mask.mrc")
    common = (folder / "noisy.mrc.gz", "--to", folder / "model.cif", "--resolution", 4, "--json", "-")
    mapcc(*common, "--sigma", 0.4, "--metrics", "cc,qscore")
    plain = json.loads(capsys.readouterr().out)["maps"][0]
    mapcc(*common, "--mask", tmp_path / "mask.mrc", "--metrics", "cc")
    masked = json.loads(capsys.readouterr().out)["maps"][0]
    assert plain["q_sigma"] == 0.4 and "q_expected" not in plain
    assert plain["cc_box"] == pytest.approx(masked["cc_box"], abs=1e-3)
    assert plain["cc_mask"] != masked["cc_mask"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["map.mrc", "--to", "missing.cif"], "missing.cif: no such file"),
        (["missing.mrc", "--to", "model.cif"], "missing.mrc: no such file"),
        (["map.mrc", "--to", "model.cif", "model.pdb"], "a second model"),
        (["map.mrc", "--to", "map.mrc", "noisy.mrc.gz"], "a second map"),
        (["map.mrc", "--to", "model.cif", "--metrics", "rfactor"], "unknown metric rfactor"),
        (["map.mrc", "--to", "model.cif", "--metrics", ","], "unknown metric"),
        (["map.mrc", "--to", "model.cif", "--contour", "1", "2"], "2 levels for 1 maps"),
        (["map.mrc", "--to", "model.cif", "--json", "nowhere/o.json"], "folder nowhere does not exist"),
    ],
)
def test_bad_input_names_what_is_wrong(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        mapcc(*arguments)
    assert capsys.readouterr().out == ""
