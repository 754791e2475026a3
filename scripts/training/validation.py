"""How good the network is on fixed simulated maps of held-out structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn

from cryomap.enhancement.device import choose_precision
from simulation.experiment import Experiment, simulate
from simulation.settings import Settings
from simulation.structures import Structure


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


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two 1D tensors."""
    return float(torch.corrcoef(torch.stack([a, b]).double())[0, 1].nan_to_num(0.0))


@torch.no_grad()
def validate(
    network: nn.Module, experiments: Sequence[Experiment], device: torch.device | str = "cpu"
) -> Scores:
    """Run the network on the whole of each."""
    network.eval()
    device = torch.device(device)
    reduced = choose_precision(device) == torch.bfloat16  # float16, elsewhere, can overflow
    rows = []
    for e in map(_whole_cells, experiments):
        x = e.observed[None, None].to(device).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
            output = network(x)[0, 0].float().cpu()
        there = e.target > 0.02
        rows.append(
            (
                correlation(output.flatten(), e.target.flatten()),
                correlation(output[there], e.target[there]),
                float(((output - e.target) ** 2).mean()),
            )
        )
    network.train()
    return Scores(*torch.tensor(rows).mean(dim=0).tolist())


def _whole_cells(e: Experiment) -> Experiment:
    """The first voxels of a map, as many of them as divide by 16: what three halvings of a folded map need."""
    part = tuple(slice(0, n - n % 16) for n in e.observed.shape)
    return replace(e, observed=e.observed[part], target=e.target[part])
