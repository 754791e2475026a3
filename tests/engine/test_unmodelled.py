"""Density without a model: of blobs whose places and volumes are known."""

import numpy as np
import pytest
from made_models import model_at

from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics.assess import assess
from cryomap.metrics.unmodelled import DISTANCE, unmodelled

GRID = Grid((60, 56, 64), (1.5,) * 3, (10.0, -20.0, 5.0))


def balls(*places):
    """1 within 8 A of each place, else 0."""
    points = GRID.to_xyz(np.stack(np.meshgrid(*map(np.arange, GRID.size), indexing="ij"), -1).reshape(-1, 3))
    inside = np.zeros(len(points), bool)
    for place in places:
        inside |= np.linalg.norm(points - place, axis=1) <= 8
    return DensityMap(inside.reshape(GRID.size).T.astype(np.float32), GRID)


MODELLED, LEFT_OUT, SMALL = np.array([[40.0, 10.0, 30.0], [80.0, 40.0, 60.0], [75.0, 0.0, 80.0]])


@pytest.fixture
def model(rng):
    """Atoms all over the first ball."""
    return model_at(MODELLED + rng.uniform(-5, 5, (300, 3)))


def test_a_part_that_was_not_built_is_found_where_it_is(model):
    found = unmodelled(balls(MODELLED, LEFT_OUT), model, 0.5, 3.0)
    assert found.share == pytest.approx(0.5, abs=0.02) and found.distance == DISTANCE
    (region,) = found.regions
    assert region.center == pytest.approx(LEFT_OUT, abs=0.2)
    assert region.volume == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.03)


def test_all_built_and_nothing_there(model):
    found = unmodelled(balls(MODELLED), model, 0.5, 3.0)
    assert (found.share, found.regions) == (0.0, ())
    assert np.isnan(unmodelled(balls(MODELLED), model, 2.0, 3.0).share)


def test_the_box_is_not_periodic():
    """An atom at one side explains nothing at the other."""
    edge = GRID.to_xyz(np.array([1, 28, 30]))
    other = GRID.to_xyz(np.array([62, 28, 30]))
    (region,) = unmodelled(balls(edge, other), model_at(edge + np.zeros((1, 3))), 0.5, 9.0).regions
    assert region.center[0] > other[0] - 8


def test_coarse_density_reaches_farther(model):
    near = MODELLED + np.array([15.0, 0, 0])
    shares = [unmodelled(balls(MODELLED, near), model, 0.5, d).share for d in (3.0, 8.0)]
    assert shares[0] > shares[1] > 0


def test_an_assessment_names_it(model):
    from cryomap.cli.mapcc import table

    report = assess([balls(MODELLED, LEFT_OUT)], model, resolution=5.0, metrics=["classes"], levels=[0.5])
    (found,) = report.to_dict()["maps"]
    assert found["unmodelled"] == pytest.approx(0.5, abs=0.02)
    assert found["unmodelled_regions"][0]["center"] == pytest.approx(LEFT_OUT, abs=0.2)
    assert "about 80, 40, 60" in table(report)
