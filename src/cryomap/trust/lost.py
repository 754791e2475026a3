"""Lost and invented density: connected regions where input and result part by more than noise explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from ..grid import three_floats
from .consistency import Comparison
from .noise import significance

# Chosen on 80 simulated maps, those of sites on the 60 of seed 0 of `scripts/benchmark_trust.py`.
VOXEL_SHARES = (0.3, 0.4, 0.5, 0.6)  # of a voxel's density that must be gone, tried one after the other
LEAST_SHARE = 0.5  # of a region's density that must be gone
INVENTED_SHARE = 0.9  # of an invented region's density that the input must lack
LEAST_VOLUME = 0.2  # of a region, in cubes of the resolution
EXTENT_SIGMA = 2.0  # a region reaches as far as its difference exceeds this many sigma
FALSE_ALARMS = 0.02  # that noise may cause in a map, on average
# Where a ligand or ion is known to be less convinces: there are few such places, and the tails of its neighbours
# fill up even what was lost wholly.
SITE_SIGMA = 3.0
SITE_SHARE = 0.35
SITE_VOLUME = 0.1
AT_SITES = 0.25  # of a region's voxels that must be there
HIDDEN = 0.9  # of a region's voxels below the result's contour: whoever looks at it sees nothing there
HIDDEN_VOLUME = 1.0  # the edges of what merely became thinner are smaller
NOISE_WIDTH = (
    0.6  # full width at half maximum of noise cut at a resolution, in resolutions (ball in Fourier space)
)
# Where input and result agree badly, what the result doesn't explain has more outliers than noise.
CONSISTENT = 0.8
CAUTION = 0.6

Least = tuple[float, float, float]
"""What a region must reach to count: peak in sigma, volume in A^3, share."""


@dataclass(frozen=True)
class Region:
    """A connected region of lost or invented density.

    Attributes:
        center: x, y, z in A, weighted by the difference.
        volume: in A^3.
        peak_sigma: the largest difference, in standard deviations.
        share: lost: how much of the input's density there is gone, 0..1; invented: how much of the result's
            the input lacks.
        nearest: the nearest residue, ligand or ion of the model, "/A:301 HEM"; "" without a model.
        kind: of that residue, one of `cryomap.atoms.KINDS`; "" without a model.
        distance: from the region to its nearest atom, in A; None without a model.
        confidence: the mean probability of an atom there, by the result; None where it wasn't calculated.
        voxels: int32 (n, 3), z, y, x on the input's grid.
    """

    center: tuple[float, float, float]
    volume: float
    peak_sigma: float
    share: float
    nearest: str = ""
    kind: str = ""
    distance: float | None = None
    confidence: float | None = None
    voxels: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 3), np.int32),
        repr=False,
        compare=False,
        metadata={"json": None},
    )

    def rounded(self) -> Region:
        """The region with as many digits as mean something, for tables."""
        return replace(
            self,
            center=three_floats(round(x, 3) for x in self.center),
            volume=round(self.volume, 4),
            peak_sigma=round(self.peak_sigma, 4),
            share=round(self.share, 4),
            distance=None if self.distance is None else round(self.distance, 4),
        )


def threshold(comparison: Comparison) -> float:
    """The significance, in sigma, that a difference must pass: noise does in one map out of fifty.

    Raised by 0.6 % for every 0.01 that input and result agree by less than 0.8.
    """
    c = comparison
    volume = float(np.count_nonzero(c.dense)) * c.grid.voxel_volume
    base = significance(volume, NOISE_WIDTH * c.resolution, FALSE_ALARMS)
    return base * (1 + CAUTION * max(0.0, CONSISTENT - c.agreement))


def lost_regions(
    comparison: Comparison, sites: np.ndarray | None = None, hidden: np.ndarray | None = None
) -> tuple[Region, ...]:
    """Regions of the input, above its contour and its noise, of which the result keeps too little.

    A voxel belongs to one if it exceeds the brought-back result by 2 sigma and by 0.3 of itself; a region counts if
    somewhere in it the difference passes `threshold`, half of its density is gone, and it isn't smaller than a
    feature at this resolution. Where a ligand or ion is known to be, 3 sigma and a third of the density do; where
    nothing of the result is left above its contour, 3 sigma and half of the density, in a cube of the resolution.
    What doesn't count as one region is tried again with 0.4, 0.5 and 0.6, since a lost ligand may be joined to places
    that are merely weak.

    Args:
        comparison: of input and result.
        sites: bool (z, y, x), where ligands and ions are known to be, or None.
        hidden: bool (z, y, x), where the result is below its contour, or None.
    """
    c = comparison
    cut, cube = threshold(c), c.resolution**3

    def least(region: Region) -> Least:
        if sites is not None and sites[tuple(region.voxels.T)].mean() >= AT_SITES:
            return SITE_SIGMA, SITE_VOLUME * cube, SITE_SHARE
        if hidden is not None and hidden[tuple(region.voxels.T)].mean() >= HIDDEN:
            return SITE_SIGMA, HIDDEN_VOLUME * cube, LEAST_SHARE
        return cut, LEAST_VOLUME * cube, LEAST_SHARE

    return _regions(c.observed, c.explained, c.dense, c.spread, c, least)


def invented_regions(comparison: Comparison) -> tuple[Region, ...]:
    """Regions where the result, brought back, is above the input's contour and noise, and the input is not.

    What the input would show if the result were right is compared with its noise alone.
    """
    c = comparison
    # At a mask's edge the result may spill over a little; beyond that, what was masked away counts as empty.
    steps = max(1, round(c.resolution / 2 / min(c.grid.step)))
    spill = ndimage.binary_dilation(c.inside, iterations=steps) & ~c.inside
    wanted = ~spill & (c.explained > max(c.level, 3 * c.noise)) & ~c.dense
    least = (threshold(c), LEAST_VOLUME * c.resolution**3, INVENTED_SHARE)
    return _regions(c.explained, c.observed, wanted, (c.spread[0], 0.0), c, lambda _: least)


def _regions(
    whole: np.ndarray,
    left: np.ndarray,
    allowed: np.ndarray,
    spread: tuple[float, float],
    c: Comparison,
    least: Callable[[Region], Least],
) -> tuple[Region, ...]:
    """Connected regions of `whole` of which too little is `left`, see `lost_regions`; the most striking first."""
    density, rest = whole[allowed], left[allowed]
    difference = density - rest
    ratio = difference / np.sqrt(spread[0] + spread[1] * rest.clip(0) ** 2)
    free = np.zeros(allowed.shape, bool)
    free[allowed] = ratio > EXTENT_SIGMA
    regions = []
    for share in VOXEL_SHARES:
        wanted = free.copy()
        wanted[allowed] &= difference > share * density
        labels, count = ndimage.label(wanted, np.ones((3, 3, 3)))
        if count == 0:
            break
        owner = labels[allowed]
        # All are above EXTENT_SIGMA; ndimage.maximum would sort the whole map.
        peaks = np.zeros(count + 1, ratio.dtype)
        np.maximum.at(peaks, owner[owner > 0], ratio[owner > 0])
        boxes = ndimage.find_objects(labels)
        for label in np.flatnonzero(peaks >= SITE_SIGMA):  # nothing less counts anywhere
            box = boxes[label - 1]
            voxels = np.argwhere(labels[box] == label) + [s.start for s in box]
            region = _region(voxels.astype(np.int32), whole, left, float(peaks[label]), c)
            sigmas, volume, share_gone = least(region)
            if region.peak_sigma >= sigmas and region.volume >= volume and region.share >= share_gone:
                regions.append(region)
                free[tuple(voxels.T)] = False
    return tuple(sorted(regions, key=lambda r: -r.peak_sigma * r.volume))


def _region(voxels: np.ndarray, whole: np.ndarray, left: np.ndarray, peak: float, c: Comparison) -> Region:
    at = tuple(voxels.T)
    weights = (whole[at] - left[at]).astype(np.float64)
    center = c.grid.to_xyz(np.average(voxels[:, ::-1], axis=0, weights=weights))
    return Region(
        center=three_floats(center),
        volume=len(voxels) * c.grid.voxel_volume,
        peak_sigma=peak,
        share=float(min(1.0, weights.sum() / whole[at].sum(dtype=np.float64))),
        voxels=voxels,
    )
