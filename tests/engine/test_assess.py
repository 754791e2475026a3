import json

import numpy as np
import pytest
from made_models import crowded_chain, model_at

from cryomap.atoms import Residue
from cryomap.density import DensityMap
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics.assess import METRICS, assess
from cryomap.metrics.correlation import correlations, model_map
from cryomap.metrics.qscore import q_scores
from cryomap.simulate import structure_factor_map

GRID = Grid((40, 44, 42), (1.0, 1.1, 0.9), (-20.0, -22.0, -19.0))


@pytest.fixture(scope="module")
def scene():
    """A model with an ion, its map with noise, and a map in which the ion is gone."""
    rng = np.random.default_rng(3)
    chain = crowded_chain(rng, 14)
    residues = (*chain.residues, Residue("C", 1, "", "ZN", "ion"))
    model = model_at(
        np.vstack([chain.positions, [[0, 15.0, 0]]]),
        z=[*chain.atomic_numbers, 30],
        b_factors=[*chain.b_factors, 30],
        names=[*chain.atom_names, "ZN"],
        residues=residues,
        owners=[*chain.residue_indices, 14],
    )
    values = structure_factor_map(model, GRID, 3.5).values
    noise = 0.1 * values.std() * rng.normal(size=GRID.shape).astype(np.float32)
    without = structure_factor_map(chain, GRID, 3.5).values
    return (
        model,
        DensityMap(values + noise, GRID, "good.mrc", "origin"),
        DensityMap(without + noise, GRID, "bad.mrc"),
    )


@pytest.fixture(scope="module")
def report(scene):
    model, good, bad = scene
    return assess([good, bad], model, resolution=3.5)


def test_json_has_the_documented_keys(report):
    found = json.loads(report.to_json())
    assert {"maps", "model", "against", "resolution", "sigma", "metrics", "notes"} == set(found)
    assert found["sigma"] == 0.6 and found["metrics"] == list(METRICS)
    names = {"map", "frame", "d99", "d_model", "d_fsc_model_0", "d_fsc_model_0143", "d_fsc_model_05"}
    names |= {f"cc_{n}{s}" for n in ("box", "mask", "volume", "peaks") for s in ("", "_hr")}
    names |= {"d99_masked", "d_model_masked", "d_fsc_model_05_masked", "q_mean", "q_sigma", "q_expected"}
    names |= {
        "classes",
        "chains",
        "residues",
        "ligands",
        "cubes",
        "curves",
        "rscc_main_chain",
        "rscc_side_chain",
    }
    for entry in found["maps"]:
        assert names <= set(entry)
    first = found["maps"][0]
    assert (first["map"], first["frame"]) == ("good.mrc", "origin")
    assert len(first["residues"]) == 15 and len(first["chains"]) == 3
    row = first["residues"][0]
    assert (row["chain"], row["number"], row["name"], row["kind"]) == ("A", 1, "ALA", "protein")
    assert {"rscc", "rscc_main_chain", "rscc_side_chain", "q"} <= set(row)
    assert len(first["curves"]["fsc_model"]["d"]) == len(first["curves"]["fsc_model"]["fsc"])


def test_figures_are_those_of_the_parts(scene, report):
    model, good, _ = scene
    expected = correlations(good, model_map(model, GRID, 3.5))
    figures = report.maps[0].figures
    assert figures["cc_mask"] == expected.mask and figures["cc_peaks"] == expected.peaks
    q = q_scores(good, model)
    assert report.maps[0].atom_q == pytest.approx(q, nan_ok=True)
    assert figures["q_mean"] == pytest.approx(np.nanmean(q))
    assert figures["cc_mask"] > 0.95 and figures["d_fsc_model_05"] == pytest.approx(3.5, abs=0.3)


def test_what_the_second_map_lost_is_marked(report):
    first, second = json.loads(report.to_json())["maps"]
    assert first["ligands"][0]["marks"] == []
    assert "density fell below the contour" in second["ligands"][0]["marks"]
    assert any(mark.startswith("Q fell") for mark in second["ligands"][0]["marks"])
    assert second["classes"]["ion"]["q_change"] < -0.05
    assert first["classes"]["ion"]["q_change"] == 0
    assert second["cubes"]["improved"] < 0.9


def test_notes_say_what_the_reader_has_to_know(report):
    text = "\n".join(report.notes)
    assert "B = 20" in text and "sharper map loses" in text and "sigma 0.6" in text


def test_table_of_values_agrees_with_the_json(report):
    lines = [line.split(",") for line in report.to_csv().splitlines()]
    assert lines[0] == ["map", "scope", "item", "measure", "value"]
    values = {tuple(line[:4]): float(line[4]) for line in lines[1:] if line[4] not in ("True", "False")}
    first = json.loads(report.to_json())["maps"][0]
    assert values["good.mrc", "map", "", "cc_mask"] == first["cc_mask"]
    assert values["good.mrc", "residue", "/A:1 ALA", "q"] == first["residues"][0]["q"]
    assert values["good.mrc", "class", "ion", "q_mean"] == first["classes"]["ion"]["q_mean"]
    assert values["good.mrc", "cubes", "", "count"] == first["cubes"]["count"]


@pytest.mark.parametrize(
    ("metric", "present", "absent"),
    [
        ("cc", "cc_mask_hr", "q_mean"),
        ("fsc", "d_model", "cc_mask"),
        ("qscore", "q_mean", "d99"),
        ("cubes", "cubes", "cc_box"),
        ("classes", "classes", "d99"),
    ],
)
def test_only_the_metrics_asked_for(scene, metric, present, absent):
    model, good, _ = scene
    entry = json.loads(assess([good], model, resolution=3.5, metrics=[metric]).to_json())["maps"][0]
    assert present in entry and absent not in entry


def test_maps_are_compared_even_on_other_grids(scene):
    _, good, _ = scene
    same = assess([good], against=good, resolution=3.5)
    assert same.maps[0].figures["map_cc"] == pytest.approx(1)
    assert same.maps[0].figures["d_fsc_0143"] is None
    finer = Grid((60, 60, 60), (0.7, 0.8, 0.7), GRID.origin)
    other = assess([good], against=DensityMap(np.ones(finer.shape, np.float32) * np.arange(60), finer, "o"))
    assert any("interpolated onto the grid" in note for note in other.notes)
    assert other.maps[0].figures["map_cc"] < 0.5


def test_half_maps_with_noise_end_where_the_signal_does(rng):
    grid = Grid((80, 80, 84))
    model = crowded_chain(rng, 20, center=grid.center)
    signal = structure_factor_map(model, grid, 4.0).values
    halves = [
        DensityMap((signal + 0.05 * signal.std() * rng.normal(size=grid.shape)).astype(np.float32), grid)
        for _ in range(2)
    ]
    figures = assess([halves[0]], against=halves[1], metrics=["fsc"], resolution=4).maps[0].figures
    assert figures["d_fsc_0143"] == pytest.approx(4.0, abs=0.15)
    assert "d_fsc_0143_masked" not in figures


def test_moved_together_nothing_changes(scene, report):
    model, good, _ = scene
    turn = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
    origin = tuple(turn @ np.array(GRID.origin) + 40)
    grid = Grid(GRID.shape, GRID.step, origin, rotation=tuple(map(tuple, turn)))
    moved = model_at(
        model.positions @ turn.T + 40,
        z=model.atomic_numbers,
        b_factors=model.b_factors,
        names=model.atom_names,
        residues=model.residues,
        owners=model.residue_indices,
    )
    figures = assess([DensityMap(good.values, grid, "moved")], moved, resolution=3.5).maps[0].figures
    for name in ("cc_box", "cc_mask", "cc_peaks_hr", "d_fsc_model_05", "d_model", "rscc_main_chain"):
        assert figures[name] == pytest.approx(report.maps[0].figures[name], abs=1e-3), name


def test_maps_on_different_grids_share_one_model(scene):
    model, good, _ = scene
    finer = Grid((56, 60, 54), (0.75,) * 3, (-20.0, -22.0, -19.0))
    second = DensityMap(structure_factor_map(model, finer, 3.5).values, finer, "finer")
    figures = assess([good, second], model, resolution=3.5).maps[1].figures
    assert figures["cc_box"] == pytest.approx(1, abs=1e-3)


def test_missing_resolution_is_estimated_and_said(scene):
    model, good, _ = scene
    found = assess([good], model, metrics=["cc"])
    assert any("no resolution given" in note and "d99" in note for note in found.notes)
    assert 1.5 < found.resolution < 6


def notes_for(model, scene, **changes):
    return "\n".join(assess([scene[1]], model, resolution=3.5, metrics=["cc", "qscore"], **changes).notes)


def test_oddities_of_the_model_are_handled_and_said(scene):
    model, _, _ = scene
    outside = model_at(
        np.vstack([model.positions, [[300, 0, 0]]]),
        z=[*model.atomic_numbers, 6],
        names=[*model.atom_names, "CA"],
        residues=(*model.residues, Residue("D", 1, "", "ALA", "protein")),
        owners=[*model.residue_indices, 15],
    )
    assert "1 of 72 atoms lie outside" in notes_for(outside, scene)
    flat = model_at(model.positions, b_factors=0, occupancies=0)
    text = notes_for(flat, scene)
    assert "every B factor is 0; 50 Å²" in text and "every occupancy is 0; 1 is used" in text
    odd = model_at(model.positions, z=[0, 1, *[6] * 69])
    odd.alt_locs[5] = "A"
    text = notes_for(odd, scene)
    assert "1 atoms of unknown element are left out" in text
    assert "1 hydrogens count in the model map" in text
    assert "1 atoms in alternate conformations" in text
    unknown = model_at(model.positions, residues=[Residue("A", i, "", "UNK", "protein") for i in range(71)])
    assert "unknown residues (UNK)" in notes_for(unknown, scene)
    assert "finer than the grid" in "\n".join(assess([scene[1]], model, resolution=1.0, metrics=["cc"]).notes)


def test_all_goes_without_cubes_where_none_fits_and_says_so(rng):
    grid = Grid((20, 40, 40), (1.6, 1.0, 1.0))
    model = crowded_chain(rng, 6, center=grid.center)
    small = structure_factor_map(model, grid, 4.0)
    report = assess([small], model, resolution=4)
    assert report.metrics == ("cc", "fsc", "qscore", "classes") and report.maps[0].cubes is None
    assert any("no cubes" in note for note in report.notes)
    assert any("cut at 3.20 A" in note for note in report.notes)
    with pytest.raises(InputError, match="smaller than a cube"):
        assess([small], model, resolution=4, metrics=["cubes"])


def test_input_that_makes_no_sense_is_refused(scene):
    model, good, _ = scene
    cases = [
        ("no map", dict(maps=[], model=model)),
        ("give a model or a second map", dict(maps=[good])),
        ("unknown metric nonsense", dict(maps=[good], model=model, metrics=["cc", "nonsense"])),
        ("lies outside good.mrc", dict(maps=[good], model=model_at([[400, 400, 400]]))),
        ("no atoms", dict(maps=[good], model=model.subset([]))),
        (
            "atom CA of /A:2 ALA has the B factor nan",
            dict(maps=[good], model=model_at([[0, 0, 0], [1, 1, 1]], b_factors=[5, np.nan])),
        ),
        ("no atom of known element", dict(maps=[good], model=model_at([[0, 0, 0]], z=0))),
        ("resolution -3", dict(maps=[good], model=model, resolution=-3.0)),
        ("resolution nan", dict(maps=[good], model=model, resolution=float("nan"))),
        ("sigma 0", dict(maps=[good], model=model, sigma=0.0)),
        (
            "every density value is 0",
            dict(maps=[DensityMap(np.zeros(GRID.shape, np.float32), GRID)], model=model),
        ),
        ("not finite", dict(maps=[DensityMap(np.full(GRID.shape, np.nan, np.float32), GRID)], model=model)),
        ("excludes every voxel", dict(maps=[good], model=model, resolution=4, mask=np.zeros(GRID.shape))),
        (r"\(3, 3, 3\) voxels", dict(maps=[good], against=good, metrics=["cc"], mask=np.ones((3, 3, 3)))),
        (
            "the map is too small",
            dict(maps=[_tiny()], model=model_at([[2, 2, 2]]), resolution=4, metrics=["fsc"]),
        ),
    ]
    for message, arguments in cases:
        with pytest.raises(InputError, match=message):
            assess(**arguments)


def _tiny():
    values = np.arange(216, dtype=np.float32).reshape(6, 6, 6)
    return DensityMap(values, Grid(values.shape), "tiny")
