"""Half maps: the FSC freed of its mask, and local resolution, on maps whose resolution is known."""

import argparse

import numpy as np
import pytest

from cryomap.cli.mapcc import add_parser
from cryomap.density import DensityMap, read_map, write_map
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics.assess import assess
from cryomap.metrics.local_resolution import COARSEST, local_resolution
from cryomap.metrics.phase_randomized import randomized
from cryomap.metrics.plots import fsc_curves

N, STEP = 72, 1.5
GRID = Grid((N,) * 3, (STEP,) * 3)
K = np.meshgrid(np.fft.fftfreq(N, STEP), np.fft.fftfreq(N, STEP), np.fft.rfftfreq(N, STEP), indexing="ij")
S = np.sqrt(sum(k * k for k in K))


def filtered_noise(rng, factor):
    """White noise of unit variance, its amplitudes multiplied by factors of S."""
    return np.fft.irfftn(np.fft.rfftn(rng.normal(size=GRID.shape)) * factor, GRID.shape, axes=(0, 1, 2))


def halves(signal, rng, noise=1.0):
    return [
        DensityMap((signal + noise * rng.normal(size=GRID.shape)).astype(np.float32), GRID, f"half{i}.mrc")
        for i in (1, 2)
    ]


def ball(radius):
    """1 inside, 0 outside, with a hard edge: the worst that a mask can be."""
    z, y, x = np.indices(GRID.shape) - N // 2
    return (z**2 + y**2 + x**2 < radius**2).astype(np.float32)


def test_a_mask_that_makes_correlation_is_found_out(rng):
    """Behind a tight hard mask strong coarse detail leaks into all shells; the true FSC is the known one, in half."""
    first, second = halves(filtered_noise(rng, np.sqrt(1000 / (1 + (10 * S) ** 10))), rng)
    (found,) = assess([first], against=second, metrics=["fsc"], resolution=8, mask=ball(12)).maps
    masked, true = found.curves["fsc_map_masked"], found.curves["fsc_map_true"]
    snr = 1000 / (1 + (10 / true.d) ** 10)
    known, shown = snr / (1 + snr), (true.d < 12) & (true.d > 3.2)
    assert np.abs(masked.fsc - known)[shown].mean() > 0.2
    assert np.abs(true.fsc - known)[shown].mean() < 0.08
    wanted = 10 / (1000 * (1 / 0.143 - 1) - 1) ** 0.1  # where SNR / (1 + SNR) is .143
    assert found.figures["d_fsc_0143_masked"] is None  # it never falls so low
    assert found.figures["d_fsc_0143_true"] == pytest.approx(wanted, rel=0.07)
    coarse = masked.d > 9
    np.testing.assert_array_equal(true.fsc[coarse], masked.fsc[coarse])


def test_what_is_really_there_stays(rng):
    """FSC = SNR / (1 + SNR) by shells, known beforehand; the mask hides nothing of it."""
    power = 100 / (1 + (8 * S) ** 6)
    first, second = halves(filtered_noise(rng, np.sqrt(power)), rng)
    (found,) = assess([first], against=second, metrics=["fsc"], resolution=5, mask=ball(28)).maps
    true = found.curves["fsc_map_true"]
    snr = 100 / (1 + (8 / true.d) ** 6)
    shown = (true.d < 12) & (true.d > 3.2)
    assert np.abs(true.fsc - snr / (1 + snr))[shown].mean() < 0.05
    wanted = 1 / (np.cbrt(np.sqrt(100 * (1 / 0.143 - 1) - 1)) / 8)  # where SNR / (1 + SNR) is .143
    assert found.figures["d_fsc_0143_true"] == pytest.approx(wanted, rel=0.06)


def test_each_curve_has_its_own_note_and_label(rng):
    """Halves that agree to the last shell: no note stands twice, and the freed curve isn't called by its key."""
    first, second = halves(filtered_noise(rng, 100 * np.ones_like(S)), rng)
    found = assess([first], against=second, metrics=["fsc"], resolution=5, mask=ball(28))
    assert len(found.notes) == len(set(found.notes))
    curves = fsc_curves(found, ["#1"])
    assert [curve.label for curve in curves] == ["#1", "#1, masked", "#1, freed of the mask"]
    assert [(curve.masked, curve.corrected) for curve in curves] == [(0, 0), (1, 0), (0, 1)]


def test_random_phases_keep_amplitudes_and_coarse_detail(rng):
    values = rng.normal(size=GRID.shape).astype(np.float32)
    now = randomized(values, GRID, 6.0, np.random.default_rng(1))
    before, after = np.fft.rfftn(values), np.fft.rfftn(now)
    inner = np.ones(before.shape, bool)
    inner[N // 2], inner[:, N // 2], inner[:, :, N // 2] = False, False, False  # Nyquist
    coarse, fine = inner & (S < 1 / 6.01), inner & (S > 1 / 5.99) & (S < 1 / 3.2)
    np.testing.assert_allclose(after[coarse], before[coarse], atol=1e-2)
    np.testing.assert_allclose(np.abs(after[fine]), np.abs(before[fine]), rtol=0.01, atol=1)
    angle = np.angle(after[fine] / before[fine])
    assert abs(np.exp(1j * angle).mean()) < 0.02


def test_local_resolution_tells_two_halves_of_a_box_apart(rng):
    """Detail to 4 A on one side and to 9 A on the other, under the same noise."""
    fine, coarse = filtered_noise(rng, 2 * (S < 1 / 4)), filtered_noise(rng, 4 * (S < 1 / 9))
    side = np.arange(N)[:, None, None] < N // 2
    found = local_resolution(*halves(np.where(side, fine, coarse), rng))
    left, right = (np.median(found.values[part, 10:-10, 10:-10]) for part in (slice(15, 21), slice(51, 57)))
    assert left == pytest.approx(4, rel=0.1) and right == pytest.approx(9, rel=0.15)
    assert found.grid == GRID


def test_local_resolution_is_that_of_the_curve_where_all_is_alike(rng):
    """The FSC falls below 0.5 where the SNR does below 1."""
    power = 100 / (1 + (8 * S) ** 6)
    found = local_resolution(*halves(filtered_noise(rng, np.sqrt(power)), rng))
    wanted = 8 / np.cbrt(np.sqrt(99))
    assert np.median(found.values) == pytest.approx(wanted, rel=0.1)


def test_noise_has_no_resolution(rng):
    found = local_resolution(*halves(np.zeros(GRID.shape), rng), mask=ball(20))
    assert np.median(found.values) > 12
    np.testing.assert_allclose(found.values[ball(20) < 0.5], COARSEST)


def test_half_maps_on_other_grids_are_refused(rng):
    first, second = halves(np.zeros(GRID.shape), rng)
    other = DensityMap(second.values, Grid(GRID.shape, (1.4,) * 3), "half2.mrc")
    with pytest.raises(InputError, match=r"half2.mrc isn't on the grid of half1.mrc"):
        local_resolution(first, other)


def test_half_maps_that_are_refused_leave_no_local_resolution(rng, tmp_path):
    first, second = halves(np.zeros(GRID.shape), rng)
    second.values[3, 4, 5] = np.nan
    for density in (first, second):
        write_map(density, tmp_path / density.name)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    words = ["mapcc", tmp_path / "half1.mrc", "--to", tmp_path / "half2.mrc", "--metrics", "cc"]
    options = parser.parse_args(list(map(str, [*words, "--local-resolution", tmp_path / "local.mrc"])))
    with pytest.raises(InputError, match=r"half2\.mrc: some density values are not finite"):
        options.run(options)
    assert not (tmp_path / "local.mrc").exists()


def test_mapcc_writes_local_resolution(rng, tmp_path, capsys):
    for density in halves(30 * filtered_noise(rng, S < 1 / 8), rng):
        write_map(density, tmp_path / density.name)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    words = ["mapcc", tmp_path / "half1.mrc", "--to", tmp_path / "half2.mrc", "--metrics", "cc"]
    options = parser.parse_args(list(map(str, [*words, "--local-resolution", tmp_path / "local.mrc"])))
    options.run(options)
    found = read_map(tmp_path / "local.mrc")
    assert found.grid.shape == GRID.shape and np.median(found.values) == pytest.approx(8, rel=0.15)
    words = ["mapcc", *[tmp_path / f"half{i}.mrc" for i in (1, 2)], "--to", tmp_path / "half2.mrc"]
    options = parser.parse_args(list(map(str, [*words, "--local-resolution", tmp_path / "local.mrc"])))
    with pytest.raises(InputError, match="takes the two half maps"):
        options.run(options)
