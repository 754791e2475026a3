import numpy as np
import pytest
from trust_maps import LIGAND, RESOLUTION, chain, experiment, ligand, model, result

from cryomap.density import DensityMap, resample
from cryomap.grid import Grid
from cryomap.metrics.qscore import q_scores
from cryomap.trust.judgement import judge
from cryomap.trust.restore import keep_lost

LEVEL = 0.012


@pytest.fixture(scope="module")
def case():
    """Atoms, input, a result without the ligand, and what was found."""
    rng = np.random.default_rng(7)
    atoms = chain(np.random.default_rng(3))
    before, after = experiment(rng, np.concatenate([atoms, ligand()])), result(atoms)
    return atoms, before, after, judge(before, after, level=LEVEL, resolution=RESOLUTION)


def test_the_ligand_comes_back_and_the_rest_stays(case):
    atoms, before, after, trust = case
    kept = keep_lost(before, after, trust)
    points = np.stack(np.meshgrid(*map(np.arange, after.values.shape), indexing="ij"), -1)[..., ::-1]
    away = np.linalg.norm(points - LIGAND, axis=-1) > 10
    assert np.array_equal(kept.values[away], after.values[away])
    at = tuple(np.rint(LIGAND[::-1]).astype(int))
    assert after.values[at] < 0.02
    # As dense as an atom of the result, and no more.
    assert 0.2 * np.median(after.values[tuple(np.rint(atoms[:, ::-1]).astype(int).T)]) < kept.values[at] <= 1


def test_q_of_the_ligand_comes_back(case):
    atoms, before, after, trust = case
    everything = model(atoms, ligand())
    own = slice(len(atoms), None)
    q = [float(q_scores(m, everything)[own].mean()) for m in (before, after, keep_lost(before, after, trust))]
    assert q[1] < q[0] - 0.2
    assert (q[2] - q[1]) > 0.9 * (q[0] - q[1])


def test_the_edge_is_smooth(case):
    _, before, after, trust = case
    gain = keep_lost(before, after, trust).values - after.values
    steps = np.abs(np.diff(gain, axis=2)).max()
    assert steps < 0.5 * gain.max()


def test_a_result_on_another_grid(case):
    _, before, after, trust = case
    fine = resample(after, Grid((80,) * 3, (0.7,) * 3), order=3)
    kept = keep_lost(before, fine, trust)
    assert kept.grid == fine.grid
    gain = kept.values - fine.values
    center = kept.grid.to_xyz(np.array(np.unravel_index(gain.argmax(), gain.shape))[::-1])
    assert np.linalg.norm(center - LIGAND) < 3


def test_nothing_lost_nothing_changed(case):
    atoms, before, _, _ = case
    whole = result(np.concatenate([atoms, ligand()]))
    trust = judge(before, whole, level=LEVEL, resolution=RESOLUTION)
    assert keep_lost(before, whole, trust) is whole


def test_the_input_is_not_changed(case):
    _, before, after, trust = case
    copies = before.values.copy(), after.values.copy()
    keep_lost(before, after, trust)
    assert np.array_equal(before.values, copies[0]) and np.array_equal(after.values, copies[1])
    assert isinstance(before, DensityMap)
