"""The network's part is taken by results made up for the occasion: what is tested is what becomes of them."""

import json
import logging

import numpy as np
import pytest
from trust_maps import LIGAND, RESOLUTION, chain, experiment, ligand, model, result

from cryomap.cli import main as cli
from cryomap.density import DensityMap, read_map, write_map
from cryomap.enhancement import trusted
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.run import enhance_prepared
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.job import Options
from cryomap.typed_json import to_plain


def options(**more) -> Options:
    return Options(level=0.012, resolution=RESOLUTION, **more)


@pytest.fixture(scope="module")
def method(sharpener_weights):
    return load_method(None, sharpener_weights, "cpu")


@pytest.fixture
def lossy(monkeypatch):
    """An input with a ligand; what `enhance` gives has lost it."""
    atoms = chain(np.random.default_rng(3))
    before = experiment(np.random.default_rng(7), np.concatenate([atoms, ligand()]))

    def lose(*given):
        return result(atoms), enhance_prepared(*given)[1]

    monkeypatch.setattr(trusted, "enhance_prepared", lose)
    return before, result(atoms)


def test_a_lost_ligand_is_warned_of(lossy, method, caplog):
    before, after = lossy
    with caplog.at_level(logging.WARNING):
        done = enhance_trusted(before, method, options())
    assert "1 region of density lost" in caplog.text and "% gone" in caplog.text
    assert np.array_equal(done.result.values, after.values)
    content = json.loads(json.dumps(to_plain(done.report)))
    assert np.linalg.norm(np.array(content["trust"]["lost"][0]["center"]) - LIGAND) < 1
    assert content["trust"]["restored"] == 0
    assert content["tiles_run"] > 0


def test_a_model_names_it(lossy, method, caplog):
    known = model(chain(np.random.default_rng(3)), ligand())
    with caplog.at_level(logging.WARNING):
        done = enhance_trusted(lossy[0], method, options(), model=known)
    assert "/B:301 HEM at 28" in caplog.text
    assert done.report.trust.lost[0].kind == "ligand"


def test_the_command_line_says_in_words_what_json_says(lossy, tmp_path, sharpener_weights, capsys):
    write_map(lossy[0], tmp_path / "in.mrc")
    given = ["--weights", sharpener_weights, "--contour", 0.012, "--resolution", RESOLUTION]
    told = []
    for more in ([], ["--json"]):
        arguments = ["enhance", tmp_path / "in.mrc", "-o", tmp_path / "out.mrc", *given, *more]
        assert cli.main([str(a) for a in arguments]) == 0
        told.append(capsys.readouterr())
    trust = json.loads(told[1].out)["trust"]
    assert f"support by the input {trust['support']:.2f}; 1 lost and 0 invented regions" in told[0].out
    assert "--keep-lost gives it back" in told[0].err and len(trust["lost"]) == 1


def test_keep_gives_it_back(lossy, method, caplog):
    before, after = lossy
    with caplog.at_level(logging.WARNING):
        done = enhance_trusted(before, method, options(keep_lost=True))
    at = tuple(np.rint(LIGAND[::-1]).astype(int))
    assert done.result.values[at] > after.values[at] + 0.1
    assert done.report.trust.restored == 1 and "filled from the input" in caplog.text
    shown = np.count_nonzero(done.result.values >= done.report.contour_out) * done.result.grid.voxel_volume
    assert shown == pytest.approx(done.report.volume, abs=2 * done.result.grid.voxel_volume)


def test_what_can_not_be_compared_is_said(method, monkeypatch, caplog):
    before = experiment(np.random.default_rng(7), chain(np.random.default_rng(3)))

    def nothing(prepared, *rest):
        empty = DensityMap(np.zeros(prepared.grid.shape, np.float32), prepared.grid)
        return empty, enhance_prepared(prepared, *rest)[1]

    monkeypatch.setattr(trusted, "enhance_prepared", nothing)
    with caplog.at_level(logging.WARNING):
        done = enhance_trusted(before, method, Options(level=0.012))
    assert done.report.trust is None
    assert "can't be compared" in caplog.text


def test_samples_give_a_deviation(method):
    before = experiment(np.random.default_rng(7), chain(np.random.default_rng(3)))
    done = enhance_trusted(before, method, options(samples=2))
    assert done.deviation.grid == done.result.grid == before.grid


def test_the_command_line_writes_the_deviation_and_tells_the_trust(tmp_path, sharpener_weights, capsys):
    before = experiment(np.random.default_rng(7), chain(np.random.default_rng(3)))
    write_map(before, tmp_path / "in.mrc")
    arguments = [
        "enhance",
        tmp_path / "in.mrc",
        "-o",
        tmp_path / "out.map.gz",
        "--weights",
        sharpener_weights,
    ]
    options = ["--contour", 0.012, "--samples", 2, "--keep-lost", "--json", "--resolution", RESOLUTION]
    assert cli.main([str(a) for a in arguments + options]) == 0
    assert json.loads(capsys.readouterr().out)["trust"]["resolution"] == RESOLUTION
    assert read_map(tmp_path / "out_sd.map.gz").grid.shape == before.grid.shape
