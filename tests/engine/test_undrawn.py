"""What a network doesn't draw stays where it stands above the contour, against the arithmetic by hand."""

from dataclasses import replace

import numpy as np
import pytest

from cryomap.cli.enhance import _from_input
from cryomap.density import DensityMap
from cryomap.enhancement import run
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.tiles import blend
from cryomap.enhancement.undrawn import bare, with_undrawn
from cryomap.grid import Grid

GRID = Grid((24, 24, 24))


def blob(at, height=1.0, width=2.0):
    z, y, x = np.indices(GRID.shape)
    squared = sum((axis - c) ** 2 for axis, c in zip((z, y, x), at, strict=True))
    return (height * np.exp(-squared / 2 / width**2)).astype(np.float32)


KEPT, DROPPED = blob((8, 8, 8)), blob((16, 16, 16), 0.5)


def test_bare_is_1_where_nothing_is_drawn_and_0_from_a_tenth_of_the_largest_on():
    drawn = np.linspace(0, 5, 101, dtype=np.float32).reshape(101, 1, 1)
    expected = np.interp(drawn, [0, 0.5], [1, 0])
    assert bare(drawn) == pytest.approx(expected, abs=1e-3)
    assert (bare(np.zeros((40, 2, 2), np.float32)) == 1).all()


@pytest.mark.parametrize(("level", "stays"), [(2.0, 0), (1.0, 0), (0.5, 0.5), (0.25, 1), (0.1, 1)])
def test_the_dropped_stays_as_far_as_it_stands_above_the_contour(level, stays):
    """What both hold sets the scale; the other peaks at 0.5: at a contour of 0.5, half of it stays."""
    result = DensityMap(KEPT.copy(), GRID)
    density = DensityMap(40 * (KEPT + DROPPED) + 7, GRID)
    given = density.values.copy()
    mixed, volume = with_undrawn(result, bare(KEPT), density, 40 * level + 7)
    assert mixed.values[16, 16, 16] == pytest.approx(stays * 0.5, abs=5e-3)
    assert mixed.values[8, 8, 8] == 1
    assert volume == pytest.approx(np.count_nonzero(1.01 * level < DROPPED), rel=0.05, abs=1)
    assert np.array_equal(result.values, KEPT) and np.array_equal(density.values, given)


def test_where_the_network_draws_the_result_is_left_alone():
    result = DensityMap(KEPT + 0.6 * DROPPED, GRID)
    mixed, volume = with_undrawn(result, bare(result.values), DensityMap(KEPT + DROPPED, GRID), 0.1)
    drawn = result.values > 0.1 * result.values.max()
    assert np.array_equal(mixed.values[drawn], result.values[drawn]) and drawn[16, 16, 16]
    assert volume < 20  # of the blob's rim


def test_a_contour_within_the_background_brings_nothing_back():
    result = DensityMap(KEPT, GRID)
    assert with_undrawn(result, bare(KEPT), DensityMap(KEPT + DROPPED, GRID), -1.0) == (result, 0.0)


def test_no_artefact_outshines_the_result():
    spike = np.zeros(GRID.shape, np.float32)
    spike[20, 20, 20] = 1000
    mixed, _ = with_undrawn(DensityMap(KEPT, GRID), bare(KEPT), DensityMap(KEPT - 3 + spike, GRID), -2.5)
    assert mixed.values[20, 20, 20] == 1 == mixed.values.max()


def test_another_grid_is_no_matter():
    fine = Grid((48, 48, 48), (0.5, 0.5, 0.5))
    result = DensityMap(np.zeros(fine.shape, np.float32), fine)
    result.values[16, 16, 16] = 1
    mixed, _ = with_undrawn(result, bare(result.values), DensityMap(KEPT + DROPPED, GRID), 0.2)
    assert mixed.values[32, 32, 32] == pytest.approx(0.5, abs=1e-2)


def test_enhance_by_a_card_that_weighs_the_input_fills_what_was_not_drawn(sharpener_weights, monkeypatch):
    """A network that sees one half of a box: the other is the input's."""

    def blind(*given):
        made = blend(*given)
        made[..., 20:] = 0
        return made

    monkeypatch.setattr(run, "blend", blind)
    method = load_method(None, sharpener_weights, "cpu")
    values = np.random.default_rng(0).normal(0, 0.02, (64, 64, 64)).astype(np.float32)
    values[8:32, 8:32, 6:34] += 1
    density = DensityMap(values, Grid(values.shape))
    weighted = replace(method, card=replace(method.card, input_weight=0.1))
    plain, report = run.enhance(density, method, 0.5, resolution=6)
    mixed, told = run.enhance(density, weighted, 0.5, resolution=6)
    assert report.undrawn == 0 and told.undrawn == pytest.approx(24 * 24 * 14, rel=0.1)
    assert mixed.values[20, 20, 28] > 0.7 > 0.1 > plain.values[20, 20, 28]


@pytest.mark.parametrize(("undrawn", "told"), [(0.0, ""), (0.4, ""), (74.4, "74 A^3")])
def test_a_volume_that_rounds_to_nothing_is_not_told(undrawn, told):
    said = _from_input({"detail_from_input": None, "undrawn": undrawn, "preserved": 0.0})
    assert said.startswith(told) and bool(said) == bool(told)


def test_the_contour_shown_changes_nothing(sharpener_weights):
    method = load_method(None, sharpener_weights, "cpu")
    method = replace(method, card=replace(method.card, input_weight=0.1))
    density = DensityMap(
        KEPT + DROPPED + np.random.default_rng(0).normal(0, 0.01, GRID.shape).astype(np.float32), GRID
    )
    made = [run.enhance(density, method, level, resolution=6)[0].values for level in (None, 0.05, 0.4)]
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])
