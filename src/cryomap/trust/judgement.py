"""How far an enhanced map can be trusted: the whole judgement, in one call."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..atoms import AtomicModel
from ..contour import default_contour, enclosed_volume, level_for_volume, noise_ceiling
from ..density import DensityMap, values_at
from ..grid import Grid, three_ints
from ..metrics.changes import MoleculeChanges
from .consistency import bring_to_grid, compare, local_correlation
from .lost import Region, invented_regions, lost_regions, threshold
from .names import name_regions
from .noise import find_solvent
from .sites import near_sites, small_molecules

MARGIN = 10.0  # A about the density that are looked at


@dataclass(frozen=True)
class Trust:
    """What a result kept of its input; as JSON it has no arrays.

    Attributes:
        mean_support: the mean of `support` over the result's own density, each voxel by its density: one figure
            whatever the contour.
        resolution: at which the two were compared, in A.
        noise: standard deviation of the input's noise at that resolution.
        threshold: sigma that a region had to pass.
        lost: regions of the input that vanished, the most striking first.
        invented: regions of the result with nothing in the input.
        restored: how many lost regions were filled from the input.
        molecules: what became of the model's ligands, nucleotides and waters; None without a model.
        seconds: what judging and filling took.
        support: local correlation of the input and the result brought back to its resolution, -1..1, on the
            input's grid; 0 far from density.
    """

    mean_support: float = field(metadata={"json": "support"})
    resolution: float
    noise: float
    threshold: float = field(metadata={"json": "threshold_sigma"})
    lost: tuple[Region, ...]
    invented: tuple[Region, ...]
    restored: int = 0
    molecules: MoleculeChanges | None = None
    seconds: float = 0.0
    support: DensityMap | None = field(default=None, metadata={"json": None})

    def region_voxels(self) -> np.ndarray:
        """Voxels of all regions, int32 (n, 4): the region's number, from 1, negative for invented ones; z, y, x."""
        numbered = [*enumerate(self.lost, 1), *((-n, region) for n, region in enumerate(self.invented, 1))]
        parts = [np.insert(region.voxels, 0, number, axis=1) for number, region in numbered]
        return np.concatenate(parts or [np.zeros((0, 4))]).astype(np.int32)

    def with_voxels(self, voxels: np.ndarray) -> Trust:
        """The same after JSON, with voxels from `region_voxels`."""

        def filled(regions: tuple[Region, ...], sign: int) -> tuple[Region, ...]:
            parts = [voxels[voxels[:, 0] == sign * n, 1:] for n in range(1, len(regions) + 1)]
            return tuple(replace(r, voxels=part) for r, part in zip(regions, parts, strict=True))

        return replace(self, lost=filled(self.lost, 1), invented=filled(self.invented, -1))

    def with_confidence(self, confidence: DensityMap, grid: Grid) -> Trust:
        """The same with each region's mean confidence; the least sure of the invented ones comes first.

        Args:
            confidence: a map of it.
            grid: the input's, which the regions' voxels are on.
        """

        def told(region: Region) -> Region:
            found = values_at(confidence, grid.to_xyz(region.voxels[:, ::-1]))
            return replace(region, confidence=round(float(found.mean()), 3))

        invented = sorted(map(told, self.invented), key=lambda region: region.confidence or 0.0)
        return replace(self, lost=tuple(map(told, self.lost)), invented=tuple(invented))


def judge(
    before: DensityMap,
    after: DensityMap,
    *,
    level: float,
    resolution: float | None = None,
    model: AtomicModel | None = None,
    sites: np.ndarray | None = None,
) -> Trust:
    """Compare an enhanced map with its input.

    Args:
        before: the input.
        after: the enhanced map, on any grid in the same frame.
        level: the input's contour level.
        resolution: of the input in A; None takes where the two part in reciprocal space.
        model: names the residues nearest to what was lost or invented.
        sites: x, y, z in A (n, 3) of atoms of ligands and ions, where less convinces; None takes the model's.

    Raises:
        InputError: the two do not overlap, or nothing of the input is above the level.
    """
    solvent = find_solvent(before.values)
    part, start, result = _part_with_density(before, after)
    box = tuple(slice(s, s + n) for s, n in zip(start, part.grid.shape, strict=True))
    levels = (default_contour(before.values), level)
    comparison = compare(part, result, replace(solvent, inside=solvent.inside[box]), levels, resolution)
    if sites is None and model is not None:
        sites = small_molecules(model)
    known = None if sites is None else near_sites(sites, part.grid)
    volume = enclosed_volume(before.values, level, part.grid.voxel_volume)
    hidden = result.values < level_for_volume(result.values, volume, part.grid.voxel_volume)
    lost, invented = lost_regions(comparison, known, hidden), invented_regions(comparison)
    if model is not None:
        lost, invented = (name_regions(found, part.grid, model) for found in (lost, invented))
    local, weight = local_correlation(comparison), result.values.clip(0)
    mean = np.einsum("zyx,zyx->", local, weight, dtype=np.float64) / weight.sum(dtype=np.float64)
    del weight
    support = np.zeros(before.grid.shape, np.float32)
    support[box] = local
    return Trust(
        mean_support=round(float(mean), 4),
        resolution=round(comparison.resolution, 3),
        noise=comparison.noise,
        threshold=round(threshold(comparison), 3),
        lost=_shifted(lost, start),
        invented=_shifted(invented, start),
        support=DensityMap(support, before.grid, f"{before.name} support"),
    )


def _part_with_density(
    before: DensityMap, after: DensityMap
) -> tuple[DensityMap, tuple[int, int, int], DensityMap]:
    """The part of both maps about density, on the input's grid, and its first voxel."""
    result = bring_to_grid(after, before.grid)
    noise = noise_ceiling(before.values, before.grid.voxel_volume)
    shown = (before.values > noise) | (result.values > 0.1 * result.values.max())
    margin = np.ceil(MARGIN / np.array(before.grid.step)[::-1]).astype(int)
    low, high = [], []
    for axis in range(3):
        used = np.flatnonzero(shown.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (used[0], used[-1]) if len(used) else (0, shown.shape[axis] - 1)
        low.append(max(0, int(first) - int(margin[axis])))
        high.append(min(shown.shape[axis], int(last) + 1 + int(margin[axis])))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    start = three_ints(low)
    grid = before.grid.cropped(start, three_ints(b - a for a, b in zip(low, high, strict=True)))
    return (
        replace(before, values=before.values[box], grid=grid),
        start,
        replace(result, values=result.values[box], grid=grid),
    )


def _shifted(regions: tuple[Region, ...], start: tuple[int, int, int]) -> tuple[Region, ...]:
    return tuple(replace(r.rounded(), voxels=r.voxels + np.array(start, np.int32)) for r in regions)
