"""What users ask for: a B factor and a resolution of the result, another voxel size, a GPU of several."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import save_as, sharpener

from cryomap.batch.files import enhance_file
from cryomap.contour import enclosed_volume
from cryomap.density import DensityMap, read_map, write_map
from cryomap.enhancement import device as device_module
from cryomap.enhancement.device import choose_device
from cryomap.enhancement.filter import filtered
from cryomap.enhancement.methods import load_method
from cryomap.enhancement.trusted import enhance_trusted
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.job import Options

ARCHITECTURE = {"name": "superem", "arguments": {"channels": 2, "blocks": 1, "norm": "none"}}


@pytest.mark.parametrize(
    "grid",
    [
        Grid((48, 40, 36), (0.8, 1.0, 1.3)),
        Grid((40, 40, 40), (1.1, 1.2, 1.0), cell_angles=(80.0, 95.0, 110.0)),
    ],
    ids=["anisotropic", "skewed"],
)
@pytest.mark.parametrize(("b_factor", "low_pass"), [(-60.0, None), (100.0, None), (0.0, 5.0), (-60.0, 4.0)])
def test_a_wave_is_multiplied_as_it_says(grid, b_factor, low_pass):
    """One wave of the box on a constant: its share of the constant changes by the factor at its d, no other does."""
    h, k, el = 5, 3, 4
    z, y, x = np.indices(grid.shape)
    n = grid.shape
    wave = np.cos(2 * np.pi * (h * x / n[2] + k * y / n[1] + el * z / n[0]))
    result = filtered(DensityMap((10 + wave).astype(np.float32), grid), b_factor, low_pass)
    # The reciprocal vector by its definition: h at the ends of the cell's axes.
    cell = (grid.axes * np.array(grid.size)).T
    s = np.linalg.norm(np.linalg.solve(cell, np.array([h, k, el], float)))
    expected = np.exp(-b_factor * s**2 / 4)
    if low_pass is not None:
        expected /= np.sqrt(1 + (low_pass * s) ** 12)
    mean = result.values.mean()
    amplitude = 2 * (result.values * wave).mean() / mean * 10
    assert amplitude == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(result.values / mean, 1 + expected / 10 * wave, atol=1e-4)
    assert result.values.max() == pytest.approx(1) and result.grid == grid


def test_the_result_is_filtered_and_its_contour_goes_along(rng, tmp_path):
    values = rng.uniform(size=(24, 24, 24)).astype(np.float32)
    density = DensityMap(values, Grid(values.shape))
    method = load_method(None, save_as(sharpener(), tmp_path, architecture=ARCHITECTURE), "cpu")
    plain = enhance_trusted(density, method, Options(level=0.6))
    wanted = enhance_trusted(density, method, Options(level=0.6, b_factor=30.0, low_pass=3.0))
    np.testing.assert_allclose(wanted.result.values, filtered(plain.result, 30.0, 3.0).values, atol=1e-6)
    assert wanted.result.values.std() < 0.8 * plain.result.values.std()
    report = wanted.report
    assert enclosed_volume(wanted.result.values, report.contour_out, 1.0) == pytest.approx(
        report.volume, rel=0.01
    )
    assert report.contour_out != plain.report.contour_out and report.trust.lost == plain.report.trust.lost


def test_a_voxel_size_moves_no_voxel_against_the_others(tmp_path):
    """The point that lay at zero stays at its place in the box, whatever the size."""
    grid = Grid((10, 12, 14), (1.0, 1.0, 1.0), (-3.0, 4.0, 7.0))
    write_map(DensityMap(np.ones(grid.shape, np.float32), grid), tmp_path / "m.mrc")
    changed = read_map(tmp_path / "m.mrc", 1.35)
    assert changed.grid.step == (1.35,) * 3 and changed.grid.shape == grid.shape
    np.testing.assert_allclose(changed.grid.origin, 1.35 * np.array(grid.origin))
    np.testing.assert_allclose(changed.grid.to_indices(np.zeros(3)), grid.to_indices(np.zeros(3)))
    assert read_map(tmp_path / "m.mrc").grid == grid


@pytest.mark.parametrize("length", [0, -5, float("nan"), 1e-30])
def test_a_voxel_size_takes_the_place_of_one_never_set(tmp_path, length):
    write_map(DensityMap(np.ones((9, 10, 11), np.float32), Grid((9, 10, 11))), tmp_path / "m.mrc")
    content = bytearray((tmp_path / "m.mrc").read_bytes())
    content[40:52] = np.full(3, length, "<f4").tobytes()
    (tmp_path / "m.mrc").write_bytes(content)
    with pytest.raises(InputError, match=r"voxel size .* set the true one in the header, or give it"):
        read_map(tmp_path / "m.mrc")
    assert read_map(tmp_path / "m.mrc", 1.35).grid == Grid((9, 10, 11), (1.35,) * 3)


def test_a_file_with_a_wrong_voxel_size_is_enhanced_with_the_right_one(rng, tmp_path):
    values = rng.uniform(size=(20, 20, 20)).astype(np.float32)
    grid = Grid(values.shape, (2.0,) * 3, (4.0, 0.0, -6.0))
    write_map(DensityMap(values, grid), tmp_path / "wrong.mrc")
    right = replace(grid, step=(1.2,) * 3, origin=(2.4, 0.0, -3.6))
    write_map(DensityMap(values, right), tmp_path / "right.mrc")
    weights = str(save_as(sharpener(), tmp_path, architecture=ARCHITECTURE))
    enhance_file(
        tmp_path / "wrong.mrc", tmp_path / "a.mrc", Options(weights=weights, device="cpu", voxel_size=1.2)
    )
    enhance_file(tmp_path / "right.mrc", tmp_path / "b.mrc", Options(weights=weights, device="cpu"))
    a, b = read_map(tmp_path / "a.mrc"), read_map(tmp_path / "b.mrc")
    np.testing.assert_allclose(a.values, b.values, atol=2e-3)  # of a network that may run in bfloat16
    np.testing.assert_allclose(a.grid.origin, b.grid.origin, atol=1e-4)
    np.testing.assert_allclose(a.grid.step, 1.2, rtol=1e-5)


def test_one_gpu_of_several(monkeypatch):
    assert Options(device="cuda:1").device == "cuda:1"
    for wrong in ("cuda:", "cuda:x", "gpu", "cuda:1 "):
        with pytest.raises(InputError, match="not one of auto, cpu, cuda, mps"):
            Options(device=wrong)
    monkeypatch.setattr(device_module.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device_module.torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="this machine has 2 CUDA GPUs; the last is cuda:1"):
        choose_device("cuda:2")
    from cryomap.batch.processes import gpus

    assert gpus("cuda:1") == [1] and gpus("cuda") == [0, 1]
    monkeypatch.setattr(device_module.torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="finds no such GPU"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"b_factor": 2000.0}, "b factor 2000"),
        ({"low_pass": 0.5}, "low pass 0.5 A"),
        ({"voxel_size": 0.0}, "voxel size 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Options(**wrong)
