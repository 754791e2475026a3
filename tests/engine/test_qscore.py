from functools import cache
from math import acos, cos, exp, pi, sin, sqrt

import numpy as np
import pytest
from conftest import blobs
from made_models import crowded_chain, model_at
from scipy import ndimage

from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics.qscore import expected_q, q_scores, spiral


@cache
def literal_spiral(n):
    """Points by mapq's formula, one at a time."""
    theta, points = 0.0, []
    for k in range(1, n + 1):
        h = -1 + 2 * (k - 1) / (n - 1)
        phi = acos(h)
        theta = 0.0 if k in (1, n) else (theta + 3.6 / sqrt(n * (1 - h * h))) % (2 * pi)
        points.append((sin(phi) * cos(theta), sin(phi) * sin(theta), cos(phi)))
    return np.array(points)


def literal_q(density, positions, index, sigma=0.6):
    """The published procedure for one atom, point by point."""

    def sample(x):
        return ndimage.map_coordinates(density.values, density.grid.to_indices(x).T[::-1], float, order=1)

    others = np.delete(positions, index, axis=0)
    others = others[np.linalg.norm(others - positions[index], axis=1) < 5]
    values, reference = list(sample(positions[[index]])) * 8, [1.0] * 8
    for shell in range(1, 21):
        radius = shell / 10
        for attempt in range(50):
            points = positions[index] + radius * literal_spiral(8 + 2 * attempt)
            near = np.linalg.norm(points[:, None] - others, axis=-1) < 0.9 * radius
            kept = points[~near.any(axis=1)]
            if len(kept) >= 8:
                values.extend(sample(kept))
                reference.extend([exp(-0.5 * (radius / sigma) ** 2)] * len(kept))
                break
    return np.corrcoef(values, reference)[0, 1]


@pytest.mark.parametrize("n", [8, 10, 57, 106])
def test_spiral_is_mapqs(n):
    assert spiral(n) == pytest.approx(literal_spiral(n), abs=1e-12)


@pytest.mark.parametrize("sigma", [0.4, 0.6])
def test_every_atom_scores_as_by_the_published_procedure(rng, sigma):
    grid = Grid((30, 32, 28), (0.9, 0.8, 0.85), (-12.0, -13.0, -12.0))
    model = crowded_chain(rng, 8)
    noise = ndimage.gaussian_filter(rng.normal(size=grid.shape), 1.0) * 4
    density = DensityMap((blobs(grid, model.positions, 0.7).values + noise).astype(np.float32), grid)
    expected = [literal_q(density, model.positions, i, sigma) for i in range(len(model))]
    assert q_scores(density, model, sigma) == pytest.approx(expected, abs=1e-5)


def test_a_gaussian_of_width_sigma_at_each_atom_scores_one():
    grid = Grid((60, 60, 60), (0.15,) * 3, (-4.5,) * 3)
    centers = np.array([[-2.0, 0.1, 0.03], [2.1, -0.06, 0.2]])
    model = model_at(centers)
    assert q_scores(blobs(grid, centers, 0.6), model) == pytest.approx([1, 1], abs=0.005)
    wide = q_scores(blobs(grid, centers, 1.0), model)
    assert (wide < 0.97).all()
    assert q_scores(blobs(grid, centers, 0.4), model, sigma=0.4) == pytest.approx([1, 1], abs=0.005)


def test_scale_offset_and_sign_of_the_map(rng):
    grid = Grid((30, 30, 30), (0.8,) * 3, (-12.0,) * 3)
    model = crowded_chain(rng, 5)
    density = blobs(grid, model.positions, 0.8)
    q = q_scores(density, model)
    scaled = DensityMap((1000 * density.values + 30).astype(np.float32), grid)
    assert q_scores(scaled, model) == pytest.approx(q, abs=1e-3)
    assert q_scores(DensityMap(-density.values, grid), model) == pytest.approx(-q, abs=1e-4)


def test_a_rotated_frame_makes_no_difference(rng):
    model = crowded_chain(rng, 5)
    grid = Grid((30, 30, 30), (0.8,) * 3, (-12.0,) * 3)
    density = blobs(grid, model.positions, 0.8)
    turn = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
    moved = model_at(model.positions @ turn.T + 50, z=model.atomic_numbers)
    origin = turn @ np.array(grid.origin) + 50
    turned = Grid(grid.shape, grid.step, tuple(origin), rotation=tuple(map(tuple, turn)))
    # The spiral points don't turn along, so that the scores differ a little.
    assert q_scores(DensityMap(density.values, turned), moved) == pytest.approx(
        q_scores(density, model), abs=0.06
    )


def test_no_density_scores_zero_and_hydrogens_have_no_score():
    grid = Grid((20, 20, 20))
    model = model_at([[10, 10, 10], [11, 10, 10], [500, 0, 0]], z=[6, 1, 8])
    assert np.array_equal(
        q_scores(DensityMap(np.ones(grid.shape, np.float32), grid), model), [0, np.nan, 0], equal_nan=True
    )
    assert np.isnan(q_scores(DensityMap(np.ones(grid.shape, np.float32), grid), model.subset([1]))).all()


def test_alternate_conformations_do_not_see_each_other():
    grid = Grid((40, 40, 40), (0.3,) * 3, (-6.0,) * 3)
    density = blobs(grid, np.array([[0.0, 0, 0]]), 0.6)
    pair = model_at([[0, 0, 0], [0.5, 0, 0]])
    blocked = q_scores(density, pair)
    pair.alt_locs[:] = ["A", "B"]
    free = q_scores(density, pair)
    alone = q_scores(density, pair.subset([1]))
    assert free[1] == pytest.approx(alone[0]) and abs(free[1] - blocked[1]) > 0.01


def test_expected_q_is_the_published_fit():
    x = 3.9
    assert expected_q(x) == pytest.approx(
        -0.0019064058 * x**3 + 0.0499875375 * x**2 - 0.4513945578 * x + 1.5361860733
    )
