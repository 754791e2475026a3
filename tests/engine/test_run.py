"""Enhancing whole maps: where the result lies, what it contains, and which inputs are refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import blobs, save_as, shared
from scipy import ndimage

from cryomap.contour import default_contour, enclosed_volume, level_for_volume, noise_ceiling
from cryomap.density import DensityMap, read_map
from cryomap.enhancement.device import Predictor
from cryomap.enhancement.methods import choose, load_method
from cryomap.enhancement.run import enhance
from cryomap.errors import Cancelled, InputError
from cryomap.grid import Grid
from cryomap.job import Options
from cryomap.networks.checkpoint import load_weights
from cryomap.networks.cryosamu import CryoSAMU

C, S = np.cos(0.4), np.sin(0.4)
TURNED = ((C, -S, 0.0), (S, C, 0.0), (0.0, 0.0, 1.0))
GRIDS = {
    "1.1 A": Grid((40, 42, 44), (1.1,) * 3, (-20.0, 7.0, 100.0)),
    "1.742 A": Grid((26, 25, 27), (1.742,) * 3, (5.0, -60.0, 0.0)),
    "0.5 A": Grid((60, 62, 64), (0.5,) * 3, (3.0, 0.0, 0.0)),
    "anisotropic": Grid((44, 34, 30), (1.4, 1.2, 0.9), (1.0, 2.0, 3.0)),
    "skewed": Grid((40, 40, 40), (1.1, 1.2, 1.0), (4.0, 5.0, 6.0), (80.0, 95.0, 110.0)),
    "skewed and coarse": Grid((24, 24, 24), (1.6, 1.7, 1.5), (4.0, 5.0, 6.0), (80.0, 95.0, 110.0)),
    "rotated": Grid((26, 25, 27), (1.5,) * 3, (5.0, -60.0, 9.0), rotation=TURNED),
    "rotated and skewed": Grid((24, 24, 24), (1.1,) * 3, (4.0, 5.0, 6.0), (80.0, 95.0, 110.0), TURNED),
}


@pytest.fixture(scope="module")
def method(sharpener_weights):
    method = load_method(None, sharpener_weights, "cpu")
    network, _ = load_weights(None, sharpener_weights)
    return replace(method, predictor=Predictor(network, torch.device("cpu"), 32, torch.float32))


def centers_in(grid: Grid) -> np.ndarray:
    """Three points (3, 3) well inside a grid, off its voxels."""
    fractions = np.array([[0.35, 0.4, 0.45], [0.62, 0.55, 0.37], [0.45, 0.65, 0.64]])
    return grid.to_xyz(fractions * (np.array(grid.size) - 1))


def center_of_mass(density: DensityMap) -> np.ndarray:
    """Position (x, y, z) in A."""
    solid = np.where(density.values > 0.1, density.values, 0)
    return density.grid.to_xyz(ndimage.center_of_mass(solid)[::-1])


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_result_lies_on_the_input(grid, method):
    center = centers_in(grid)[0]
    density = blobs(grid, center[None], 2.5)
    before = density.values.copy()
    result, report = enhance(density, method, level=0.3)
    assert np.linalg.norm(center_of_mass(result) - center) < 0.1 * min(grid.step)
    assert result.values.min() >= 0 and result.values.max() > 0.9
    assert result.grid == (grid if max(grid.step) <= 1.25 else grid.cubic(1.0))
    assert report.input_grid == grid and report.output_grid == result.grid
    np.testing.assert_array_equal(density.values, before)


def test_grid_spacing_overrides(method):
    grid = GRIDS["1.1 A"]
    result, _ = enhance(blobs(grid, centers_in(grid), 2.5), method, grid_spacing=1.6)
    assert result.grid == grid.cubic(1.6)
    for spacing in (0.0, -1.0, 9.0, float("nan")):
        with pytest.raises(InputError, match="grid spacing"):
            enhance(blobs(grid, centers_in(grid), 2.5), method, grid_spacing=spacing)


def test_the_network_sees_the_normalised_map(method):
    # The sharpener's formula, applied by hand to a map that is on a 1 A grid already.
    grid = Grid((30, 30, 30))
    density = blobs(grid, centers_in(grid), 3.0)
    density = replace(density, values=7 * density.values - 0.1)
    result, _ = enhance(density, method, level=2.0)
    scaled = density.values.clip(0) / density.values.max()
    expected = (np.tanh(4 * scaled - 3) + 1) / 2
    np.testing.assert_allclose(result.values, expected / expected.max(), atol=0.02)


def test_the_contour_of_the_result_encloses_the_same_volume(method):
    grid = GRIDS["1.742 A"]
    density = blobs(grid, centers_in(grid), 3.0)
    result, report = enhance(density, method, level=0.4)
    expected = np.count_nonzero(density.values >= 0.4) * 1.742**3
    found = np.count_nonzero(result.values >= report.contour_out) * 1.0
    assert report.contour_in == 0.4 and report.volume == pytest.approx(expected)
    assert found == pytest.approx(expected, rel=0.01)


def noisy_box(rng) -> DensityMap:
    """Density in one corner of a large box full of noise."""
    grid = Grid((72, 72, 72))
    density = blobs(grid, np.array([[14.0, 15.0, 14.0], [14.0, 15.0, 20.0], [17.0, 12.0, 9.0]]), 5.0)
    noise = ndimage.gaussian_filter(rng.normal(size=grid.shape), 1)
    return replace(density, values=(density.values + 0.03 * noise / noise.std()).astype(np.float32))


def test_tiles_without_density_above_the_noise_are_not_run(rng, method):
    result, report = enhance(noisy_box(rng), method, level=0.4)
    assert 0 < report.tiles_run <= report.tiles_total / 2
    assert not result.values[48:].any() and result.values[14, 15, 14] > 0.5


def test_a_weaker_contour_than_the_noise_is_respected(rng, method):
    _, strict = enhance(noisy_box(rng), method, level=0.4)
    _, weak = enhance(noisy_box(rng), method, level=0.1)
    assert weak.tiles_run > strict.tiles_run


def test_a_box_smaller_than_a_tile(method):
    grid = Grid((9, 10, 11))
    density = blobs(grid, np.array([[5.0, 4.5, 4.0]]), 2.0)
    result, report = enhance(density, method, level=0.3)
    assert result.grid == grid and report.tiles_run == report.tiles_total == 1
    assert np.unravel_index(result.values.argmax(), grid.shape) in [(4, 4, 5), (4, 5, 5)]


def test_a_mask_limits_the_result(method):
    grid = GRIDS["1.1 A"]
    density = blobs(grid, centers_in(grid), 2.0)
    first, second, _ = centers_in(grid)
    keep = blobs(Grid((30, 30, 30), (2.0,) * 3, tuple(first - 30)), first[None], 5.0)
    mask = replace(keep, values=(keep.values > 0.6).astype(np.float32) * 5, name="mask")
    result, _ = enhance(density, method, mask=mask)
    x, y, z = np.round(grid.to_indices(first)).astype(int)
    assert result.values[z, y, x] > 0.9
    x, y, z = np.round(grid.to_indices(second)).astype(int)
    assert result.values[z, y, x] == 0
    whole, _ = enhance(density, method)
    assert 0 < np.count_nonzero(result.values) < np.count_nonzero(whole.values) / 3


def test_masks_that_can_not_be_used(method):
    density = blobs(GRIDS["1.1 A"], centers_in(GRIDS["1.1 A"]), 2.0)
    elsewhere = DensityMap(np.ones((9, 9, 9), np.float32), Grid((9, 9, 9), origin=(900.0, 0.0, 0.0)), "far")
    with pytest.raises(InputError, match=r"far: the mask doesn't overlap blobs"):
        enhance(density, method, mask=elsewhere)
    spoiled = replace(elsewhere, values=np.where(np.arange(9) > 4, np.nan, elsewhere.values))
    with pytest.raises(InputError, match=r"far: the mask has voxels that are no numbers"):
        enhance(density, method, mask=spoiled)
    with pytest.raises(InputError, match=r"far: a mask needs values above 0"):
        enhance(density, method, mask=replace(elsewhere, values=0 * elsewhere.values))


def labels(shape) -> np.ndarray:
    """A segmentation into eight blocks on an empty background."""
    z, y, x = np.indices(shape)
    numbers = 1 + (z > 20) + 2 * (y > 20) + 4 * (x > 20)
    return np.where((abs(z - 20) < 15) & (abs(y - 20) < 15) & (abs(x - 20) < 15), numbers, 0)


def spoil(values: np.ndarray, value: float) -> np.ndarray:
    values = values.copy()
    values[5, 6, 7] = value
    return values


BOX = Grid((40, 40, 40), (1.2,) * 3)
GOOD = blobs(BOX, centers_in(BOX), 2.5).values
BAD_MAPS = {
    "NaN": (spoil(GOOD, np.nan), BOX, "1 voxels are NaN"),
    "infinite": (spoil(GOOD, np.inf), BOX, "infinite"),
    "constant": (np.full(BOX.shape, 3.0), BOX, "every voxel is 3"),
    "empty": (np.zeros(BOX.shape), BOX, "every voxel is 0"),
    "all negative": (GOOD - 2, BOX, "no positive density"),
    "3 voxels": (GOOD[:3, :3, :3], Grid((3, 3, 3), (1.2,) * 3), "3 x 3 x 3 voxels is too small"),
    "0.3 A": (GOOD, Grid(BOX.shape, (0.3,) * 3), "voxel size 0.3 x 0.3 x 0.3 A"),
    "8 A": (GOOD, Grid(BOX.shape, (8.0,) * 3), "voxel size 8 x 8 x 8 A"),
    "binary mask": (GOOD > 0.2, BOX, "mask or segmentation"),
    "segmentation": (labels(BOX.shape), BOX, "mask or segmentation"),
}


@pytest.mark.parametrize(("values", "grid", "word"), BAD_MAPS.values(), ids=BAD_MAPS.keys())
def test_bad_maps_are_refused(values, grid, word, method):
    with pytest.raises(InputError, match=word) as error:
        enhance(DensityMap(np.asarray(values, np.float32), grid, "bad.mrc"), method)
    assert str(error.value).startswith("bad.mrc: ")


@pytest.mark.parametrize("step", [0.4, 5.0])
def test_the_extremes_of_voxel_size_work(step, method):
    grid = Grid((14, 14, 14), (step,) * 3)
    result, _ = enhance(blobs(grid, grid.center[None], 1.5 * step), method, level=0.4)
    assert result.values.max() > 0.9


@pytest.mark.parametrize("level", [-0.5, 1.5])
def test_a_contour_outside_the_map_is_refused(level, method):
    with pytest.raises(InputError, match="outside the map's range"):
        enhance(DensityMap(GOOD, BOX), method, level=level)


def test_maps_of_whole_numbers_are_not_taken_for_labels(rng, method):
    noisy = 40 * GOOD + rng.normal(size=GOOD.shape)
    result, _ = enhance(DensityMap(np.round(noisy).astype(np.float32), BOX), method)
    assert result.values.max() > 0.9


def test_a_callback_cancels(method):
    def stop(done, total, seconds_left):
        raise Cancelled

    with pytest.raises(Cancelled):
        enhance(DensityMap(GOOD, BOX), method, progress=stop)


def test_it_is_deterministic(method):
    (once, _), (again, _) = (enhance(DensityMap(GOOD, BOX), method) for _ in range(2))
    np.testing.assert_array_equal(once.values, again.values)


@pytest.mark.parametrize(
    ("resolution", "expected", "reason"),
    [
        (None, "superem", "no resolution"),
        (4.5, "superem", "at most"),
        (4.6, "cryosamu", "above"),
    ],
)
def test_the_method_follows_the_resolution(resolution, expected, reason):
    name, why = choose(Options(resolution=resolution))
    assert name == expected and reason in why


def test_cryosamu_runs_too(tmp_path):
    arguments = {"base": 4, "groups": 2, "heads": 2, "attention_pool": [0, 0, 0]}
    card = {
        "architecture": {"name": "cryosamu", "arguments": arguments},
        "normalization": {"name": "cryosamu"},
    }
    weights = save_as(CryoSAMU(**arguments), tmp_path, "cryosamu", tile=32, margin=4, stride=24, **card)
    result, report = enhance(DensityMap(GOOD, BOX), load_method("cryosamu", weights, "cpu"), level=0.3)
    assert report.method == "cryosamu" and result.grid == BOX
    assert np.isfinite(result.values).all() and result.values.max() <= 1


def test_cards_that_can_not_be_run_are_refused(tmp_path, sharpener_weights):
    network, card = load_weights(None, sharpener_weights)
    arguments = card.architecture
    for wrong, word in [({"stride": 99}, "stride 99"), ({"normalization": {"name": "magic"}}, "magic")]:
        path = save_as(network, tmp_path, architecture=arguments, **wrong)
        with pytest.raises(InputError, match=word):
            load_method(None, path, "cpu")


def test_contours(rng):
    values = np.zeros((30, 30, 30), np.float32)
    values[10:20, 10:20, 10:20] = np.linspace(1, 2, 1000).reshape(10, 10, 10)
    assert default_contour(values) == pytest.approx(values.mean() + 1.5 * values.std(), rel=1e-5)
    assert enclosed_volume(values, 1.5, 2.0) == 1000
    assert np.count_nonzero(values >= level_for_volume(values, 500.0, 2.0)) == 250
    assert level_for_volume(values, 1e9, 2.0) == 1.0  # no more than there is
    assert level_for_volume(-values, 10.0, 1.0) == 0.0


def test_the_noise_ceiling_is_that_of_the_solvent(rng):
    noise = rng.normal(2, 0.5, (40, 40, 40)).astype(np.float32)
    noise[:20, :20, :20] += 30  # an eighth of the box is density
    assert noise_ceiling(noise, 1.0) == pytest.approx(2 + 5 * 0.5, rel=0.15)


def test_the_noise_ceiling_of_masked_solvent_is_its_value(rng):
    values = rng.normal(2, 0.5, (40, 40, 40)).astype(np.float32)
    values[20:] = -0.25
    assert noise_ceiling(values, 1.0) == pytest.approx(-0.25, abs=0.01)


def test_a_box_without_solvent_is_not_all_noise(rng):
    values = rng.normal(2, 0.5, (40, 40, 40)).astype(np.float32)
    assert np.mean(values > noise_ceiling(values, 1.0)) == pytest.approx(0.01, rel=0.01)
    assert np.mean(values > noise_ceiling(values, 625.0)) == pytest.approx(20_000 / 40**3 / 625, rel=0.1)


def shift_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where the cross-correlation of two maps (z, y, x) peaks, in voxels, by a parabola along each axis."""
    spectra = [np.fft.rfftn(m - m.mean()) for m in (one, other)]
    correlation = np.fft.irfftn(spectra[0] * spectra[1].conj(), one.shape, axes=(0, 1, 2))
    peak = np.unravel_index(correlation.argmax(), one.shape)
    shift = []
    for axis, index in enumerate(peak):
        below, here, above = (np.roll(correlation, d, axis)[peak] for d in (1, 0, -1))
        offset = index + 0.5 * (below - above) / (below - 2 * here + above)
        shift.append((offset + one.shape[axis] / 2) % one.shape[axis] - one.shape[axis] / 2)
    return np.array(shift)


def test_a_real_map_stays_where_it_is(method):
    density = read_map(shared("data", "maps", "emd_5168.map.gz"))
    start, shape = (30, 30, 30), (40, 40, 40)
    crop = DensityMap(density.values[30:70, 30:70, 30:70], density.grid.cropped(start, shape), "crop")
    result, _ = enhance(crop, method, grid_spacing=crop.grid.step[0])
    assert result.grid.shape == crop.grid.shape
    masked = np.where(crop.values > 5, crop.values, 0)
    assert abs(shift_between(masked, result.values)).max() < 0.1


def test_the_time_it_will_take_is_told_before_the_first_tile(method, caplog):
    density = blobs(BOX, centers_in(BOX)[:1], 2.5)
    told = []
    with caplog.at_level("INFO", "cryomap"):
        enhance(density, method, level=0.3, progress=lambda *_: told.append(caplog.text))
    assert re.search(r"tiles hold density; about \d+ s", told[0])
