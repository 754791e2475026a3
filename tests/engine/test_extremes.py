"""Values that no map has, and maps, masks and halves that don't belong together: tamed, or refused by name."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from conftest import blobs
from scipy import ndimage

from cryomap.density import DensityMap, in_range, mask_on, read_map, write_map
from cryomap.enhancement.prepare import prepare
from cryomap.errors import InputError, is_out_of_memory, memory_for
from cryomap.grid import Grid
from cryomap.hot_voxels import hot_voxels, without_hot_voxels
from cryomap.metrics.assess import assess
from cryomap.metrics.fourier import Curve, reflections, resolution_at, shell_correlation
from cryomap.metrics.local_resolution import local_resolution
from cryomap.trust.halves import warn_of_halves
from cryomap.trust.input_verdict import examine

GRID = Grid((32, 34, 36), (1.3, 1.3, 1.3), (13.0, 26.0, 39.0))


@pytest.fixture
def density(rng):
    clean = blobs(GRID, GRID.center + rng.uniform(-8, 8, (9, 3)), 2.0)
    return replace(
        clean, values=(clean.values + rng.normal(0, 0.02, GRID.shape)).astype(np.float32), name="in.mrc"
    )


@pytest.mark.parametrize("height", [1e3, -1e3, 1e5, 1e20])
def test_a_hot_voxel_is_named_and_tamed(density, height, caplog):
    plain = prepare(density)
    values = density.values.copy()
    values[3, 4, 5] = height * density.values.std()
    with caplog.at_level(logging.WARNING):
        prepared = prepare(replace(density, values=values))
    assert "in.mrc: the voxel x, y, z = 5, 4, 3" in caplog.text
    assert prepared.level == pytest.approx(plain.level, rel=1e-2)
    assert abs(prepared.density.values - density.values).max() < 0.1 and values[3, 4, 5] != 0


def test_density_holds_no_hot_voxels(density, rng):
    sharpest = ndimage.gaussian_filter(rng.normal(size=(30, 30, 30)), 0.5).astype(np.float32)
    point = np.zeros((20, 20, 20), np.float32)
    point[10, 10, 10] = 1
    for values in (density.values, sharpest, ndimage.gaussian_filter(point, 0.8)):
        assert not hot_voxels(values)
    assert hot_voxels(point) == [(10, 10, 10)]
    tamed, told = without_hot_voxels(DensityMap(point, Grid((20, 20, 20)), "p.mrc"))
    assert not tamed.values.any() and told.startswith("p.mrc: the voxel x, y, z = 10, 10, 10 (1)")


@pytest.mark.parametrize("also", [(0, 0, 1), (1, -1, 1), (0, 1, 0)])
def test_hot_voxels_that_touch_are_named_together(density, also):
    values = density.values.copy()
    places = [(3, 4, 5), tuple(np.add((3, 4, 5), also))]
    for place, height in zip(places, (1e4, 3e3), strict=True):
        values[place] = height * values.std()
    tamed, told = without_hot_voxels(replace(density, values=values))
    assert sorted(hot_voxels(values)) == sorted(places) and "the voxels x, y, z = " in told
    assert abs(tamed.values - density.values).max() < 0.1


@pytest.mark.parametrize("sigmas", [1e3, 1e5])
def test_a_hot_voxel_spoils_no_correlation(density, rng, sigmas):
    """Of a map with another: figures as without it, and a note that names the voxel."""
    noise = rng.normal(0, 0.05, GRID.shape).astype(np.float32)
    other = replace(density, values=density.values + noise, name="other.mrc")
    values = density.values.copy()
    values[3, 4, 5] = sigmas * values.std()
    hot = replace(density, values=values, name="hot.mrc")
    plain, now, against = (
        assess([one], against=two, resolution=5, metrics=["cc", "fsc"])
        for one, two in ((density, other), (hot, other), (other, hot))
    )
    for spoiled in (now, against):
        found = spoiled.maps[0].figures["map_cc"]
        assert found == pytest.approx(plain.maps[0].figures["map_cc"], abs=1e-3) and found > 0.5
        assert any("hot.mrc: the voxel x, y, z = 5, 4, 3 (" in note for note in spoiled.notes)
    assert not any("voxel x" in note for note in plain.notes)


@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e10, 1e30])
def test_the_scale_of_a_map_changes_nothing(density, factor):
    plain = prepare(density)
    scaled = replace(density, values=density.values * np.float32(factor))
    prepared = prepare(scaled)
    result = blobs(prepared.grid, GRID.center[None], 3.0)
    told, expected = prepared.contours(result), plain.contours(result)
    assert told["contour_in"] == pytest.approx(expected["contour_in"] * factor, rel=1e-4)
    assert told["volume"] == pytest.approx(expected["volume"], rel=0.01)
    again = prepare(scaled, level=told["contour_in"])
    assert again.level * again.unit == pytest.approx(told["contour_in"])
    assert in_range(density) == (density, 1.0)
    given = {"trained": (3.0, 6.0), "method": "superem", "resolution": 5.0}
    kinds = [[w.kind for w in examine(m, 0.0, **given)] for m in (density, scaled)]
    assert kinds[0] == kinds[1]
    local = [local_resolution(m, m).values for m in (density, scaled)]
    np.testing.assert_allclose(*local, rtol=1e-4)
    compared = assess([scaled], against=density, resolution=5, metrics=["cc", "fsc"])
    assert compared.maps[0].figures["map_cc"] == pytest.approx(1, abs=1e-4)
    assert "divided" in " ".join(compared.notes) and compared.to_json()


@pytest.mark.parametrize("level", [float("nan"), float("inf"), 1e9])
def test_a_level_that_encloses_next_to_nothing(density, level):
    for each in (level, float(np.sort(density.values, axis=None)[-5])):
        with pytest.raises(InputError, match=r"in\.mrc: contour level"):
            prepare(density, level=each)


def test_a_mask_that_does_not_belong(density):
    ones = np.ones(GRID.shape, np.float32)
    wrong = DensityMap(ones, replace(GRID, step=(1.0, 1.0, 1.0)), "mask.mrc")
    with pytest.raises(InputError, match=r"mask\.mrc: has the voxels of in\.mrc, but 1 x 1 x 1 A"):
        prepare(density, mask=wrong)
    mask_on(DensityMap(np.ones((30, 30, 30), np.float32), Grid((30,) * 3, origin=GRID.origin), "other"), density)
    off = DensityMap((density.values <= 0).astype(np.float32), GRID, "mask.mrc")
    empty = replace(density, values=np.maximum(density.values, 0))
    with pytest.raises(InputError, match=r"mask\.mrc: leaves no density of in\.mrc"):
        prepare(empty, mask=off)


def test_halves_that_are_none(density, rng):
    one, two = (
        replace(
            density, values=density.values + rng.normal(0, 0.05, GRID.shape).astype(np.float32), name=name
        )
        for name in "ab"
    )
    assert warn_of_halves(one, two) is None
    same, opposite = (warn_of_halves(one, other) for other in (one, replace(two, values=-two.values)))
    assert "a and a are the same map" in same.message and same.is_grave
    assert "a and b anticorrelate (-0." in opposite.message and -1 < opposite.value < -0.5
    outside = density.values < 0.1 * density.values.max()
    cut = [replace(half, values=np.where(outside, np.float32(0), half.values)) for half in (one, two)]
    masked = warn_of_halves(*cut)
    assert masked.kind == "masked halves" and not masked.is_grave
    assert masked.value == pytest.approx(outside.mean(), abs=0.02) and "a and b are masked, " in masked.message


def test_maps_apart_are_refused(density):
    away = replace(density, grid=replace(GRID, origin=(500.0, 0.0, 0.0)), name="away.mrc")
    with pytest.raises(InputError, match=r"away\.mrc does not overlap in\.mrc"):
        assess([density], against=away, resolution=5, metrics=["cc", "fsc"])


def test_a_curve_that_never_falls_is_said_to_be_finer_than_the_grid(density):
    found = assess([density], against=density, resolution=5, metrics=["fsc"])
    assert found.maps[0].figures["d_fsc_0143"] is None
    assert any("d_fsc_0143 and d_fsc_05 finer than" in note for note in found.notes)


@pytest.mark.parametrize("seed", range(4))
def test_noise_resolves_nothing(seed):
    rng, grid = np.random.default_rng(seed), Grid((40, 40, 40), (1.2,) * 3)
    spacings = reflections(grid)
    first, second = (
        spacings.of_map(ndimage.gaussian_filter(rng.normal(size=grid.shape), 0.5)) for _ in range(2)
    )
    for sign in (1, -1):
        curve = shell_correlation(first, sign * second, spacings.d)
        for cutoff in (0.143, 0.5):
            below = np.flatnonzero(curve.fsc < cutoff)[0]
            assert resolution_at(curve, cutoff) >= curve.d[below]


def test_a_resolution_lies_between_the_shells_about_the_crossing():
    d = np.linspace(20, 3, 60)
    steep = Curve(d, np.where(d > 7, 0.9, 0.05) + 0.01 * np.cos(d))
    below = np.flatnonzero(steep.fsc < 0.143)[0]
    assert d[below] <= resolution_at(steep, 0.143) <= d[below - 1]
    assert resolution_at(Curve(d, np.zeros(60)), 0.143) == d[0]


@pytest.mark.parametrize("constant", [0.3, 5.0, -40.0])
def test_a_constant_does_not_change_masked_figures(density, rng, constant):
    spacings = reflections(GRID)
    distance = np.sqrt(((np.indices(GRID.shape).T - np.array(GRID.shape) / 2) ** 2).sum(-1)).T
    for mask in (1 / (1 + np.exp(distance - 11)), (distance < 11) * 1.0):
        plain = spacings.of_masked(density.values, mask)
        shifted = spacings.of_masked(density.values + np.float32(constant), mask)
        assert abs(plain - shifted).max() < 1e-4 * abs(plain).max() * max(1, abs(constant))
    noise = [rng.normal(size=GRID.shape) + constant for _ in range(2)]
    one, two = (spacings.of_masked(values, (distance < 11) * 1.0) for values in noise)
    assert abs(shell_correlation(one, two, spacings.d).fsc).max() < 0.5


def test_out_of_memory_names_what_for_in_whatever_words_it_comes():
    torch_says = (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
    )
    for error in (MemoryError(), RuntimeError(torch_says), RuntimeError("CUDA out of memory.")):
        with pytest.raises(MemoryError, match=r"in\.mrc, 9 voxels"), memory_for("in.mrc, 9 voxels"):
            raise error
    with pytest.raises(RuntimeError, match="other"), memory_for("in.mrc"):
        raise RuntimeError("other")
    assert not is_out_of_memory(ValueError("no"))


def test_out_of_memory_while_a_map_is_read_names_the_map(tmp_path, density, monkeypatch):
    def read_at_most(_file, _most):
        raise MemoryError

    write_map(density, tmp_path / "in.mrc")
    monkeypatch.setattr("cryomap.density.read_at_most", read_at_most)
    with pytest.raises(MemoryError, match=r"in\.mrc, 36 x 34 x 32 voxels"):
        read_map(tmp_path / "in.mrc")
