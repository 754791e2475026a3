"""Density that the model leaves out: neighbours, a micelle, a part that wasn't built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..atoms import AtomicModel
from ..density import DensityMap
from ..grid import Grid, three_floats
from .masks import spheres

DISTANCE = 5.0  # A; at the usual contours density doesn't reach farther from the atoms that make it
LEAST_VOLUME = 500.0  # A^3; half a dozen residues
MOST_REGIONS = 10


@dataclass(frozen=True)
class Region:
    """One piece of density without a model.

    Attributes:
        center: x, y, z in A, its centre of mass.
        volume: in A^3.
    """

    center: tuple[float, float, float]
    volume: float


@dataclass(frozen=True)
class Unmodelled:
    """Density above a contour that lies farther than `distance` from every atom.

    Attributes:
        share: of the volume above the contour; nan where nothing is.
        regions: connected pieces of `LEAST_VOLUME` or more, the `MOST_REGIONS` largest, the largest first.
        distance: in A.
    """

    share: float
    regions: tuple[Region, ...]
    distance: float


def unmodelled(density: DensityMap, model: AtomicModel, level: float, resolution: float) -> Unmodelled:
    """What a map shows above a contour and the model does not explain.

    Args:
        density: the map.
        model: atoms in its frame.
        level: the contour.
        resolution: in A; the coarser, the farther density reaches from its atoms.
    """
    grid, distance = density.grid, max(DISTANCE, resolution)
    above = density.values > level
    count = int(above.sum())
    if not count:
        return Unmodelled(float("nan"), (), distance)
    above &= ~_near(model, density, distance)
    share = int(above.sum()) / count
    labels, _ = ndimage.label(above, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:] * grid.voxel_volume
    largest = [i for i in np.argsort(-sizes, kind="stable")[:MOST_REGIONS] if sizes[i] >= LEAST_VOLUME]
    places = centers(labels, [i + 1 for i in largest], grid)
    regions = (Region(place, float(sizes[i])) for i, place in zip(largest, places, strict=True))
    return Unmodelled(share, tuple(regions), distance)


def centers(labels: np.ndarray, numbers: Iterable[int], grid: Grid) -> list[tuple[float, float, float]]:
    """Centers of mass (x, y, z in A) of some labelled regions (int, z, y, x); scipy's take four maps' memory."""
    boxes, found = ndimage.find_objects(labels), []
    for number in numbers:
        box = boxes[number - 1]
        center = np.argwhere(labels[box] == number).mean(axis=0) + [part.start for part in box]
        found.append(three_floats(grid.to_xyz(center[::-1])))
    return found


def _near(model: AtomicModel, density: DensityMap, distance: float) -> np.ndarray:
    """Voxels within a distance (A) of an atom, bool (z, y, x); the box is not periodic."""
    grid = density.grid
    start, shape = grid.part_about(model.positions, distance + 2 * max(grid.step))
    part = spheres(model.positions, distance, grid.cropped(start, shape))
    low, high = np.maximum(start, 0), np.minimum(np.add(start, shape), grid.shape)
    found = np.zeros(grid.shape, bool)
    inner = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    found[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = part[inner]
    return found
