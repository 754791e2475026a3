"""Real-space correlation (RSCC) by residue, by chain, of main chain and of side chains."""

from __future__ import annotations

import numpy as np
from scipy import integrate

from ..atoms import AtomicModel
from .correlation import ModelMap, pearson
from .masks import spheres

# phenix.map_model_cc counts CB to the main chain; so does the RSCC here (the classes don't).
MAIN_CHAIN = ("C", "N", "CA", "O", "CB")


def region_radius(model: AtomicModel, d_min: float) -> float:
    """Radius in A of the spheres about the atoms of a region, as mmtbx's `get_atom_radius` has it.

    The larger of d_min and of twice the first inflection radius of a carbon atom's image at the model's mean
    B, and within 3 to 10 A.
    """
    return float(np.clip(max(d_min, image_radius(float(model.b_factors.mean()), d_min)), 3.0, 10.0))


def image_radius(b_factor: float, d_min: float, step: float = 0.1) -> float:
    """Twice the radius in A where a carbon atom's image, cut at d_min, first turns from convex to concave.

    The image is the integral over 0 < s < 1/d_min of (2 / r) s f(s) exp(-B s^2 / 4) sin(2 pi r s), on radii
    0.1 A apart as in the reference.
    """
    import gemmi

    carbon = gemmi.Element("C").c4322
    s = np.linspace(0, 1 / d_min, 2001)
    scattering = np.exp(-b_factor * s**2 / 4) * sum(
        a * np.exp(-b * s**2 / 4) for a, b in zip(carbon.a, carbon.b, strict=True)
    )
    radii = np.arange(0, max(15.0, d_min), step)
    # sinc keeps r = 0 regular: (2/r) s sin(2 pi r s) = 4 pi s^2 sinc(2 r s).
    image = integrate.simpson(4 * np.pi * s**2 * scattering * np.sinc(2 * np.outer(radii, s)), x=s)
    bend = image[:-2] + image[2:] - 2 * image[1:-1]
    turning = int(np.argmax(bend > 0)) + 1
    return float(radii[turning - 1] + radii[turning])


def residue_correlations(
    values: np.ndarray, computed: ModelMap, model: AtomicModel, radius: float
) -> np.ndarray:
    """RSCC of each residue of `model.residues`, float64; nan for one without atoms.

    Pearson correlation of map and computed map over the voxels within `radius` A of any atom of the residue.
    The box is taken as periodic, and all alternate conformations of a residue are one region (the
    reference reports each conformation).

    Args:
        values: the map's values (z, y, x) on the whole grid.
        computed: the model's map.
        model: atoms, or some of them (the main chain, say).
        radius: see `region_radius`.
    """
    observed, calculated = computed.part_of(values), computed.density.values
    indices = computed.density.grid.to_indices(model.positions)
    order = np.argsort(model.residue_indices, kind="stable")
    owners, starts = np.unique(model.residue_indices[order], return_index=True)
    result = np.full(len(model.residues), np.nan)
    if not len(model):
        return result
    axes = computed.density.grid.axes
    for owner, atoms in zip(owners, np.split(order, starts[1:]), strict=True):
        voxels, near = _near_voxels(indices[atoms], radius, axes, computed.density.grid.size)
        result[owner] = pearson(observed[voxels][near], calculated[voxels][near])
    return result


def _near_voxels(
    indices: np.ndarray, radius: float, axes: np.ndarray, size: tuple[int, int, int]
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """A block of voxels as an open mesh, and which of them lie within `radius` A of points (n, 3).

    Args:
        indices: of the points, x, y, z, in voxels.
        radius: in A.
        axes: of the grid (3, 3).
        size: of the grid, x, y, z.
    """
    metric = axes.T @ axes
    reach = radius * np.linalg.norm(np.linalg.inv(axes), axis=1)
    low = np.floor(indices.min(axis=0) - reach).astype(int)
    high = np.minimum(np.ceil(indices.max(axis=0) + reach).astype(int) + 1, low + size)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    x, y, z = (
        (r - indices[:, axis : axis + 1]).reshape(len(indices), *shape)
        for axis, (r, shape) in enumerate(zip(ranges, ((1, 1, -1), (1, -1, 1), (-1, 1, 1)), strict=True))
    )
    distance2 = (metric[2, 2] * z * z + metric[1, 1] * y * y) + metric[0, 0] * x * x
    for first, second, value in ((x, y, metric[0, 1]), (x, z, metric[0, 2]), (y, z, metric[1, 2])):
        if abs(value) > 1e-9:
            distance2 = distance2 + 2 * value * first * second
    near = (distance2 <= radius**2).any(axis=0)
    mesh = np.ix_(*(r % n for r, n in zip(ranges[::-1], size[::-1], strict=True)))
    return mesh, near


def region_correlation(values: np.ndarray, computed: ModelMap, positions: np.ndarray, radius: float) -> float:
    """RSCC of all voxels within `radius` A of positions (n, 3): of a chain, a class, the main chain."""
    if not len(positions):
        return float("nan")
    near = spheres(positions, radius, computed.density.grid)
    return pearson(computed.part_of(values)[near], computed.density.values[near])


def is_main_chain(model: AtomicModel) -> np.ndarray:
    """Which atoms are main chain of a protein to phenix.map_model_cc (CB is), bool (n,).

    The reference's side chain is every other atom, ligands and nucleic acid too; here it is the protein's.
    """
    return (model.atom_kinds == "protein") & np.isin(model.atom_names, MAIN_CHAIN)
