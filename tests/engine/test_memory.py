"""What takes little memory beside a map, whatever the map's size."""

import tracemalloc

import numpy as np
import pytest
from made_models import model_at
from scipy import ndimage

from cryomap.density import DensityMap
from cryomap.enhancement.finer_detail import with_finer_detail
from cryomap.grid import Grid
from cryomap.metrics.cubes import cube_correlations
from cryomap.metrics.fourier import reflections
from cryomap.metrics.masks import spheres
from cryomap.metrics.unmodelled import centers
from cryomap.mrc import header_bytes
from cryomap.trust.halves import warn_of_halves
from cryomap.trust.judgement import judge
from cryomap.trust.preserved import soft_edge

N = 128
GRID = Grid((N,) * 3)
SPACINGS = reflections(GRID)
ATOM = model_at(GRID.center[None])
BALL = spheres(ATOM.positions, 5.0, GRID)
LABELS = BALL.astype(np.int32)


@pytest.fixture
def maps(rng):
    values = rng.standard_normal((2, N, N, N)).astype(np.float32)
    return [DensityMap(values[0], GRID), DensityMap(values[0] + values[1], GRID)]


def peak(work):
    """Largest memory that a call takes, in maps of float32."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / (4 * N**3)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "most, work",
    [
        (0.1, lambda one, other: header_bytes(one.values, GRID, ())),
        (4.0, lambda one, other: warn_of_halves(one, other)),
        (4.5, lambda one, other: SPACINGS.of_masked(one.values, other.values)),
        (3.5, lambda one, other: spheres(ATOM.positions, 5.0, GRID)),
        (2.5, lambda one, other: soft_edge(BALL, GRID)),
        (0.1, lambda one, other: centers(LABELS, [1], GRID)),
        (8.0, lambda one, other: cube_correlations(one, ATOM, GRID, 3.0)),
    ],
    ids=["header", "half maps", "masked transform", "spheres", "edge", "centers", "cubes"],
)
def test_no_whole_copy_in_double_precision(maps, most, work):
    assert peak(lambda: work(*maps)) < most


def test_a_box_full_of_density_is_judged_in_a_few_arrays(rng):
    """Beside the input and the result; at 512 A, where padding and the parts done at a time hardly count, in six."""
    noise = ndimage.gaussian_filter(rng.standard_normal(GRID.shape).astype(np.float32), 1.5, mode="wrap")
    before, after = DensityMap(noise, GRID), DensityMap(noise.clip(0) / noise.max(), GRID)
    assert peak(lambda: judge(before, after, level=float(noise.std()), resolution=4.0)) < 9
    assert peak(lambda: with_finer_detail(after, before, 2.8)) < 7
