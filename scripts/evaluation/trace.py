"""Does it help building? How well C alphas are found as peaks of a map.

No model is built: peaks are what tracing programs start from, and the fewer of them lie elsewhere, the less there is
to sort out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from cryomap.atoms import AtomicModel
from cryomap.contour import level_for_volume
from cryomap.density import DensityMap
from cryomap.metrics.masks import molecular_mask
from cryomap.metrics.secondary_structure import c_alphas

NEAR = 1.5  # A; a peak this near to a C alpha stands for it
REGION = 5.0  # A; what lies farther from all atoms may be density of a neighbour without a model


@dataclass(frozen=True)
class Trace:
    """C alphas and peaks, matched one to one; nan where there are none.

    Attributes:
        recall: share of C alphas with a peak.
        precision: share of peaks with a C alpha.
        peaks: how many there are.
    """

    recall: float | None
    precision: float | None
    peaks: int


def c_alpha_peaks(density: DensityMap, model: AtomicModel) -> Trace:
    """Match the peaks of a map with the model's C alphas.

    Peaks are voxels not lower than their 26 neighbours, refined by a parabola along each axis, above the level that
    encloses as many voxels as the molecular mask holds, within `REGION` of an atom.

    Args:
        density: on a 1 A grid.
        model: its atoms.
    """
    _, atoms = c_alphas(model)
    volume = float(molecular_mask(model, density.grid).sum()) * density.grid.voxel_volume
    level = level_for_volume(density.values, volume, density.grid.voxel_volume)
    peaks = _peaks(density, level)
    if len(peaks):
        peaks = peaks[cKDTree(model.positions).query(peaks, distance_upper_bound=REGION)[0] <= REGION]
    if not (len(atoms) and len(peaks)):
        return Trace(0.0 if len(atoms) else None, None, len(peaks))
    pairs = cKDTree(atoms).query_ball_tree(cKDTree(peaks), NEAR)
    rows = np.repeat(np.arange(len(atoms)), [len(p) for p in pairs])
    columns = np.array([j for p in pairs for j in p], int)
    near = coo_array((np.ones(len(rows), bool), (rows, columns)), (len(atoms), len(peaks))).tocsr()
    matched = int((maximum_bipartite_matching(near, perm_type="column") >= 0).sum())
    return Trace(matched / len(atoms), matched / len(peaks), len(peaks))


def _peaks(density: DensityMap, level: float) -> np.ndarray:
    """Positions (n, 3) in A of the peaks above a level."""
    values = density.values
    highest = (values >= ndimage.maximum_filter(values, 3)) & (values > level)
    for axis in range(3):  # a parabola needs a voxel on each side
        highest[(slice(None),) * axis + ([0, -1],)] = False
    # Neighbours may be equally high: one of them is the peak.
    plateaus, count = ndimage.label(highest, np.ones((3, 3, 3)))
    at = np.array(ndimage.maximum_position(highest, plateaus, np.arange(1, count + 1)), int).reshape(-1, 3)
    refined = at.astype(float)
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        low, here, high = (values[tuple((at + k * step).T)].astype(float) for k in (-1, 0, 1))
        curvature = low - 2 * here + high
        safe = np.where(curvature < 0, curvature, -1)
        refined[:, axis] += np.where(curvature < 0, np.clip((low - high) / (2 * safe), -0.5, 0.5), 0)
    return density.grid.to_xyz(refined[:, ::-1])
