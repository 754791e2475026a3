import itertools

import numpy as np
import pytest
from made_models import crowded_chain
from scipy import fft, signal

from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics import fourier
from cryomap.metrics.fourier import (
    Curve,
    assess_model,
    best_model_cut,
    d99,
    overall_b,
    reflections,
    resolution_at,
    shell_correlation,
    shell_starts,
    smoothed,
    trial_resolutions,
    without_b_factors,
)
from cryomap.simulate import structure_factor_map

GRID = Grid((46, 42, 50), (1.0, 1.1, 0.9))


@pytest.fixture(scope="module")
def spacings():
    return reflections(GRID)


@pytest.mark.parametrize("count", [11, 21, 60])
def test_curves_are_smoothed_as_scipy_does(rng, count):
    values = rng.normal(size=count)
    expected = signal.savgol_filter(values, 21, 2, mode="mirror")
    np.testing.assert_allclose(smoothed(values), expected, atol=1e-12)


def test_reflections_are_one_of_each_pair():
    odd = reflections(Grid((9, 7, 11)))
    assert len(odd.d) == (9 * 7 * 11 - 1) // 2
    even = reflections(Grid((10, 8, 12)))
    assert len(even.d) == (9 * 7 * 11 - 1) // 2
    assert (np.diff(even.d) >= 0).all()
    assert even.d[-1] == pytest.approx(12)
    assert even.d[0] == pytest.approx(((4 / 10) ** 2 + (3 / 8) ** 2 + (5 / 12) ** 2) ** -0.5)


def test_coefficients_are_those_of_the_transform(rng):
    grid = Grid((8, 9, 10))
    values = rng.normal(size=grid.shape).astype(np.float32)
    found = reflections(grid).of_map(values)
    # Parseval: without the mean and the unpaired Nyquist planes, half the energy of the map.
    full = fft.fftn(values)
    full[4] = 0
    full[:, :, 5] = 0
    full[0, 0, 0] = 0
    assert (np.abs(found) ** 2).sum() == pytest.approx((np.abs(full) ** 2).sum() / 2, rel=1e-4)


def test_plane_l0(spacings):
    small = reflections(Grid((6, 8, 10)))
    # l = 0: h from -4 to 4 and k from -3 to 3, half of them, less the origin.
    assert small.in_l0_plane.sum() == (9 * 7 - 1) // 2


def literal_shells(d):
    """The rule of `bins_mixed`, one reflection at a time."""
    shells, first, size = [], 0, len(d)
    i = 0
    while i < size:
        count, left = i - first + 1, size - i - 1
        least = 100 if d[first] > 10 else 250 if d[first] > 5 else 500
        enough = count >= least or left < least
        if enough and (count > least or abs(d[first] - d[i]) > 0.005):
            if left < least:
                shells.append((first, size))
                return shells
            shells.append((first, i + 1))
            first = i + 1
        i += 1
    return shells


@pytest.mark.parametrize("shape", [(46, 42, 50), (30, 30, 30), (20, 21, 64), (12, 12, 12), (7, 6, 5)])
@pytest.mark.parametrize("step", [0.7, 1.5, 4.0])
def test_shells_follow_the_rule_of_the_reference(shape, step):
    d = reflections(Grid(shape, (step,) * 3)).d
    starts = shell_starts(d)
    assert list(itertools.pairwise(starts)) == literal_shells(d)


def test_fsc_of_a_map_with_itself_is_one(spacings, rng):
    coefficients = spacings.of_map(rng.normal(size=GRID.shape))
    assert shell_correlation(coefficients, 3 * coefficients, spacings.d).fsc == pytest.approx(1, abs=1e-6)
    assert shell_correlation(coefficients, -coefficients, spacings.d).fsc == pytest.approx(-1, abs=1e-6)


@pytest.fixture(scope="module")
def large():
    return reflections(Grid((80, 76, 84), (1.0, 1.1, 0.9)))


def test_fsc_of_a_shifted_map_is_known(large, rng):
    values = rng.normal(size=large.grid.shape)
    first, second = (large.of_map(v) for v in (values, np.roll(values, 2, axis=2)))
    curve = shell_correlation(first, second, large.d)
    moved = 2 * np.pi * 2.0 / curve.d
    # The mean of cos over a whole sphere; beyond the coarsest axis's Nyquist limit shells are not whole.
    whole = (curve.d > 2.3) & (curve.d < 7)
    assert whole.sum() > 50
    assert curve.fsc[whole] == pytest.approx((np.sin(moved) / moved)[whole], abs=0.05)


def test_fsc_of_signal_and_noise_is_known(spacings, rng):
    signal = spacings.of_map(rng.normal(size=GRID.shape))
    noise = [spacings.of_map(rng.normal(size=GRID.shape) / 2) for _ in range(2)]
    curve = shell_correlation(signal + noise[0], signal + noise[1], spacings.d)
    assert curve.fsc[curve.d < 5].mean() == pytest.approx(1 / 1.25, abs=0.01)


def test_a_box_too_small_for_shells_is_refused():
    tiny = reflections(Grid((6, 6, 6)))
    coefficients = np.ones(len(tiny.d), complex)
    with pytest.raises(InputError, match="too small"):
        shell_correlation(coefficients, coefficients, tiny.d)


@pytest.mark.parametrize("cutoff", [0.0, 0.143, 0.5])
def test_resolution_is_read_off_a_smooth_curve(cutoff):
    d = 1 / np.linspace(0.02, 0.45, 200)
    curve = Curve(d, 1.2 - 3.1 / d - 1.3 / d**2)
    expected = 1 / max(np.roots([-1.3, -3.1, 1.2 - cutoff]))
    assert resolution_at(curve, cutoff) == pytest.approx(expected, abs=1e-6)


def test_resolution_without_a_crossing_is_none_and_wild_curves_give_their_shell(rng):
    d = 1 / np.linspace(0.02, 0.45, 200)
    assert resolution_at(Curve(d, np.full(200, 0.9)), 0.5) is None
    step = Curve(d, np.where(np.arange(200) < 100, 1.0, 0.0))
    assert resolution_at(step, 0.5) == pytest.approx(d[100], abs=0.25)


def test_d99_is_where_a_hundredth_of_the_correlation_is_lost(spacings):
    coefficients = np.where(spacings.d > 5, 1.0, 0.0) + 0j
    weights = np.where(spacings.in_l0_plane, 0.5, 1.0) * (spacings.d > 5)
    cut = d99(coefficients, spacings)
    kept = lambda d: np.sqrt(weights[spacings.d > d].sum() / weights.sum())  # noqa: E731
    assert kept(cut + 1e-9) < 0.99 <= kept(cut - 1e-6)
    with pytest.raises(InputError, match="same value everywhere"):
        d99(0 * coefficients, spacings)


def test_trial_resolutions():
    found = trial_resolutions(2.57)
    assert found[:4] == pytest.approx([2.6, 2.7, 2.8, 2.9])
    assert {3.0, 6.0, 6.5, 10.0} <= set(found) and not {6.2, 10.1} & set(found)
    assert trial_resolutions(12.4)[[0, -1]] == pytest.approx([13, 40])


def found_for(model, grid, d_min, noise):
    spacings = reflections(grid)
    values = structure_factor_map(model, grid, d_min).values
    values = values + 0.01 * values.std() * noise
    observed, factors = spacings.of_map(values), spacings.of_model(model)
    return assess_model(observed, factors, spacings.of_model(without_b_factors(model)), spacings)


def test_a_map_cut_at_a_resolution_is_recognised(rng):
    grid = Grid((44, 44, 44))
    model = crowded_chain(rng, 16, center=grid.center)
    found = found_for(model, grid, 4.3, rng.normal(size=grid.shape))
    assert found.d_model == pytest.approx(4.3, abs=0.11)
    assert found.d_fsc_model_05 == pytest.approx(4.3, abs=0.15)
    assert found.d_fsc_model_0143 <= found.d_fsc_model_05 + 1e-6
    assert found.curve.fsc[found.curve.d < 3.4] == pytest.approx(0, abs=0.15)


def test_the_overall_b_factor_is_recognised(rng):
    grid = Grid((44, 44, 44))
    model = crowded_chain(rng, 16, center=grid.center)
    model.b_factors[:] = 60.0
    assert found_for(model, grid, 2.1, np.zeros(grid.shape)).b_overall == 60


def test_overall_b_and_cut_follow_their_sums(rng):
    spacings = reflections(Grid((20, 22, 18)))
    model = rng.normal(size=len(spacings.d)) + 1j * rng.normal(size=len(spacings.d))
    observed = model * np.exp(-37.0 / 4 / spacings.d**2) + 0.1 * rng.normal(size=len(spacings.d))
    trials = np.arange(-500, 500, 5)
    scores = [
        (observed * (model * np.exp(-b / 4 / spacings.d**2)).conj()).real.sum()
        / np.linalg.norm(model * np.exp(-b / 4 / spacings.d**2))
        for b in trials
    ]
    assert overall_b(observed, model, spacings.d) == trials[np.argmax(scores)]
    cuts = trial_resolutions(spacings.d[0])
    scores = [
        (observed * model.conj()).real[spacings.d > c].sum() / np.linalg.norm(model[spacings.d > c])
        for c in cuts[cuts < spacings.d[-1]]
    ]
    assert best_model_cut(observed, model, spacings.d) == pytest.approx(cuts[np.argmax(scores)])


def test_smoothing_leaves_low_resolution_alone(large, rng):
    first = large.of_map(rng.normal(size=large.grid.shape))
    second = first + large.of_map(rng.normal(size=large.grid.shape))
    curve = shell_correlation(first, second, large.d)
    starts = shell_starts(large.d)
    raw = [
        (first[a:b] * second[a:b].conj()).real.sum()
        / np.linalg.norm(first[a:b])
        / np.linalg.norm(second[a:b])
        for a, b in itertools.pairwise(starts)
    ][::-1]
    coarse = curve.d > 15
    assert coarse.any() and curve.fsc[coarse] == pytest.approx(np.array(raw)[coarse], abs=1e-6)
    assert np.std(np.diff(curve.fsc[~coarse])) < 0.5 * np.std(np.diff(np.array(raw)[~coarse]))
    assert fourier.shell_correlation(first, first, large.d).d == pytest.approx(curve.d)
