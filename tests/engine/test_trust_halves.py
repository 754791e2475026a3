import json

import numpy as np
import pytest
from trust_maps import LIGAND, chain, experiment, ligand, result

from cryomap.density import DensityMap
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.trust.halves import compare_halves
from cryomap.typed_json import to_plain


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(5)
    atoms = chain(np.random.default_rng(3))
    everything = np.concatenate([atoms, ligand()])
    halves = experiment(rng, everything, noise=0.15), experiment(rng, everything, noise=0.15)
    # One enhanced half has the ligand, the other does not.
    return halves, (result(everything), result(atoms))


def test_where_the_halves_disagree(case):
    halves, enhanced = case
    found = compare_halves(halves, enhanced, level=0.15)
    centers = [np.linalg.norm(np.array(one.center) - LIGAND) for one in found.disagreements]
    assert len(centers) == 1 and centers[0] < 1.5
    assert "must not be quoted" in found.warning


def test_one_network_makes_the_halves_agree_more_than_the_data(case):
    halves, enhanced = case
    found = compare_halves(halves, (enhanced[0], enhanced[0]), level=0.15)
    assert found.disagreements == ()
    assert found.d_after is None and found.d_before is not None
    assert np.allclose(found.fsc["after"].fsc, 1, atol=1e-4)
    shown = found.agreement.values[enhanced[0].values > 0.3]
    assert np.allclose(shown, 1, atol=1e-3)


def test_json(case):
    content = json.loads(json.dumps(to_plain(compare_halves(*case, level=0.15))))
    assert content["disagreements"][0]["volume"] > 30
    assert len(content["fsc"]["before"]["d"]) == len(content["fsc"]["before"]["fsc"])


def test_half_maps_of_different_boxes_are_refused(case):
    halves, enhanced = case
    other = DensityMap(np.zeros((10, 10, 10), np.float32), Grid((10, 10, 10)), "half2")
    with pytest.raises(InputError, match="half2: half maps of one reconstruction have one grid"):
        compare_halves((halves[0], other), enhanced, level=0.15)
