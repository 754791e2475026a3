"""The result's sharpness, where weights were trained towards a smoother or sharper one than is wanted."""

from __future__ import annotations

import numpy as np

from .frequencies import frequencies

ORDER = 6  # of the Butterworth filter, as in the training target


def sharpened(values: np.ndarray, b_factor: float, low_pass: float) -> np.ndarray:
    """Raise the amplitudes by exp(b_factor s^2 / 4) and fade detail finer than `low_pass` (Butterworth filter).

    A network trained on mean squares gives the mean of what the map may stand for, and a linear filter of a mean
    is the mean of what is filtered: so a smooth target, which is easier to learn, costs the result no sharpness.

    Args:
        values: a network's output (z, y, x), voxels of 1 A; it isn't changed.
        b_factor: in A^2; below 0 it blurs.
        low_pass: in A; 0 keeps all detail.
    """
    import torch

    if not (b_factor or low_pass):
        return values
    coefficients = torch.fft.rfftn(torch.from_numpy(values))
    for part, s in frequencies(coefficients, values.shape):
        part *= (b_factor * s**2 / 4).exp() / (1 + (low_pass * s) ** (2 * ORDER)).sqrt()
    return torch.fft.irfftn(coefficients, s=values.shape).numpy()
