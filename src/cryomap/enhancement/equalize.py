"""Our normalisation of a map's spectrum: every map as sharp as the atoms of a protein at one B factor would make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..grid import three_ints
from .frequencies import frequencies
from .moments import Array, moments

if TYPE_CHECKING:
    from torch import Tensor

SHELL = 0.02  # width of a shell, 1/A
FIRST = 4  # shells below .08 1/A (12.5 A) are solvent and shape, and keep their amplitudes
# Shell amplitudes of proteins whose atoms are Gaussians of sigma .85 A, geometric mean of 30 structures, from
# .08 1/A in steps of SHELL; 1 is the mean of the first two.
PROTEIN = [1.11, 0.888, 0.669, 0.523, 0.457, 0.436, 0.436, 0.411, 0.348, 0.285, 0.234, 0.188, 0.149, 0.119]
PROTEIN += [0.097, 0.079, 0.065, 0.054, 0.044, 0.036, 0.029, 0.023, 0.018, 0.014, 0.011, 0.009, 0.007, 0.006]


def equalized(values: Array, most: float = 40.0, low: float = -1.0, high: float = 2.0) -> Array:
    """Bring the rotationally averaged amplitudes beyond 12.5 A to those of a protein, then scale by `moments`.

    Deposited maps of one resolution differ by a hundredfold in their amplitudes at 4 A, by B factor, filters
    and sharpening alike; a network needn't learn to undo that. What is noise gets no more than a signal's
    amplitude.

    Args:
        values: the map (z, y, x), voxels of 1 A.
        most: largest gain. Beyond its resolution a map holds noise alone, or nothing, and neither is worth having.
        low, high: the result is clipped there.

    Raises:
        ValueError: no positive density.
    """
    import torch

    if isinstance(values, np.ndarray):
        return moments(_equalized(torch.tensor(values), most), low, high).numpy()
    return moments(_equalized(values, most), low, high)


def _equalized(values: Tensor, most: float) -> Tensor:
    import torch

    coefficients = torch.fft.rfftn(values)
    shape = three_ints(values.shape)
    gain = _gains(coefficients, shape, most)
    for part, shell in frequencies(coefficients, shape, SHELL):
        lower = shell.long().clamp(max=len(gain) - 2)
        between = (shell - lower).clamp(0, 1)
        part *= gain[lower] * (1 - between) + gain[lower + 1] * between
    return torch.fft.irfftn(coefficients, s=shape)


def _gains(coefficients: Tensor, shape: tuple[int, int, int], most: float) -> Tensor:
    """Amplitude factors (shells,) at 0, SHELL, 2 SHELL ... 1/A."""
    import torch

    length = FIRST + len(PROTEIN) + 1
    power, count = (torch.zeros(length, dtype=torch.float64, device=coefficients.device) for _ in range(2))
    for part, shell in frequencies(coefficients, shape, SHELL):
        index = shell.round().long().clamp(max=length - 1).flatten()
        squared = (part.real**2 + part.imag**2).double().flatten()
        power += torch.bincount(index, squared, length)
        count += torch.bincount(index, minlength=length)
    amplitude = (power / count.clamp(min=1)).sqrt().float()[FIRST:-1]
    amplitude = amplitude / amplitude[:2].mean().clamp(min=1e-30)
    wanted = torch.tensor(PROTEIN, device=amplitude.device)
    gain = (wanted / amplitude.clamp(min=1e-30)).clamp(max=most)
    ones = torch.ones(FIRST, device=gain.device)
    return torch.cat([ones, gain, gain[-1:]])
