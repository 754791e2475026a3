"""Begin a wider network with a narrower one's weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def widen(wide: nn.Module, narrow: nn.Module) -> None:
    """Let a fresh wide network give what the narrow one gives, its further channels ready to learn.

    The narrow kernels take the corner of the wide ones, and their outputs don't listen to the further channels yet.
    What makes the further channels stays as the wide network was made. A cross-attention that the narrow one hasn't
    got says nothing yet either; one that the wide one hasn't got is left out. (Chen, Goodfellow & Shlens 2016,
    "Net2Net", copy channels instead; copies have to grow apart first.)

    Args:
        wide: a network of the same kind with more channels, changed in place.
        narrow: the trained one.

    Raises:
        ValueError: `wide` is the narrower one.
    """
    trained = narrow.state_dict()
    for name, kernel in wide.state_dict().items():
        old = trained.get(name)
        if old is None:
            if name.endswith("out_proj.weight"):
                kernel.zero_()
            continue
        if any(o > n for o, n in zip(old.shape, kernel.shape, strict=True)):
            raise ValueError(f"{name} {tuple(old.shape)} doesn't fit into {tuple(kernel.shape)}")
        kernel[: len(old)] = 0
        kernel[tuple(slice(n) for n in old.shape)] = old
