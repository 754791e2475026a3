"""Tiles: every voxel covered once the weights are summed, blending exact, and empty tiles left out for nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from cryomap.enhancement.cubes import (
    Tiling,
    density_box,
    even_starts,
    keep_centred,
    keep_dense,
    lattice_starts,
)
from cryomap.enhancement.device import Predictor
from cryomap.enhancement.tiles import Placement, blend, cut, window
from cryomap.errors import Cancelled
from cryomap.networks.superem import Generator

CPU = torch.device("cpu")
RADIUS = 5  # what one voxel of `plain_network` sees: five 3x3x3 convolutions


def plain_network() -> nn.Module:
    """A generator without normalisation, so that a voxel's value depends on its neighbourhood alone."""
    torch.manual_seed(3)
    return Generator(channels=4, blocks=1, norm="none")


def predictor(network: nn.Module, tile: int) -> Predictor:
    return Predictor(network, CPU, tile, torch.float32)


def whole(shape):
    return tuple((0, n) for n in shape)


def cubes(starts, tiling):
    """A placement of those cubes."""
    overlap = tiling.core - tiling.stride if tiling.blend == "smooth" else 0
    return Placement(starts, np.full((len(starts), 3), tiling.tile), tiling.margin, overlap, len(starts))


@pytest.mark.parametrize("blending", ["smooth", "mean"])
@pytest.mark.parametrize("stride", [8, 14])
def test_blending_equals_inference_on_the_whole_map(rng, blending, stride):
    values = rng.uniform(size=(31, 40, 26)).astype(np.float32)
    tiling = Tiling(tile=24, stride=stride, margin=RADIUS, blend=blending)
    network = plain_network()
    placed = cubes(even_starts(whole(values.shape), tiling), tiling)
    blended = blend(values, placed, predictor(network, 24), 3)
    with torch.inference_mode():
        padded = torch.from_numpy(np.pad(values, RADIUS))[None, None]
        direct = network.eval()(padded)[0, 0, RADIUS:-RADIUS, RADIUS:-RADIUS, RADIUS:-RADIUS].numpy()
    assert direct.std() > 1e-3
    np.testing.assert_allclose(blended, direct, atol=1e-5)


def test_a_margin_smaller_than_the_receptive_field_shows(rng):
    # The check above would mean nothing if it passed with any margin.
    values = rng.uniform(size=(31, 31, 31)).astype(np.float32)
    network = plain_network()
    results = []
    for margin in (RADIUS, 0):
        tiling = Tiling(24, 7, margin)
        starts = even_starts(whole(values.shape), tiling)
        results.append(blend(values, cubes(starts, tiling), predictor(network, 24), 4))
    assert abs(results[0] - results[1]).max() > 1e-4


def sparse_map(rng):
    """Two islands of density in an empty box of 70 x 36 x 44 voxels."""
    values = np.zeros((70, 36, 44), np.float32)
    values[8:20, 10:18, 9:21] = rng.uniform(0.1, 1, (12, 8, 12))
    values[50:60, 24:33, 30:41] = rng.uniform(0.1, 1, (10, 9, 11))
    return values


def test_leaving_out_empty_tiles_changes_nothing_where_there_is_density(rng):
    values = sparse_map(rng)
    torch.manual_seed(0)
    run = predictor(Generator(channels=2, blocks=1), 16)  # instance norm: tiles really differ
    tiling = Tiling(16, 9, 2)
    every = even_starts(whole(values.shape), tiling)
    kept = keep_dense(values, every, tiling, 0.0, halo=0)
    assert 0 < len(kept) < len(every) / 2
    all_tiles, dense_tiles = (blend(values, cubes(s, tiling), run, 8) for s in (every, kept))
    dense = values > 0
    np.testing.assert_array_equal(dense_tiles[dense], all_tiles[dense])
    assert (dense_tiles == 0).sum() > dense_tiles.size / 2


def test_the_halo_reaches_beyond_the_density(rng):
    values = sparse_map(rng)
    tiling = Tiling(16, 8)
    starts = keep_dense(values, even_starts(whole(values.shape), tiling), tiling, 0.0, halo=4)
    ones = blend(values, cubes(starts, tiling), np.ones_like)
    near = np.zeros(values.shape, bool)
    near[4:24, 6:22, 5:25] = near[46:64, 20:37, 26:44] = True
    assert (ones[near] == 1).all()


def test_density_box():
    values = np.zeros((20, 30, 40), np.float32)
    assert density_box(values, 0.0, 2) == ((0, 0),) * 3
    values[5, 6, 7] = values[9, 28, 20] = 1
    assert density_box(values, 0.5, 0) == ((5, 10), (6, 29), (7, 21))
    assert density_box(values, 0.5, 3) == ((2, 13), (3, 30), (4, 24))


@pytest.mark.parametrize("size", [5, 11, 12, 13, 40, 41])
@pytest.mark.parametrize("stride", [3, 8, 12])
def test_cores_cover_the_box(size, stride):
    tiling = Tiling(tile=16, stride=stride, margin=2)
    starts = np.unique(even_starts(((10, 10 + size),) * 3, tiling)[:, 0])
    first, last = starts[0] + 2, starts[-1] + 14
    assert first <= 10 and last >= 10 + size and (np.diff(starts) <= stride).all()
    if size <= 12:
        assert len(starts) == 1 and abs((10 - first) - (last - 10 - size)) <= 1
    else:
        assert (first, last) == (10, 10 + size)


@pytest.mark.parametrize("stride", [8, 10, 14, 16])
def test_smooth_weights_sum_to_one_at_the_stride(stride):
    weights = window((20, 20, 20), 2, 16 - stride)
    line = weights[10, 10] / weights[10, 10].max()
    total = np.zeros(20 + 5 * stride)
    for start in range(0, 5 * stride + 1, stride):
        total[start : start + 20] += line
    inner = total[2 + 16 : -2 - 16]
    np.testing.assert_allclose(inner, inner[0], rtol=1e-6)


def test_weights_are_zero_in_the_margin_only():
    weights = window((12, 14, 16), 3, 2)
    assert weights.shape == (12, 14, 16) and weights.dtype == np.float32
    assert (weights[3:9, 3:11, 3:13] > 0).all() and np.count_nonzero(weights) == 6 * 8 * 10
    assert (window((12, 12, 12), 3, 0)[3:9, 3:9, 3:9] == 1).all()


@pytest.mark.parametrize("wrong", [(8, 9, 0), (8, 5, 2), (8, 0, 0), (8, 2, -1), (8, 2, 4)])
def test_tilings_with_gaps_are_refused(wrong):
    with pytest.raises(ValueError, match="gaps"):
        Tiling(*wrong)


def test_a_tile_is_zero_outside_the_map(rng):
    values = rng.normal(size=(5, 6, 7)).astype(np.float32)
    tile = cut(values, (-2, 3, 5), 6)
    np.testing.assert_array_equal(tile[2:, :3, :2], values[:4, 3:, 5:])
    assert np.count_nonzero(tile) == 4 * 3 * 2
    assert not cut(values, (20, 0, 0), 6).any() and not cut(values, (-9, 0, 0), 6).any()


def test_the_mean_of_overlaps_by_hand():
    # Tiles of 4 at 0 and 2 give 1 and 3: the mean is 1, 1, 2, 2, 3, 3 along z.
    values = np.zeros((6, 4, 4), np.float32)
    outputs = iter([np.full((1, 4, 4, 4), 1.0), np.full((1, 4, 4, 4), 3.0)])
    placed = cubes(np.array([[0, 0, 0], [2, 0, 0]]), Tiling(4, 2, 0, "mean"))
    blended = blend(values, placed, lambda _: next(outputs))
    np.testing.assert_allclose(blended[:, 1, 2], [1, 1, 2, 2, 3, 3])


def test_tiles_of_several_shapes_are_run_in_batches_of_one_shape(rng):
    """The mean of bricks by hand, and what `predict` gets at once; the time left is told by voxels."""
    values = rng.uniform(size=(9, 4, 6)).astype(np.float32)
    starts = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 2], [3, 0, 0]])
    shapes = np.array([[5, 4, 4], [5, 4, 4], [5, 4, 4], [6, 4, 6]])
    seen, told = [], []
    blended = blend(
        values,
        Placement(starts, shapes, 0, 0, 4),
        lambda tiles: seen.append(tiles.shape) or tiles + len(seen),
        2,
        lambda *told_now: told.append(told_now[:2]),
    )
    assert seen == [(2, 5, 4, 4), (1, 5, 4, 4), (1, 6, 4, 6)]
    assert told == [(2, 4), (3, 4), (4, 4)]
    added = blended - values
    np.testing.assert_allclose(added[0, 0], [1, 1, 4 / 3, 4 / 3, 1.5, 1.5], rtol=1e-5)
    np.testing.assert_allclose(added[4, 1], [2, 2, 7 / 4, 7 / 4, 2, 2], rtol=1e-5)
    np.testing.assert_allclose(added[8], 3, rtol=1e-5)


def test_no_tiles_make_an_empty_map():
    blended = blend(np.ones((5, 5, 5), np.float32), cubes(np.zeros((0, 3), int), Tiling(4, 4)), np.ones_like)
    assert blended.shape == (5, 5, 5) and not blended.any()


def test_the_body_centred_lattice():
    tiling = Tiling(25, 8, 0, "mean")
    starts = {tuple(s) for s in lattice_starts((41, 33, 25), tiling)}
    assert starts == {(z, y, 0) for z in (0, 8, 16) for y in (0, 8)}
    starts = lattice_starts((41, 33, 30), tiling)
    assert {tuple(s) for s in starts} >= {(4, 4, 4), (12, 4, 4), (16, 8, 0)}
    assert (np.diff(starts[:, 0]) >= 0).all()
    assert lattice_starts((9, 9, 9), tiling).tolist() == [[0, 0, 0]]


def test_tiles_are_kept_by_their_centre():
    values = np.zeros((30, 30, 30), np.float32)
    values[12, 12, 12] = values[16, 16, 16] = 1
    tiling = Tiling(25, 8)
    starts = lattice_starts(values.shape, tiling)
    assert keep_centred(values, starts, tiling, 0.5).tolist() == [[0, 0, 0], [4, 4, 4]]


def test_progress_counts_up_and_can_cancel():
    seen = []

    def report(done, total, seconds_left):
        seen.append((done, total))
        assert seconds_left >= 0
        if done == 4:
            raise Cancelled

    tiling = Tiling(8, 8)
    starts = even_starts(((0, 8), (0, 8), (0, 64)), tiling)
    with pytest.raises(Cancelled):
        blend(np.ones((8, 8, 64), np.float32), cubes(starts, tiling), np.ones_like, 2, report)
    assert seen == [(2, 8), (4, 8)]


def test_it_is_deterministic(rng):
    values = rng.uniform(size=(30, 30, 30)).astype(np.float32)
    tiling = Tiling(16, 8)
    starts = even_starts(whole(values.shape), tiling)
    network = Generator(channels=4, blocks=1)
    once, again = (blend(values, cubes(starts, tiling), predictor(network, 16), 4) for _ in range(2))
    np.testing.assert_array_equal(once, again)
