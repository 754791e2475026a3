"""How good the network is on fixed maps that it isn't trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn

from cryomap.enhancement.cubes import Tiling, place_evenly
from cryomap.enhancement.device import choose_precision
from cryomap.enhancement.tiles import blend
from cryomap.networks.attention import LinearSelfAttention
from pairs.datasets import PairCubes
from simulation.experiment import Experiment, simulate
from simulation.settings import Settings
from simulation.structures import Structure

SEES_ALL = (nn.InstanceNorm3d, nn.GroupNorm, LinearSelfAttention)


@dataclass(frozen=True)
class Validated:
    """A map to validate on, all (z, y, x): the input, the target, and where the target is known."""

    observed: Tensor
    target: Tensor
    known: Tensor


@dataclass(frozen=True)
class Scores:
    """Means over the validation maps: correlation with the target in the whole box and where there is target."""

    box: float
    mask: float
    loss: float

    def __str__(self) -> str:
        return f"CC box {self.box:.4f}, in the mask {self.mask:.4f}, mean square {self.loss:.5f}"


def fixed_experiments(
    structures: Sequence[Structure], settings: Settings, count: int, edge: int = 64
) -> list[Experiment]:
    """The same experiments every time, the middle `edge`^3 voxels of each."""
    edge = min(edge, settings.box)
    margin = (settings.box - edge) // 2
    middle = (slice(margin, margin + edge),) * 3
    whole = (simulate(structures, settings, Generator().manual_seed(7_000_000 + i)) for i in range(count))
    return [
        replace(
            e,
            observed=e.observed[middle],
            target=e.target[middle],
            atoms=replace(e.atoms, positions=e.atoms.positions - margin),
        )
        for e in whole
    ]


def of_experiments(experiments: Sequence[Experiment]) -> list[Validated]:
    """Maps whose target is known everywhere."""
    return [Validated(e.observed, e.target, torch.ones_like(e.target)) for e in experiments]


def of_pairs(pairs: PairCubes, count: int) -> list[Validated]:
    """At most `count` prepared cubes, evenly chosen."""
    numbers = torch.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().long().tolist()
    cubes = (pairs[number] for number in numbers)
    return [Validated(o[0], t[0], torch.ones_like(t[0])) for o, t in cubes]


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two 1D tensors."""
    return float(torch.corrcoef(torch.stack([a, b]).double())[0, 1].nan_to_num(0.0))


@torch.no_grad()
def validate(
    network: nn.Module, maps: Sequence[Validated], tiling: Tiling, device: torch.device | str = "cpu"
) -> Scores:
    """Run the network on each, as it is run on maps.

    Where what it gives of a voxel depends on all of a tile (norms, attention), on tiles, here side by side; else on
    the whole map, which is quicker and the same.
    """
    network.eval()
    by_tiles = any(isinstance(module, SEES_ALL) for module in network.modules())
    rows = []
    for m in maps:
        observed = m.observed.float()
        output = _tiled(network, observed, tiling, device) if by_tiles else _whole(network, observed, device)
        part = tuple(slice(n) for n in output.shape)
        target, known = m.target[part], m.known[part].bool()
        there = (target > 0.02) & known
        rows.append(
            (
                correlation(output[known], target[known]),
                correlation(output[there], target[there]),
                float((output[known] - target[known]).square().mean()),
            )
        )
    network.train()
    return Scores(*torch.tensor(rows).mean(dim=0).tolist())


def _whole(network: nn.Module, values: Tensor, device: torch.device | str) -> Tensor:
    """Of the first voxels, as many as divide by 16: what three halvings of a space-to-depth map need."""
    part = tuple(slice(0, max(16, n - n % 16)) for n in values.shape)
    return _run(network, values[part][None, None], device)[0, 0]


def _tiled(network: nn.Module, values: Tensor, tiling: Tiling, device: torch.device | str) -> Tensor:
    def predict(tiles: np.ndarray) -> np.ndarray:
        return _run(network, torch.from_numpy(tiles)[:, None], device)[:, 0].numpy()

    placed = place_evenly(values.numpy(), -math.inf, tiling)
    return torch.from_numpy(blend(values.numpy(), placed, predict, batch=8))


def _run(network: nn.Module, values: Tensor, device: torch.device | str) -> Tensor:
    device = torch.device(device)
    reduced = choose_precision(device) == torch.bfloat16  # float16, elsewhere, can overflow
    values = values.to(device, next(network.parameters()).dtype)
    with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
        return network(values.contiguous(memory_format=torch.channels_last_3d)).float().cpu()


def side_by_side(tile: int, margin: int) -> Tiling:
    """Tiles whose cores don't overlap."""
    return Tiling(tile, tile - 2 * margin, margin, "mean")
