"""What a request does about its input: constants, warnings before the network, models elsewhere, labels, preserve."""

import json
import logging
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from trust_maps import RESOLUTION, chain, experiment, ligand, model

from cryomap.cli import main as cli
from cryomap.density import LABEL, read_map, write_map
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.errors import InputError
from cryomap.job import Options
from cryomap.networks.card import BUNDLED
from cryomap.networks.checkpoint import load_weights


@pytest.fixture(scope="module")
def method(sharpener_weights):
    return load_method(None, sharpener_weights, "cpu")


@pytest.fixture
def before(rng):
    return experiment(rng, np.concatenate([chain(rng), ligand()]))


OPTIONS = Options(level=0.012, resolution=RESOLUTION)


@pytest.mark.parametrize(("constant", "alike"), [(32768.0, 0.9999), (-32768.0, 0.999)])  # -: nothing above 0
def test_a_map_with_a_constant_gives_the_plain_maps_result(before, method, caplog, constant, alike):
    plain = enhance_trusted(before, method, OPTIONS)
    moved = replace(before, values=before.values * 1000 + np.float32(constant))
    with caplog.at_level(logging.WARNING):
        done = enhance_trusted(moved, method, replace(OPTIONS, level=12 + constant))
    assert np.corrcoef(done.result.values.ravel(), plain.result.values.ravel())[0, 1] > alike
    assert [w.kind for w in done.report.warnings] == ["offset"] and "constant was subtracted" in caplog.text
    assert done.report.contour_in == pytest.approx(12 + constant)
    assert done.report.trust.mean_support == pytest.approx(plain.report.trust.mean_support, abs=0.005)
    assert not plain.report.warnings
    with caplog.at_level(logging.INFO):
        done = enhance_trusted(moved, method, replace(OPTIONS, level=None))
    assert f"taking {done.report.contour_in:.4g}" in caplog.text
    with pytest.raises(InputError, match=re.escape(f"contour level {constant + 1e6:g} is outside")):
        enhance_trusted(moved, method, replace(OPTIONS, level=constant + 1e6))


def test_noise_is_told_in_the_maps_own_unit(before, method):
    plain = enhance_trusted(before, method, OPTIONS)
    tall = replace(before, values=before.values * np.float32(2.0**30))
    done = enhance_trusted(tall, method, replace(OPTIONS, level=0.012 * 2.0**30))
    assert done.report.trust.noise == pytest.approx(plain.report.trust.noise * 2.0**30, rel=1e-3)


def test_warnings_come_before_the_network_and_stand_in_the_report(before, method):
    order = []
    noisy = replace(
        before, values=np.random.default_rng(1).standard_normal(before.values.shape).astype(np.float32)
    )
    done = enhance_trusted(
        noisy,
        method,
        Options(level=1.0),
        warn=lambda warning: order.append(warning.kind),
        progress=lambda *_: order.append("tile"),
    )
    assert order[0] == "noise" and "tile" in order[1:]
    assert [w.kind for w in done.report.warnings] == ["noise"]


def test_the_command_line_warns_on_stderr_and_in_json(before, tmp_path, sharpener_weights, capsys):
    write_map(replace(before, values=-before.values), tmp_path / "in.mrc")
    arguments = [
        "enhance",
        tmp_path / "in.mrc",
        "-o",
        tmp_path / "out.mrc",
        "--weights",
        sharpener_weights,
        "--json",
    ]
    assert cli.main([str(a) for a in arguments[:-1]]) == 0
    assert "; for an input like this that means nothing" in capsys.readouterr().out
    assert cli.main([str(a) for a in arguments]) == 0
    told = capsys.readouterr()
    (warning,) = json.loads(told.out)["warnings"]
    assert warning["kind"] == "contrast" and warning["value"] < 0
    assert warning["message"] in told.err and "Multiply it by -1" in told.err


def test_a_result_says_that_it_is_one_and_is_known_again(before, method, tmp_path):
    done = enhance_trusted(replace(before, labels=("by hand",)), method, OPTIONS)
    write_map(done.result, tmp_path / "again.mrc")
    again = read_map(tmp_path / "again.mrc")
    assert again.labels[0] == "by hand" and again.labels[1].startswith(f"{LABEL}: enhanced by superem")
    assert "enhanced" in [w.kind for w in enhance_trusted(again, method, Options()).report.warnings]


def test_a_model_far_away_is_refused_before_the_work(before, method):
    known = model(chain(np.random.default_rng(3)), ligand())
    far = replace(known, positions=known.positions + 1300)

    def never(*_):
        raise AssertionError("the network ran")

    with pytest.raises(InputError, match="lies outside"):
        enhance_trusted(before, method, OPTIONS, model=far, progress=never)


def test_with_a_model_its_ligands_are_told(before, method):
    known = model(chain(np.random.default_rng(3)), ligand())
    done = enhance_trusted(before, method, OPTIONS, model=known)
    assert [change.residue for change in done.report.trust.molecules.molecules] == ["/B:301 HEM"]


def test_what_is_preserved_is_said(before, method, tmp_path):
    weight = np.zeros(before.values.shape, np.float32)
    weight[40:50, 20:36, 20:36] = 1
    plain, done = (enhance_trusted(before, method, OPTIONS, preserve=p) for p in (None, weight))
    assert done.report.preserved == 10 * 16 * 16 and plain.report.preserved == 0
    assert np.array_equal(done.result.values[:40], plain.result.values[:40])
    assert not np.array_equal(done.result.values[40:50], plain.result.values[40:50])
    shown = np.count_nonzero(done.result.values >= done.report.contour_out)
    assert shown == pytest.approx(done.report.volume, rel=0.01)  # the network's values come in steps


def test_one_thread_and_two_agree(rng):
    if not (BUNDLED / "superem.safetensors").is_file():
        pytest.skip("no bundled weights of superem")
    network, _ = load_weights("superem")
    tile, outputs = torch.from_numpy(rng.random((1, 1, 32, 32, 32), np.float32)), []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.inference_mode():
                outputs.append(network(tile))
    finally:
        torch.set_num_threads(threads)
    assert (outputs[0] - outputs[1]).abs().max() < 1e-3
