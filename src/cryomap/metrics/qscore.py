"""Q-scores: how well each atom is resolved in a map (Pintilie et al. 2020; the program mapq)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..atoms import AtomicModel
from ..density import DensityMap

SIGMA = 0.6
SHELLS = np.arange(1, 21) / 10
POINTS = 8
RETRIES = 50
# A point is the atom's own if no other atom lies within 0.9 of its distance from the atom.
NEARNESS = 0.9
# Which retries are tried together: few at first, since most atoms succeed early.
BATCHES = (0, 1, 3, 7, 15, 27, 38, RETRIES)
# Products a chunk: they fit the cache, and are too few for BLAS to start threads that wait for each other.
CHUNK = 80_000


def q_scores(density: DensityMap, model: AtomicModel, sigma: float = SIGMA) -> np.ndarray:
    """Q of each atom, float64 (n,); nan for hydrogens, 0 where the density about an atom is constant.

    Pearson correlation of the map's trilinear values with exp(-r^2 / 2 sigma^2) over points about the atom:
    its centre, counted 8 times, and on spheres of 0.1, 0.2 ... 2.0 A those of 8 spiral points that no other
    atom is near; where fewer than 8 are left, of 10, 12 ... 106 points; none where those don't do either
    (`QscoreG` of mapq). The height and offset of the reference Gaussian cancel out.

    The branches taken: mapq's pseudocode tries N + 1, N + 2 ..., its program N + 2, N + 4 ..., and so does
    this. `cctbx.maptbx.qscore` never retries and leaves out the centre. Atoms of another alternate
    conformation are no neighbours here; in mapq they are in each other's way.

    Args:
        density: the map; the density outside its box is 0.
        model: atoms in the frame of the map.
        sigma: width of the reference Gaussian in A; 0.6 is the publication's, EMDB reports 0.4.
    """
    scores = np.full(len(model), np.nan)
    heavy = np.flatnonzero(model.atomic_numbers != 1)
    if len(heavy):
        scores[heavy] = _scores(density, model.subset(heavy), sigma)
    return scores


def expected_q(resolution: float) -> float:
    """Mean Q (sigma 0.6) of well-built models in maps of this resolution (A): mapq's cubic fit to EMDB."""
    return float(np.polyval([-0.0019064058, 0.0499875375, -0.4513945578, 1.5361860733], resolution))


def _scores(density: DensityMap, atoms: AtomicModel, sigma: float) -> np.ndarray:
    """Q of every atom, hydrogens already left out."""
    # Directions as steps of the grid, so that points come out in voxels.
    steps = np.einsum("ij,nj->ni", np.linalg.inv(density.grid.axes), _spirals())
    indices = density.grid.to_indices(atoms.positions)
    centre = _interpolate(density.values, indices)
    neighbours = _neighbours(atoms)
    count = np.full(len(atoms), float(POINTS))
    g_sum, gg_sum = count.copy(), count.copy()
    d_sum, dd_sum, dg_sum = np.zeros((3, len(atoms)))
    for radius in SHELLS:
        owners, directions = neighbours.points(radius)
        points = indices[owners] + radius * steps[directions]
        # Less the density at the centre: it leaves the correlation alone and keeps the sums small.
        d = _interpolate(density.values, points) - centre[owners]
        g = np.exp(-0.5 * (radius / sigma) ** 2)
        n = np.bincount(owners, minlength=len(atoms))
        shell_sum = np.bincount(owners, d, len(atoms))
        count += n
        g_sum += n * g
        gg_sum += n * g * g
        d_sum += shell_sum
        dd_sum += np.bincount(owners, d * d, len(atoms))
        dg_sum += shell_sum * g
    g_variance = gg_sum - g_sum**2 / count
    d_variance = dd_sum - d_sum**2 / count
    spread = np.sqrt(np.maximum(g_variance * d_variance, 0))
    # What is left of a constant density after interpolation is rounding.
    enough = d_variance > np.maximum(1e-12 * (dd_sum + count * centre**2), 1e-300)
    return np.where(enough, (dg_sum - d_sum * g_sum / count) / np.where(enough, spread, 1), 0.0)


def _interpolate(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Trilinear values at fractional indices (n, 3) in x, y, z order; 0 outside the box."""
    return ndimage.map_coordinates(values, indices.T[::-1], np.float64, order=1, mode="constant")


@dataclass(frozen=True)
class _Neighbours:
    """The atoms near each atom, by ascending atom.

    Attributes:
        owner: int (m,), whose neighbour.
        offset: float32 (m, 3), from the atom to the neighbour in A.
        atoms: how many atoms there are.
    """

    owner: np.ndarray
    offset: np.ndarray
    atoms: int

    def points(self, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """The points of all atoms on the sphere of `radius` A: owners (p,), rows of `_spirals` (p,).

        The point r u is within 0.9 r of a neighbour at v where u . v > (0.19 r + |v|^2 / r) / 2.
        """
        length2 = (self.offset**2).sum(axis=1)
        scaled = self.offset * (2 / ((1 - NEARNESS**2) * radius + length2 / radius))[:, None]
        # |u . w| <= |w|: a neighbour with |w| <= 1 reaches no point of this sphere.
        reaching = (scaled**2).sum(axis=1) > 1
        owner, scaled = self.owner[reaching], scaled[reaching]
        crowded, starts, sizes = np.unique(owner, return_index=True, return_counts=True)
        order = np.argsort(sizes, kind="stable")
        crowded, starts, sizes = crowded[order], starts[order], sizes[order]
        free = np.setdiff1d(np.arange(self.atoms), crowded, assume_unique=True)
        owners, rows = [np.repeat(free, POINTS)], [np.tile(np.arange(POINTS), len(free))]
        for first, stop in itertools.pairwise(BATCHES):
            if not len(crowded):
                break
            found, row, failed = _try_levels(scaled, starts, sizes, first, stop)
            owners.append(crowded[found])
            rows.append(row)
            crowded, starts, sizes = crowded[failed], starts[failed], sizes[failed]
        return np.concatenate(owners), np.concatenate(rows)


def _try_levels(
    scaled: np.ndarray, starts: np.ndarray, sizes: np.ndarray, first: int, stop: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The free points of the first spiral, of number `first` to `stop`, that leaves at least POINTS.

    Args:
        scaled: float32 (m, 3), neighbours whose product with a direction exceeds 1 where they block it.
        starts: where those of each atom begin.
        sizes: how many there are of each atom, ascending.
        first: the first spiral to try, of POINTS + 2 first points.
        stop: the spiral after the last.

    Returns:
        atom (p,), an index into `starts`; row of `_spirals` (p,); atoms that found no points.
    """
    begin = int(_spiral_starts()[first])
    begins = _spiral_starts()[first : stop + 1] - begin
    columns = np.ascontiguousarray(_spirals()[begin : begin + begins[-1]].T, np.float32)
    spiral_of = np.repeat(np.arange(stop - first), np.diff(begins))
    atoms, rows, failed = [], [], []
    chunk = max(1, CHUNK // columns.shape[1])
    for low in range(0, len(starts), chunk):
        some, counts = starts[low : low + chunk], sizes[low : low + chunk]
        blocked = np.zeros((len(some), columns.shape[1]), bool)
        for nth in range(counts[-1]):
            having = int(np.searchsorted(counts, nth, side="right"))
            blocked[having:] |= scaled[some[having:] + nth] @ columns > 1
        free = ~blocked
        left = np.stack([free[:, a:b].sum(axis=1) for a, b in itertools.pairwise(begins)], axis=1)
        passed = left >= POINTS
        spiral = np.where(passed.any(axis=1), passed.argmax(axis=1), -1)
        atom, row = np.nonzero(free & (spiral_of == spiral[:, None]))
        atoms.append(low + atom)
        rows.append(begin + row)
        failed.append(low + np.flatnonzero(spiral < 0))
    return np.concatenate(atoms), np.concatenate(rows), np.concatenate(failed)


def _neighbours(atoms: AtomicModel) -> _Neighbours:
    """All pairs near enough to block a point: one at r is within 0.9 r of an atom no farther than 1.9 r."""
    pairs = cKDTree(atoms.positions).query_pairs((1 + NEARNESS) * SHELLS[-1], output_type="ndarray")
    alt = np.unique(atoms.alt_locs, return_inverse=True)[1] if (atoms.alt_locs != "").any() else None
    if alt is not None:
        some = atoms.alt_locs != ""
        first, second = pairs.T
        pairs = pairs[~(some[first] & some[second] & (alt[first] != alt[second]))]
    owner = np.concatenate([pairs[:, 0], pairs[:, 1]])
    other = np.concatenate([pairs[:, 1], pairs[:, 0]])
    order = np.argsort(owner, kind="stable")
    owner, other = owner[order], other[order]
    offset = (atoms.positions[other] - atoms.positions[owner]).astype(np.float32)
    return _Neighbours(owner, offset, len(atoms))


def spiral(n: int) -> np.ndarray:
    """n points spread evenly over the unit sphere along a spiral, float64 (n, 3) (Saff & Kuijlaars 1997)."""
    h = np.linspace(-1, 1, n)
    turn = np.zeros(n)
    turn[1:-1] = 3.6 / np.sqrt(n * (1 - h[1:-1] ** 2))
    theta = np.cumsum(turn)
    across = np.sqrt(1 - h**2)
    return np.stack([across * np.cos(theta), across * np.sin(theta), h], axis=1)


@cache
def _spirals() -> np.ndarray:
    """The points of all spirals that are tried, of 8, 10 ... 106 points, one after the other (n, 3)."""
    return np.concatenate([spiral(POINTS + 2 * i) for i in range(RETRIES)])


@cache
def _spiral_starts() -> np.ndarray:
    """Where each spiral begins in `_spirals`, and where the last ends."""
    return np.cumsum([0] + [POINTS + 2 * i for i in range(RETRIES)])
