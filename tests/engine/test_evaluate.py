"""Evaluation: what is reported is what was measured, and cctbx measures the same; the baselines do what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import references
from made_models import model_at
from matplotlib import image
from pair_entries import protein, write_density, write_model

import evaluate
from cryomap.atoms import Residue, read_model
from cryomap.density import DensityMap, read_map, resample, write_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance
from cryomap.grid import Grid
from cryomap.metrics.correlation import correlations, fixed_scale, model_map, pearson
from cryomap.metrics.results import MapScores
from cryomap.simulate import structure_factor_map
from evaluation.auto_sharpen import auto_sharpened
from evaluation.measures import DEPOSITED, MEASURES, NYQUIST, summarise
from evaluation.noise_free import noise_free
from evaluation.residues import better_residues, structure_shares
from evaluation.sharpening import best_sharpening, sharpened
from evaluation.tables import report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two maps of about 4.5 A with their models, listed in a table."""
    where = tmp_path_factory.mktemp("maps")
    (where / "maps").mkdir()
    rows = []
    for number in (1, 2):
        write_model(protein(number), where / "maps" / f"model{number}.cif")
        write_density(protein(number), where / "maps" / f"map{number}.map", number)
        rows.append(f"EMD-{number}\tmap{number}.map\tmodel{number}.cif\t4.5")
    header = "emdb_id\tmap_file\tmodel_file\tresolution_A"
    (where / "list.tsv").write_text("\n".join([header, *rows]) + "\n")
    return where


@pytest.fixture(scope="module")
def result(folder, sharpener_weights, tmp_path_factory):
    """The evaluation of both maps by a network known by hand and by sharpening."""
    out = tmp_path_factory.mktemp("evaluation")
    arguments = ["--maps", folder / "list.tsv", "--weights", sharpener_weights, "--baselines", "sharpened"]
    assert evaluate.main([*map(str, arguments), "--out", str(out), "--device", "cpu"]) == 0
    return out, json.loads((out / "evaluation.json").read_text())


def measured(folder, number: int) -> tuple[DensityMap, object]:
    density = read_map(folder / "maps" / f"map{number}.map")
    model = read_model(folder / "maps" / f"model{number}.cif")
    return resample(density, density.grid.cubic(1.0), order=3), model


def test_figures_are_those_of_the_maps(folder, result, sharpener_weights):
    _, found = result
    assert [e["entry"] for e in found["entries"]] == ["map1", "map2"]
    for number, entry in enumerate(found["entries"], 1):
        at_1a, model = measured(folder, number)
        density = read_map(folder / "maps" / f"map{number}.map")
        enhanced, _ = enhance(density, load_method(None, sharpener_weights, "cpu"), grid_spacing=1.0)
        for variant, values in ((DEPOSITED, at_1a), ("superem", enhanced)):
            scores = entry["scores"][variant]
            for suffix, computed in (
                ("", model_map(model, at_1a.grid, 4.5)),
                ("_hr", model_map(fixed_scale(model), at_1a.grid, 3.0)),
            ):
                expected = correlations(values, computed)
                for name in ("box", "mask", "volume", "peaks"):
                    assert scores[f"cc_{name}{suffix}"] == pytest.approx(getattr(expected, name), abs=2e-6)
        assert 0 <= entry["scores"]["superem"]["cubes"]["improved"] <= 1
        assert entry["scores"]["superem"]["q_mean"] != entry["scores"][DEPOSITED]["q_mean"]
        assert entry["facts"]["superem"]["device"] == "cpu"
        assert entry["scores"]["sharpened"]["cc_mask_hr"] > entry["scores"][DEPOSITED]["cc_mask_hr"] > 0.3


@pytest.mark.reference
@references.needs_cctbx
def test_correlations_agree_with_cctbx(folder, result, tmp_path):
    _, found = result
    for number, entry in enumerate(found["entries"][:1], 1):
        at_1a, model = measured(folder, number)
        for resolution, suffix, atoms in ((4.5, "", model), (3.0, "_hr", fixed_scale(model))):
            inputs = references.write_inputs(tmp_path / f"map{suffix}", at_1a, atoms, resolution)
            (expected,) = references.run("reference_correlation.py", inputs)
            for name in ("box", "mask", "volume", "peaks"):
                got = entry["scores"][DEPOSITED][f"cc_{name}{suffix}"]
                assert got == pytest.approx(expected[f"cc_{name}"], abs=0.005), (name, suffix)


def test_the_report_says_what_the_json_says(result):
    out, found = result
    text = (out / "evaluation.md").read_text()
    for key in ("cc_mask_hr", "cc_box", "d_model"):
        measure = next(m for m in MEASURES if m.key == key)
        means = []
        for variant in (DEPOSITED, "sharpened", "superem"):
            values = [measure.of(e["scores"][variant]) for e in found["entries"]]
            means.append(measure.text(float(np.mean(values))))
        assert f"| {measure.title} | " + " | ".join(means) + " |" in text
    assert "| protein main chain |" in text
    for name in ("cubes.png", "scores.png", "sections.png"):
        picture = image.imread(out / name)
        assert picture.shape[0] > 200 and picture.std() > 0.05
    assert sorted(p.name for p in out.iterdir()) == [
        "cubes.png",
        "cubes.tsv",
        "evaluation.json",
        "evaluation.md",
        "scores.png",
        "sections.png",
    ]


def entry(name: str, **variants) -> dict:
    return {"entry": name, "resolution": 4.0, "scores": variants, "facts": {}, "missing": {}}


def test_means_are_over_the_maps_a_variant_has():
    measure = MEASURES[0]
    entries = [
        entry("a", deposited={"cc_box_hr": 0.5}, other={"cc_box_hr": 0.7}),
        entry("b", deposited={"cc_box_hr": 0.4}, other={"cc_box_hr": 0.3}),
        entry("c", deposited={"cc_box_hr": 0.9}),
    ]
    found = summarise(entries, measure, "other")
    assert (found.mean, found.deposited) == (pytest.approx(0.5), pytest.approx(0.45))
    assert (found.maps, found.better, found.worst) == (2, 1, pytest.approx(-0.1))
    entries[2]["missing"] = {"other": "not done within 60 s"}
    text = report({"entries": entries, "methods": {"other": {"kind": "test"}}})
    assert "| CC_box_hr | 0.600 | 0.500 (deposited 0.450; 2 maps) |" in text
    own = text.split("### Over the 2 maps of other")[1]
    assert own.index("| CC_box_hr | 0.450 | 0.500 |") < own.index("## Gain")
    assert "| CC_box_hr | 1 of 2, 0.100 |" in text and "- c, other: not done within 60 s" in text


def test_a_share_of_what_became_better_has_no_value_before():
    """Nor is there a line of figures that nothing has."""
    entries = [
        entry("a", deposited={"cubes": {"improved": 0.0}}, other={"cubes": {"improved": 0.75}}),
        entry("b", deposited={"cubes": {"improved": 0.0}}),
    ]
    text = report({"entries": entries, "methods": {}})
    assert "| share of 25 A cubes improved | – | 0.750 (1 maps) |" in text
    assert "| a | 4 | – | 0.750 |" in text and "C alphas found as peaks" not in text


def test_residues_that_became_better_are_counted_by_what_they_are_in():
    """Straight P-SEA geometry: 12 residues of an ideal helix, 8 of an extended strand, 3 waters."""
    turn = np.radians(100) * np.arange(12)
    helix = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(12)], axis=1)
    strand = np.stack([30 + 0.95 * (np.arange(8) % 2), np.zeros(8), 3.3 * np.arange(8)], axis=1)
    residues = [Residue("A", i, "", "ALA", "protein") for i in range(12)]
    residues += [Residue("B", i, "", "VAL", "protein") for i in range(8)]
    residues += [Residue("W", i, "", "HOH", "water") for i in range(3)]
    positions = np.concatenate([helix, strand, np.full((3, 3), 60.0)])
    model = model_at(positions, names=["CA"] * 20 + ["O"] * 3, residues=residues)
    assert structure_shares(model) == {"helix": 0.6, "strand": 0.4}
    before, after = np.full(23, 0.5), np.full(23, 0.4)
    after[:9], after[12:14], after[20] = 0.6, 0.51, 0.9
    before[2], after[19] = np.nan, np.nan  # counted nowhere
    scores = {
        DEPOSITED: MapScores("a", residue_rscc=before),
        "better": MapScores("b", residue_rscc=after),
        "same": MapScores("c", residue_rscc=before.copy()),
    }
    found = better_residues(model, scores)
    assert set(found) == {"better", "same"}
    assert found["better"] == pytest.approx(
        {"better": 11 / 21, "helix": 8 / 11, "strand": 2 / 7, "other": None}
    )
    assert found["same"]["better"] == 0
    assert better_residues(model, {DEPOSITED: MapScores("a"), "b": MapScores("b")}) == {}


def test_gains_are_split_by_secondary_structure():
    shares = {"helical": (0.6, 0.1), "sheet": (0.1, 0.5), "mixed": (0.3, 0.3)}
    entries = []
    for name, gain in (("helical", 0.1), ("sheet", 0.04), ("mixed", -0.02)):
        one = entry(name, deposited={"cc_mask_hr": 0.5}, other={"cc_mask_hr": 0.5 + gain})
        entries.append(one | {"structure": dict(zip(("helix", "strand"), shares[name], strict=True))})
    text = report({"entries": entries, "methods": {}})
    for title, gain in (("rich in helix", "+0.100"), ("rich in strands", "+0.040"), ("other", "-0.020")):
        assert f"| CC_mask_hr, {title} (1) | {gain} ({gain} to {gain}) |" in text


def test_conformations_and_density_without_a_model_are_told():
    row = {"chain": "A", "number": 58, "insertion_code": ""}
    entries = [
        entry(
            "a",
            deposited={"major_conformation": 0.53, "conformers": [row, row], "unmodelled": 0.62},
            other={"major_conformation": 0.67, "conformers": [row, row], "unmodelled": 0.6},
        ),
        entry("b", deposited={"unmodelled": 0.01}, other={"unmodelled": 0.02}),
    ]
    text = report({"entries": entries, "methods": {}})
    assert "| a | 1 | 0.53 | 0.67 |" in text and "| a | 0.62 | 0.60 |" in text and "| b | 0.01" not in text
    assert "Alternate" not in report({"entries": entries[1:], "methods": {}})


def test_an_fsc_that_never_falls_counts_as_the_grids_limit():
    measure = next(m for m in MEASURES if m.key == "d_fsc_model_05")
    assert measure.of({"d_fsc_model_05": None}) == NYQUIST and measure.of({}) is None
    entries = [entry("a", deposited={"d_fsc_model_05": 4.0}, other={"d_fsc_model_05": None})]
    assert summarise(entries, measure, "other").better == 1


def test_sharpening_multiplies_each_wave_as_it_says():
    grid = Grid((48, 48, 48))
    z = np.arange(48)
    wave8, wave4, wave3 = (np.cos(2 * np.pi * z / d) for d in (8, 4, 3))
    values = np.broadcast_to((wave8 + wave4 + wave3)[:, None, None], grid.shape).astype(np.float32)
    result = sharpened(DensityMap(values, grid), -100.0, 4.0).values[:, 0, 0]
    # exp(100 / 4d^2); 3 A lies beyond 0.85 of the resolution.
    expected = np.exp(25 / 64) * wave8 + np.exp(25 / 16) * wave4
    assert result == pytest.approx(expected, abs=1e-3)


def test_the_search_finds_the_b_factor_a_map_was_blurred_by(folder):
    model = read_model(folder / "maps" / "model1.cif")
    grid = Grid((40, 36, 40), (1.0,) * 3, (1.0, -0.5, 0.25))
    computed = model_map(fixed_scale(model), grid, 3.0)
    factors = np.fft.rfftn(computed.density.values)
    k = np.meshgrid(np.fft.fftfreq(40), np.fft.fftfreq(36), np.fft.rfftfreq(40), indexing="ij")
    blurred = np.fft.irfftn(factors * np.exp(-60 / 4 * sum(a * a for a in k)), grid.shape, axes=(0, 1, 2))
    assert computed.density.grid.shape == grid.shape
    density = DensityMap(blurred.astype(np.float32), grid)
    result, b_factor = best_sharpening(density, computed, 3.0)
    assert b_factor == pytest.approx(-60, abs=4)
    assert correlations(result, computed).mask > 0.999 > correlations(density, computed).mask


def test_noise_free_holds_what_the_map_holds_and_no_more(folder):
    atoms = read_model(folder / "maps" / "model1.cif")
    grid = Grid((48, 48, 48))
    exact = structure_factor_map(fixed_scale(atoms), grid, 5.0)
    noisy = exact.values + np.random.default_rng(0).normal(0, exact.values.std(), grid.shape)
    result, d_min = noise_free(replace(exact, values=noisy.astype(np.float32)), atoms, 4.0)
    assert 4.5 < d_min < 5.1  # the mask mixes neighbouring shells
    assert pearson(noisy, exact.values) < 0.75 and pearson(result.values, exact.values) > 0.95
    # Without the detail of the model that the map lacked.
    assert pearson(result.values, structure_factor_map(fixed_scale(atoms), grid, 3.0).values) < 0.9


@pytest.mark.reference
@references.needs_cctbx
def test_auto_sharpen_runs_on_its_own_and_gives_up_in_time(folder):
    density, _ = measured(folder, 1)
    assert auto_sharpened(density, 4.5, seconds=0.01) == "not done within 0.01 s"
    result = auto_sharpened(density, 4.5, seconds=120)
    assert isinstance(result, DensityMap), result
    assert result.grid == density.grid
    # The same scene, filtered: not the input, and where it was.
    cc = np.corrcoef(result.values.ravel(), density.values.ravel())[0, 1]
    assert 0.7 < cc < 0.9999


def test_a_bad_map_is_left_out_and_said_so(folder, tmp_path, capsys):
    grid = read_map(folder / "maps" / "map1.map").grid
    far = replace(grid, origin=(500.0, 0.0, 0.0))
    write_map(DensityMap(read_map(folder / "maps" / "map1.map").values, far), tmp_path / "far.map")
    good = folder / "maps"
    (tmp_path / "list.tsv").write_text(
        "map_file\tmodel_file\tresolution_A\n"
        f"far.map\t{good}/model1.cif\t4.5\n{good}/map2.map\t{good}/model2.cif\t4.5\n"
    )
    arguments = [
        "--maps",
        tmp_path / "list.tsv",
        "--metrics",
        "cc",
        "--baselines",
        "none",
        "--out",
        tmp_path / "out",
    ]
    assert evaluate.main(list(map(str, arguments))) == 1
    assert "left out: far: model1.cif lies outside far.map" in capsys.readouterr().err
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [e["entry"] for e in found["entries"]] == ["map2"] and "far" in found["failed"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "EMD-77"], "no map with a model is asked for"),
        (["--resolutions", "6-8"], "no map with a model is asked for"),
        (["--baselines", "magic"], "--baselines magic"),
        (["--weights", "none.safetensors"], "none.safetensors"),
        (["--metrics", "cc,beauty"], "--metrics cc,beauty: must be of cc,"),
        (["--also", "magic"], "'magic': give NAME=PATH"),
        (["--also", "magic=nowhere"], "nowhere: no such file or folder"),
        (["--folds", "superem=."], "folds.json"),
    ],
)
def test_bad_options_are_named(folder, tmp_path, capsys, arguments, message):
    fixed = ["--maps", str(folder / "list.tsv"), "--out", str(tmp_path), "--baselines", "none"]
    assert evaluate.main([*fixed, *arguments]) == 2
    assert message in capsys.readouterr().err
