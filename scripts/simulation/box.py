"""The box that everything is simulated in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """A box of 1 A voxels, and its Fourier space in the layout of `torch.fft.rfftn`.

    Attributes:
        shape: (z, y, x).
        device: where its tensors are.
    """

    shape: tuple[int, int, int]
    device: torch.device | str = "cpu"

    @property
    def frequencies(self) -> Tensor:
        """|s| in 1/A of each coefficient."""
        return _frequencies(self)

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """z, y and x of s in 1/A of each coefficient, each to be broadcast."""
        z, y, x = (torch.fft.fftfreq(n, device=self.device) for n in self.shape)
        return z[:, None, None], y[None, :, None], x[None, None, : self.shape[2] // 2 + 1]

    def fourier(self, values: Tensor) -> Tensor:
        """Coefficients of a density (z, y, x)."""
        return torch.fft.rfftn(values)

    def real(self, coefficients: Tensor) -> Tensor:
        """The density (z, y, x) of coefficients."""
        return torch.fft.irfftn(coefficients, s=self.shape)

    def holds(self, positions: Tensor, margin: float = 0.0) -> Tensor:
        """Which of positions (n, 3; z, y, x in A from the first voxel) lie in it, or up to `margin` A outside; bool."""
        last = torch.tensor(self.shape, device=positions.device) - 1
        return ((positions > -margin) & (positions < last + margin)).all(dim=1)


@lru_cache(maxsize=4)  # a training run asks for the same box again and again
def _frequencies(box: Box) -> Tensor:
    return sum(s**2 for s in box.components()).sqrt()
