"""Our normalisation: the scale of the strong density, whatever else is in the box."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")


def moments(values: Array, low: float = -0.5, high: float = 2.0) -> Array:
    """Divide by sqrt(sum v^6 / sum v^4) over positive v, and clip to low..high.

    Empty solvent adds nothing to either sum and weak noise hardly does, so that the scale is the same for a
    chain cut out with a zone mask and for the whole box. Weak negative density is kept: it tells the noise.

    Raises:
        ValueError: no positive density.
    """
    highest = float(values.max())
    if not highest > 0:
        raise ValueError("no positive density")
    fourth = sixth = 0.0
    for section in values:  # one at a time: powers of a whole large map would take several times its memory
        squared = (section.clip(0) / highest) ** 2
        fourth += float((squared**2).sum())
        sixth += float((squared**3).sum())
    scale = highest * (sixth / fourth) ** 0.5
    return (values / scale).clip(low, high)
