"""Confidence: what it takes, what it gives, and the fit and figures of its calibration against analytic cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from trust_maps import RESOLUTION, chain, experiment, result

import calibrate_confidence
from cryomap.cli import main as cli
from cryomap.density import DensityMap, read_map, write_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import Options
from cryomap.networks.card import read_card
from cryomap.networks.checkpoint import update_card
from cryomap.networks.training_ids import write_training_ids
from cryomap.trust.confidence import TERMS, confidence, probability, terms
from cryomap.trust.judgement import judge
from cryomap.typed_json import from_plain, to_plain
from evaluation.calibration import (
    Places,
    area_under_curve,
    calibration_error,
    fit,
    left_out,
    places,
    reliability_chart,
    report,
)
from pairs.entries import Entry

RISING = (2.0, 1.5, 0.5, -0.5, 0.2, 0.3)


@pytest.fixture
def blobs(rng):
    values = ndimage.gaussian_filter(rng.random((20, 24, 28)) ** 8, 1.2).astype(np.float32)
    return DensityMap(values, Grid((20, 24, 28)), "blobs")


@pytest.fixture
def calibrated(sharpener_weights, tmp_path):
    """Weights of the sharpener with a confidence."""
    for path in (sharpener_weights, sharpener_weights.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    update_card(tmp_path / sharpener_weights.name, confidence=RISING)
    return tmp_path / sharpener_weights.name


def test_neither_unit_nor_box_matters(blobs):
    found = terms(blobs)
    assert found.shape == (*blobs.values.shape, TERMS) and found.dtype == np.float32
    scaled = replace(blobs, values=blobs.values * 1000)
    np.testing.assert_allclose(terms(scaled), found, atol=1e-4)
    wide = DensityMap(np.pad(blobs.values, 8), Grid((36, 40, 44)), "wide")
    np.testing.assert_allclose(terms(wide)[8:-8, 8:-8, 8:-8], found, atol=1e-4)
    where = blobs.values > blobs.values.mean()
    np.testing.assert_array_equal(terms(blobs, where), found[where])


def test_detail_is_what_a_blur_takes():
    """A Gaussian of s A keeps (s^2 / (s^2 + 2))^1.5 of its power under a blur of 2 A: int g G(g) / int g g."""
    z, y, x = np.indices((64, 64, 64)) - 32
    for s in (2.0, 4.0):
        gauss = np.exp(-(z**2 + y**2 + x**2) / (2 * s * s)).astype(np.float32)
        kept = np.exp(terms(DensityMap(gauss, Grid((64, 64, 64)), "one"))[0, 0, 0, -1])
        assert kept == pytest.approx((2 * s * s / (2 * s * s + 4)) ** 1.5, rel=2e-3)
    half = np.exp(-((z**2 + y**2 + x**2) * 0.25) / 8).astype(np.float32)  # 2 A on voxels of half an A
    kept = terms(DensityMap(half, Grid((64, 64, 64), step=(0.5, 0.5, 0.5)), "one"))[0, 0, 0, -1]
    assert np.exp(kept) == pytest.approx((8 / 12) ** 1.5, rel=2e-3)


def test_it_rises_with_density(blobs):
    sure = confidence(blobs, RISING)
    order = np.argsort(blobs.values, axis=None)
    assert sure.grid == blobs.grid and sure.values.min() >= 0 and sure.values.max() <= 1
    assert (np.diff(sure.values.ravel()[order]) >= -1e-6).all()
    with pytest.raises(ValueError, match="above 0"):
        confidence(replace(blobs, values=-blobs.values), RISING)


def test_weights_without_calibration_say_so_before_the_work(sharpener_weights):
    before = experiment(np.random.default_rng(7), chain(np.random.default_rng(3)))
    method = load_method(None, sharpener_weights, "cpu")

    def never(*_):
        raise AssertionError("the network ran")

    with pytest.raises(InputError, match=r"not calibrated for .*calibrate_confidence"):
        enhance_trusted(before, method, Options(level=0.012, confidence=True), progress=never)


@pytest.mark.parametrize("wrong", [[1.0], ["a"] * TERMS, [1e9] * TERMS, "often"])
def test_a_card_with_nonsense_is_refused(calibrated, wrong):
    path = calibrated.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "confidence": wrong}))
    with pytest.raises(InputError, match=r"not a model card \(confidence"):
        read_card(path)


def test_the_command_line_writes_it_and_takes_it_away_again(tmp_path, calibrated, folder):
    write_map(experiment(np.random.default_rng(7), chain(np.random.default_rng(3))), tmp_path / "in.mrc")
    words = ["enhance", tmp_path / "in.mrc", "-o", f"{folder}/", "--weights", calibrated, "--contour", 0.012]
    words = [*map(str, words), "--resolution", str(RESOLUTION)]
    assert cli.main([*words, "--confidence"]) == 0
    sure, after = (read_map(folder / f"in_enhanced{what}.mrc") for what in ("_confidence", ""))
    assert sure.grid == after.grid
    np.testing.assert_allclose(sure.values, confidence(after, RISING).values, atol=1e-5)
    assert cli.main(words) == 0
    assert not (folder / "in_enhanced_confidence.mrc").exists()


def test_regions_are_told_and_the_least_sure_comes_first():
    atoms, more = chain(np.random.default_rng(3)), chain(np.random.default_rng(5))[:12] + 6.0
    before, after = experiment(np.random.default_rng(7), atoms), result(np.concatenate([atoms, more]))
    trust = judge(before, after, level=0.012, resolution=RESOLUTION)
    assert trust.invented
    told = trust.with_confidence(confidence(after, RISING), before.grid)
    values = [region.confidence for region in told.invented]
    assert values == sorted(values) and all(0 < value <= 1 for value in values)
    again = from_plain(type(told), json.loads(json.dumps(to_plain(told))), "trust")
    assert [region.confidence for region in again.invented] == values


def sample(rng, name, beta, n=4000):
    x = np.stack([np.ones(n), *rng.normal(size=(TERMS - 1, n))], 1).astype(np.float32)
    near = rng.random(n) < probability(x, np.array(beta))
    return Places(name, name, near, x, {"noise": rng.random(n), "truth": near * 1.0})


def test_the_fit_finds_what_made_the_data(rng):
    beta = (-1.0, 0.8, -0.5, 0.3, 0.0, 1.2)
    found = [sample(rng, str(i), beta, 20000) for i in range(4)]
    np.testing.assert_allclose(fit(found), beta, atol=0.06)
    said = left_out(found)
    text, figures = report(found, said)
    assert figures["error"] < 0.02 and figures["maps"] == 4
    assert figures["auc"]["truth"] == 1 and abs(figures["auc"]["noise"] - 0.5) < 0.02
    assert text.count("\n") == 7


def test_specimens_count_the_same_however_many_maps_they_have(rng):
    one = sample(rng, "a", (1, 0, 0, 0, 0, 0))
    two = sample(rng, "b", (-1, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(fit([one, two]), fit([one, two, two, two]), atol=1e-6)


def test_calibration_error_and_area_of_known_cases(tmp_path):
    near = np.array([1, 0, 1, 0] * 25, bool)
    assert calibration_error(near, np.full(100, 0.5)) == pytest.approx(0)
    assert calibration_error(near, np.full(100, 0.9)) == pytest.approx(0.4)
    assert calibration_error(near, near * 1.0) == 0
    assert area_under_curve(near, near * 2.0) == 1
    assert area_under_curve(near, np.ones(100)) == 0.5
    assert area_under_curve(np.array([1, 1, 0, 0], bool), np.array([3.0, 1.0, 2.0, 0.0])) == 0.75


@pytest.fixture
def pair(tmp_path):
    """A map and its model: in.mrc, in.pdb."""
    atoms = chain(np.random.default_rng(3))
    write_map(experiment(np.random.default_rng(7), atoms), tmp_path / "in.mrc")
    lines = [
        f"ATOM  {i % 99999:5d}  CA  ALA A{i:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C"
        for i, (x, y, z) in enumerate(atoms, 1)
    ]
    (tmp_path / "in.pdb").write_text("\n".join([*lines, "END", ""]))
    return tmp_path


def test_maps_that_the_weights_have_seen_are_named(pair, sharpener_weights, tmp_path):
    """Of two specimens, one of which was trained on."""
    weights = tmp_path / "w" / sharpener_weights.name
    weights.parent.mkdir()
    for path in (sharpener_weights, sharpener_weights.with_suffix(".json")):
        (weights.parent / path.name).write_bytes(path.read_bytes())
    write_training_ids(["EMD-0002"], weights)
    (pair / "again.mrc").write_bytes((pair / "in.mrc").read_bytes())
    rows = [f"EMD-000{n}\t{name}.mrc\tin.pdb\t{RESOLUTION}" for n, name in ((1, "in"), (2, "again"))]
    table = pair / "maps.tsv"
    table.write_text("\n".join(["emdb_id\tmap_file\tmodel_file\tresolution_A", *rows, ""]))
    words = ["superem", "--weights", weights, "--maps", table, "--out", tmp_path / "out"]
    assert calibrate_confidence.main(list(map(str, words))) == 0
    assert "was trained on 1 of these maps**: again." in (tmp_path / "out" / "confidence.md").read_text()


def test_places_of_a_map_with_a_model(pair, sharpener_weights):
    """The sharpener keeps the order of densities, so both densities rank places alike, and well."""
    entry = Entry("one", "", "", RESOLUTION, "test", str(pair / "in.mrc"), str(pair / "in.pdb"))
    found = places(entry, load_method(None, sharpener_weights, "cpu"))
    assert found.near.any() and not found.near.all() and found.terms.shape == (len(found.near), TERMS)
    areas = {name: area_under_curve(found.near, score) for name, score in found.others.items()}
    assert areas["result density"] > 0.8 and areas["input density"] > 0.8
    own = area_under_curve(found.near, probability(found.terms, fit([found])))
    assert own == pytest.approx(areas["result density"], abs=0.01)


def test_a_chart_is_drawn(tmp_path, rng):
    found = [sample(rng, str(i), (-1.0, 0.8, 0, 0, 0, 0)) for i in range(2)]
    reliability_chart(found, left_out(found), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
