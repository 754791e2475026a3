"""The spatial frequencies of a map's Fourier coefficients, a part of the map at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SECTIONS = 32  # so many z sections at a time: |s| of a whole large map would take as much memory as the map


def frequencies(
    coefficients: Tensor, shape: tuple[int, int, int], unit: float = 1.0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some z sections of the coefficients after the others, each with its |s|.

    Args:
        coefficients: `torch.fft.rfftn` of a map with voxels of 1 A. The sections are views: what is written
            into them is written into the coefficients.
        shape: (z, y, x) of the map.
        unit: of |s|, in 1/A.
    """
    import torch

    z, y, x = (torch.fft.fftfreq(n, device=coefficients.device) / unit for n in shape)
    across = y[:, None] ** 2 + x[: shape[2] // 2 + 1] ** 2
    for start in range(0, shape[0], SECTIONS):
        part = slice(start, start + SECTIONS)
        yield coefficients[part], (z[part, None, None] ** 2 + across).sqrt()
