"""The FSC plot: which curves it holds, and that it is cut where they say nothing any more."""

import numpy as np
import pytest
from made_models import crowded_chain

from cryomap.density import DensityMap
from cryomap.grid import Grid
from cryomap.metrics.assess import assess
from cryomap.metrics.plots import COLORS, FscCurve, draw_fsc, fsc_curves

figures = pytest.importorskip("matplotlib.figure")


def drawn(curves):
    axes = figures.Figure().add_subplot()
    draw_fsc(axes, curves)
    return axes


def test_every_curve_has_its_maps_color_and_is_dashed_where_masked():
    d, fsc = [10.0, 5.0, 4.0], [1.0, 0.9, 0.6]
    axes = drawn([FscCurve("a", 0, False, d, fsc), FscCurve("b, masked", 1, True, d, fsc)])
    first, second = (line for line in axes.lines if line.get_label() in ("a", "b, masked"))
    assert (first.get_color(), first.get_linestyle()) == (COLORS[0], "-")
    assert (second.get_color(), second.get_linestyle()) == (COLORS[1], "--")
    np.testing.assert_allclose(first.get_xdata(), [0.1, 0.2, 0.25])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b, masked"]


def test_the_plot_ends_well_beyond_the_last_shell_that_says_something():
    axes = drawn([FscCurve("a", 0, False, [10.0, 5.0, 2.0, 1.0], [1.0, 0.5, 0.1, -0.2])])
    assert axes.get_xlim() == (0, pytest.approx(1.6 / 5))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["40", "20", "10", "7", "5", "4", "3.5"]
    assert axes.get_ylim()[0] == pytest.approx(-0.2)


def test_the_labels_tell_what_a_map_was_compared_with_where_that_differs(rng):
    model = crowded_chain(rng)
    low = model.positions.min(axis=0) - 6
    shape = tuple(int(n) for n in np.ceil(np.ptp(model.positions, axis=0) + 12))[::-1]
    maps = [DensityMap(rng.random(shape, np.float32), Grid(shape, origin=tuple(low)), name) for name in "ab"]
    alone = fsc_curves(assess(maps[:1], model, resolution=4, metrics=["fsc"]), ["#1"])
    assert [curve.label for curve in alone] == ["#1", "#1, masked"]
    both = fsc_curves(assess(maps[:1], model, maps[1], resolution=4, metrics=["fsc"]), ["#1"])
    assert {"#1, with the model", "#1, with the map", "#1, with the model, masked"} <= {c.label for c in both}
