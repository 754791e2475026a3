"""Devices: what is chosen, what is refused, and what happens when memory is full."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from cryomap.enhancement.device import Predictor, choose_device, choose_precision, describe
from cryomap.errors import InputError

CPU = torch.device("cpu")


class Hungry(nn.Module):
    """Doubles its input, but holds only so many tiles at once."""

    def __init__(self, most: int, error: Exception):
        super().__init__()
        self.most, self.error, self.sizes = most, error, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return x * 2


@pytest.fixture
def tiles(rng):
    return rng.uniform(size=(7, 6, 6, 6)).astype(np.float32)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory: 9")]
)
def test_batches_are_halved_when_memory_is_full(tiles, error, caplog):
    network = Hungry(2, error)
    predict = Predictor(network, CPU, 6, torch.float32)
    predict.batch = 8
    np.testing.assert_array_equal(predict(tiles), tiles * 2)
    assert network.sizes == [7, 4, 2, 2, 2, 1]
    assert predict.batch == 2
    assert "batches of 4" in caplog.text and "batches of 2" in caplog.text


class Slow(nn.Module):
    """Gives back its input, slowly: 1 s for a million voxels, and a second more when it starts."""

    started = False

    def forward(self, x):
        time.sleep(x.numel() * 1e-6 + (not self.started))
        self.started = True
        return x


def test_the_time_expected_is_that_of_its_voxels():
    predict = Predictor(Slow(), CPU, 6, torch.float32)
    assert predict.seconds_for(5_000_000) == pytest.approx(5, rel=0.5)


def test_a_tile_that_does_not_fit_on_the_cpu_is_an_error(tiles):
    predict = Predictor(Hungry(0, MemoryError()), CPU, 6, torch.float32)
    with pytest.raises(MemoryError, match="single tile"):
        predict(tiles)


def test_a_tile_that_does_not_fit_on_the_gpu_goes_to_the_cpu(tiles, caplog):
    predict = Predictor(Hungry(1, RuntimeError("out of memory")), CPU, 6, torch.float32)
    predict.batch = 1
    predict.device = torch.device("cuda")  # as after a move to a GPU, of which there may be none here
    predict._use_less()
    assert predict.device == CPU and "on the CPU" in caplog.text
    np.testing.assert_allclose(predict(tiles), tiles * 2, rtol=1e-2)


def test_other_errors_are_not_swallowed(tiles):
    with pytest.raises(RuntimeError, match="shape"):
        Predictor(Hungry(0, RuntimeError("shape mismatch")), CPU, 6, torch.float32)(tiles)


def test_overflow_of_float16_is_computed_again(tiles, caplog):
    class Large(nn.Module):
        def forward(self, x):
            return x * 1e6 if x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu") else x / 0

    predict = Predictor(Large(), CPU, 6, torch.float16)
    np.testing.assert_allclose(predict(tiles), tiles * 1e6)
    assert predict.precision == torch.float32 and "overflow" in caplog.text


def test_reduced_precision_is_close_to_full(tiles):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.PReLU(), nn.Conv3d(8, 1, 3, padding=1))
    full, reduced = (Predictor(network, CPU, 6, p)(tiles) for p in (torch.float32, torch.bfloat16))
    assert 0 < abs(full - reduced).max() < 0.02


def test_dropout_is_off(tiles):
    network = nn.Sequential(nn.Dropout(0.5)).train()
    np.testing.assert_array_equal(Predictor(network, CPU, 6, torch.float32)(tiles), tiles)


def test_choosing_a_device():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match=r"'tpu'.*auto, cpu, cuda, mps"):
        choose_device("tpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"cuda.*no such GPU"):
        choose_device("cuda")


def test_precision_follows_the_hardware(monkeypatch):
    for amx, avx512, name, expected in [
        (True, True, "Intel(R) Xeon(R) 8480", torch.bfloat16),
        (False, True, "Intel(R) Xeon(R) 8378", torch.float32),
        (False, True, "AMD EPYC", torch.bfloat16),
        (False, False, "AMD EPYC", torch.float32),
    ]:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx, raising=False)
        has = {"avx512_bf16": avx512, "cpu_name": name}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        assert choose_precision(CPU) == expected
    assert choose_precision(torch.device("mps")) == torch.float32
    for capability, expected in [((9, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), torch.float32)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert choose_precision(torch.device("cuda")) == expected
    assert "threads" in describe(CPU)
