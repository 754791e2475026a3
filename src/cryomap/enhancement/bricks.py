"""Bricks: boxes of any shape about a map's density, chosen so that the network sees few voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .tiles import Placement

BLOCK = 4  # voxels; density is looked for by the block, and the result reaches at least so far around it
EACH = 30_000  # voxels; what a brick costs beside its own

Box = tuple[np.ndarray, np.ndarray]
"""First block and the one after the last, each z, y, x."""


@dataclass(frozen=True)
class BrickRule:
    """What bricks a network can take, in voxels.

    Attributes:
        margin: outer shell of the output that is thrown away.
        overlap: of neighbours, which fade into each other there.
        multiple: of which every side must be one.
        side: a brick holds no more voxels than a cube of this side.
    """

    margin: int
    overlap: int
    multiple: int
    side: int

    def __post_init__(self) -> None:
        if not (self.margin >= 0 and self.overlap >= 0 and self.multiple > 0):
            raise ValueError(f"margin {self.margin}, overlap {self.overlap}, multiple {self.multiple}")
        if self.side < 2 * self.margin + self.overlap + 2 * BLOCK + self.multiple:
            raise ValueError(f"tiles of {self.side} leave nothing within margins of {self.margin}")

    def sides(self, cores: np.ndarray) -> np.ndarray:
        """Sides of the bricks whose cores are so long."""
        return -(-(cores + 2 * self.margin) // self.multiple) * self.multiple

    def cost(self, blocks: np.ndarray) -> np.ndarray:
        """Voxels that the network sees of bricks whose cores are so many blocks (..., 3); infinite if too many."""
        voxels = self.sides(blocks * BLOCK).astype(float).prod(axis=-1)
        return np.where(voxels > self.side**3, np.inf, voxels + EACH)


def place_bricks(values: np.ndarray, threshold: float, rule: BrickRule) -> Placement:
    """Bricks whose cores hold all values above a threshold and what is within `BLOCK` voxels of them.

    The box about the density is cut in two, and each part again, as long as that saves the network work; what is
    cut off shrinks to its own density.

    Args:
        values: the map (z, y, x).
        threshold: below it there is only noise.
        rule: the bricks allowed.
    """
    near = ndimage.maximum_filter(_blocks_above(values, threshold), 3)
    boxes = _divide(near, np.zeros(3, int), rule) if near.any() else []
    whole = int(np.ceil(np.array(values.shape) / (rule.side - 2 * rule.margin)).prod())
    starts, shapes = [], []
    for box in boxes:
        low = box[0] * BLOCK - _touched(box, boxes, 0) * (rule.overlap // 2)
        high = box[1] * BLOCK + _touched(box, boxes, 1) * (rule.overlap - rule.overlap // 2)
        shapes.append(rule.sides(high - low))
        starts.append((low + high - shapes[-1]) // 2)
    order = np.argsort([start[0] for start in starts], kind="stable")
    return Placement(
        np.array(starts, int).reshape(-1, 3)[order],
        np.array(shapes, int).reshape(-1, 3)[order],
        rule.margin,
        rule.overlap,
        max(whole, len(boxes)),
    )


def _blocks_above(values: np.ndarray, threshold: float) -> np.ndarray:
    """Which blocks hold a value above the threshold; those at the upper faces may reach outside."""
    z, y, x = (-(-n // BLOCK) for n in values.shape)
    blocks = np.zeros((z, y, x), bool)
    padding = [(0, n * BLOCK - size) for n, size in zip((y, x), values.shape[1:], strict=True)]
    for i in range(z):  # a layer of blocks at a time: a mask of the whole map would cost a quarter of it
        plane = (values[i * BLOCK : (i + 1) * BLOCK] > threshold).any(axis=0)
        blocks[i] = np.pad(plane, padding).reshape(y, BLOCK, x, BLOCK).any(axis=(1, 3))
    return blocks


def _divide(near: np.ndarray, corner: np.ndarray, rule: BrickRule) -> list[Box]:
    """Boxes that hold all of `near`, whose first block is at `corner`."""
    occupied = [np.flatnonzero(near.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    low, high = np.array([(o[0], o[-1] + 1) for o in occupied]).T
    near, corner = near[tuple(map(slice, low, high))], corner + low
    cheapest, cut = float(rule.cost(high - low)), None
    for axis in range(3):
        before = _sides_of_layers(near, axis)
        behind = _sides_of_layers(np.flip(near, axis), axis)[::-1]
        touching = before[:, axis] + behind[:, axis] == near.shape[axis]
        for sides in (before, behind):
            sides[:, axis] += touching * rule.overlap / (2 * BLOCK)
        costs = rule.cost(before) + rule.cost(behind)
        if len(costs) and costs.min() < cheapest:
            cheapest, cut = float(costs.min()), (axis, int(costs.argmin()) + 1)
    if cut is None and np.isinf(cheapest):  # no single cut makes both parts small enough
        axis = int(np.argmax(near.shape))
        cut = (axis, near.shape[axis] // 2)
    if cut is None:
        return [(corner, corner + near.shape)]
    axis, at = cut
    front, back = np.split(near, [at], axis)
    return _divide(front, corner, rule) + _divide(back, corner + at * (np.arange(3) == axis), rule)


def _sides_of_layers(near: np.ndarray, axis: int) -> np.ndarray:
    """Sides (n - 1, 3), float, of the smallest boxes about the first 1, 2 ... n - 1 layers along an axis.

    The first layer must hold something.
    """
    layers = np.moveaxis(near, axis, 0)
    sides = np.empty((len(layers) - 1, 3))
    count = np.arange(1, len(layers) + 1)
    sides[:, axis] = np.maximum.accumulate(np.where(layers.any(axis=(1, 2)), count, 0))[:-1]
    for other, summed in zip([a for a in range(3) if a != axis], (2, 1), strict=True):
        seen = np.logical_or.accumulate(layers.any(axis=summed), axis=0)[:-1]
        sides[:, other] = seen.shape[1] - seen.argmax(axis=1) - seen[:, ::-1].argmax(axis=1)
    return sides


def _touched(box: Box, boxes: list[Box], side: int) -> np.ndarray:
    """Whether another box lies against each lower (side 0) or upper (1) face of this one (3,)."""
    others: np.ndarray = np.array(boxes)
    beside = np.minimum(box[1], others[:, 1]) > np.maximum(box[0], others[:, 0])
    meets = box[side] == others[:, 1 - side]
    return np.array([(meets[:, axis] & np.delete(beside, axis, 1).all(axis=1)).any() for axis in range(3)])
