"""Which processor runs the network, at what precision, and what to do when its memory is full."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from ..errors import InputError, is_out_of_memory

# Voxels a batch starts with. More doesn't help a CPU, whose caches are small; a GPU wants to be filled.
BATCH_VOXELS = {"cpu": 2**17, "cuda": 2**22, "mps": 2**20}
PROBE = 32  # voxels; edge of the tile that is timed

log = logging.getLogger(__name__)


def choose_device(wanted: str = "auto") -> torch.device:
    """The device of that name, of several GPUs the first or, as "cuda:1", a later; "auto" is CUDA, MPS or the CPU.

    Raises:
        InputError: unknown name, or a GPU that isn't there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    kind, _, number = wanted.partition(":")
    if kind == "cuda" and number.isdecimal() and present["cuda"]:
        count = torch.cuda.device_count()
        if int(number) >= count:
            last = f"cuda:{count - 1}"
            raise InputError(f"device {wanted!r}: this machine has {count} CUDA GPUs; the last is {last}")
        return torch.device(wanted)
    if wanted not in present and not (kind == "cuda" and number.isdecimal()):
        raise InputError(f"device {wanted!r}: not one of {', '.join(('auto', *present))}")
    if not present[kind]:
        raise InputError(
            f"device {wanted!r}: PyTorch {torch.__version__} finds no such GPU here; use device auto or cpu"
        )
    return torch.device(wanted)


def choose_precision(device: torch.device) -> torch.dtype:
    """The fastest number format that the device has hardware for and that the networks bear."""
    if device.type == "cuda":
        generation = torch.cuda.get_device_capability(device)[0]
        # Tensor cores: float16 from Volta (7) on, bfloat16, which can't overflow, from Ampere (8) on.
        return torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else torch.float32
    if device.type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def _cpu_has_bfloat16() -> bool:
    if getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)():
        return True
    # AVX512's bfloat16 is twice as fast as float32 on AMD's cores; on Intel's superem took 1.6 times as long.
    has: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(has.get("avx512_bf16")) and "AMD" in str(has.get("cpu_name"))


def describe(device: torch.device) -> str:
    """The device in words, for the log."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


class Predictor:
    """Runs a network on batches of tiles, and makes do with the memory there is.

    A batch that doesn't fit is halved; a single tile that doesn't fit goes to the CPU, and so do all later
    ones. Results that float16 can't hold are computed again in float32. Each such step is logged once.

    Attributes:
        device: where the network is now.
        precision: the number format it computes in now.
        batch: how many tiles it takes at once now.
        network: what runs.
        cpu_seconds: processor time spent in the network so far, all threads together.
    """

    def __init__(
        self, network: nn.Module, device: torch.device, tile: int, precision: torch.dtype | None = None
    ):
        self.device = device
        self.precision = choose_precision(device) if precision is None else precision
        self.batch = max(1, BATCH_VOXELS[device.type] // tile**3)
        self.cpu_seconds = 0.0
        network = network.eval().to(device=device)
        # torch's stubs don't know memory_format.
        self.network = network.to(memory_format=_layout(device))  # type: ignore[call-overload]

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Tiles (n, z, y, x) float32 to the same shape.

        Raises:
            MemoryError: not even one tile fits into the CPU's memory.
        """
        begun = time.process_time()
        outputs: list[np.ndarray] = []
        while (done := sum(len(output) for output in outputs)) < len(tiles):
            try:
                outputs.append(self._run(tiles[done : done + self.batch]))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._use_less()
        self.cpu_seconds += time.process_time() - begun
        return np.concatenate(outputs)

    def seconds_for(self, voxels: int) -> float:
        """What it will take to run the network on so many voxels, from the time of a small tile."""
        tile = np.zeros((1, PROBE, PROBE, PROBE), np.float32)
        self(tile)  # the first run of all also sets up what the library wants
        begun = time.monotonic()
        self(tile)
        return (time.monotonic() - begun) * voxels / tile.size

    def _run(self, tiles: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(tiles)[:, None].to(device=self.device, memory_format=_layout(self.device))
        full = self.precision == torch.float32
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
            nullcontext() if full else torch.autocast(self.device.type, self.precision),
        ):
            output = self.network(inputs)[:, 0].float()
        if self.precision == torch.float16 and not torch.isfinite(output).all():
            log.warning("float16 overflowed; continuing in float32")
            self.precision = torch.float32
            return self._run(tiles)
        return output.cpu().numpy()

    def _use_less(self) -> None:
        if self.batch > 1:
            self.batch //= 2
            log.warning("out of memory on %s: tiles in batches of %d now", self.device.type, self.batch)
        elif self.device.type != "cpu":
            log.warning("out of memory on %s, even for one tile: continuing on the CPU", self.device.type)
            self.device = torch.device("cpu")
            self.precision = choose_precision(self.device)
            self.network.to(self.device)
        else:
            raise MemoryError("not enough memory for a single tile")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _layout(device: torch.device) -> torch.memory_format:
    return torch.contiguous_format if device.type == "mps" else torch.channels_last_3d
