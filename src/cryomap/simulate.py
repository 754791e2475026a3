"""Model to map, in two ways of the field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from .atoms import AtomicModel
from .density import DensityMap
from .grid import Grid, three_floats
from .reciprocal import fft_positions, inverse_d_squared, largest_indices

if TYPE_CHECKING:
    import gemmi

# Points of the atoms' own grid per shortest half-wave: with the blur below, aliasing stays under 0.3 %.
OVERSAMPLING = 1.5
# Density (e/A^3) below which an atom's tail is dropped. Dividing out the blur magnifies what is dropped most at
# the corners of the box's reciprocal lattice; at 1e-8 these are still right to 0.1 % at 1.7 A.
DENSITY_CUTOFF = 1e-8


def structure_factors(model: AtomicModel, grid: Grid, d_min: float = 0.0) -> np.ndarray:
    """F(h) of the atoms in a P1 cell that is the grid's box, by FFT.

    F(h) = sum_j occ_j f_j(s) exp(-B_j s^2) exp(-2 pi i h.x_j), s = 1/(2d), with the five-Gaussian electron
    form factors of International Tables vol. C, 4.3.2.2, as phenix.map_model_cc computes it (with the
    sign of the exponent of numpy's FFT). The atoms are laid out on a grid of their own with B factors
    shifted to suit it, and the shift is divided out again (Ten Eyck 1977). B factors are isotropic; atoms
    outside the box wrap around; atoms whose element has no form factor are left out.

    Args:
        model: the atoms, in the frame of the grid.
        grid: the box.
        d_min: reflections with d <= d_min are 0; 0 keeps all that the grid carries.

    Returns:
        complex64 (nz, ny, nx // 2 + 1), the layout of `rfftn` of a map on the grid; the (0, 0, 0) term is
        the sum of the atoms' form factors.
    """
    limits = largest_indices(grid, d_min)
    lengths = np.linalg.norm(grid.axes, axis=0)[::-1] * grid.shape
    shape = tuple(fft.next_fast_len(int(np.ceil(2 * OVERSAMPLING * h)) + 1, real=True) for h in limits)
    # Refmac's rule: a B of 8 pi^2 / 1.1 x spacing^2 makes the narrowest atom fit the spacing. Atoms wider than
    # that are made narrower, which is quicker, and keeps weak reflections above float32's rounding.
    lowest = float(model.b_factors.min()) if len(model) else 0.0
    blur = 8 * np.pi**2 / 1.1 * float(max(lengths / shape)) ** 2 - lowest
    start, density = _blurred_density(model, grid, shape, blur)
    wanted = _transform(density, start, shape, limits)
    inverse_d2 = inverse_d_squared(grid, limits)
    wanted *= np.exp(blur / 4 * inverse_d2) * (grid.voxel_volume * np.prod(grid.shape) / np.prod(shape))
    if d_min > 0:
        wanted[inverse_d2 >= d_min**-2] = 0
    result = np.zeros((*grid.shape[:2], grid.shape[2] // 2 + 1), np.complex64)
    result[fft_positions(limits, grid.shape)] = wanted
    return result


def _blurred_density(
    model: AtomicModel, grid: Grid, shape: tuple[int, int, int], blur: float
) -> tuple[tuple[int, int, int], np.ndarray]:
    """The atoms' density, every B changed by `blur`, on the box's finer grid of `shape` (z, y, x) points.

    Returns:
        start (z, y, x), and float32 values of the part of that grid that holds the atoms: a whole axis, or
        less where the atoms and their tails need less.
    """
    import gemmi

    fine = replace(grid, shape=shape, step=tuple(np.array(grid.step) * grid.size / shape[::-1]))
    # Where exp(-4 pi^2 r^2 / B) of the widest term (b of the table's last Gaussian: up to 100) is 1e-9.
    widest = float(model.b_factors.max(initial=0.0)) + blur + 100
    margin = np.sqrt(widest * np.log(1e9)) / (2 * np.pi)
    start, part = fine.part_about(model.positions, margin) if len(model) else ((0, 0, 0), shape)
    fine = fine.cropped(start, part)
    calculator = gemmi.DensityCalculatorE()
    calculator.blur, calculator.cutoff = blur, DENSITY_CUTOFF
    calculator.grid.set_size(*fine.size)
    calculator.grid.set_unit_cell(
        gemmi.UnitCell(*three_floats(np.array(fine.size) * fine.step), *grid.cell_angles)
    )
    calculator.add_model_density_to_grid(_gemmi_model(model, fine))
    return start, calculator.grid.array.T


def _transform(
    density: np.ndarray,
    start: tuple[int, int, int],
    shape: tuple[int, int, int],
    limits: tuple[int, int, int],
) -> np.ndarray:
    """DFT of `density`, which begins at `start` of a grid of `shape` that is 0 elsewhere, up to `limits`.

    One axis after the other, keeping the wanted terms only, so that neither the padded grid nor its whole
    transform is ever in memory.
    """
    for axis in (2, 1, 0):
        limit, n = limits[axis], shape[axis]
        h = np.arange(0 if axis == 2 else -limit, limit + 1)
        transform = fft.rfft if axis == 2 else fft.fft
        density = np.take(transform(density, n, axis, workers=-1), h % n, axis)
        phase = np.exp(-2j * np.pi * h * start[axis] / n).astype(np.complex64)
        density *= phase.reshape([-1 if a == axis else 1 for a in range(3)])
    return density


def _gemmi_model(model: AtomicModel, grid: Grid) -> gemmi.Model:
    """The atoms as a gemmi.Model in the frame of the grid's cell: first voxel at 0, a along x."""
    import gemmi

    residue = gemmi.Residue()
    elements = {int(z): gemmi.Element(int(z)) for z in np.unique(model.atomic_numbers) if z}
    elements = {z: element for z, element in elements.items() if element.c4322}
    positions = (model.positions - np.array(grid.origin)) @ np.array(grid.rotation)
    rows = zip(
        positions.tolist(), model.atomic_numbers.tolist(), model.b_factors, model.occupancies, strict=True
    )
    for position, z, b_factor, occupancy in rows:
        if z in elements:
            atom = gemmi.Atom()
            atom.pos = gemmi.Position(*position)
            atom.element, atom.b_iso, atom.occ = elements[z], b_factor, occupancy
            residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    result = gemmi.Model(1)
    result.add_chain(chain)
    return result


def structure_factor_map(model: AtomicModel, grid: Grid, d_min: float) -> DensityMap:
    """The model map of phenix.map_model_cc: electron scattering, B factors, occupancies, cut at d_min (A).

    The (0, 0, 0) term is kept, so that empty space is near 0; no correlation about the mean sees it.
    """
    factors = structure_factors(model, grid, d_min)
    values = fft.irfftn(factors, grid.shape, workers=-1)
    values /= grid.voxel_volume
    return DensityMap(values.astype(np.float32, copy=False), grid, model.name)


def situs_map(model: AtomicModel, grid: Grid, resolution: float) -> DensityMap:
    """SuperEM's target: what Situs pdb2vol makes with its Gaussian kernel and mass weighting.

    Situs calls twice the kernel's 3D standard deviation the resolution: exp(-1.5 r^2 / s^2), s = R / 2,
    cut at sqrt(3) s (Wriggers 2012). Situs first spreads each atom over eight voxels and narrows the kernel
    by as much; here the kernel is laid down at the atom itself, which is what that correction aims at.
    """
    import gemmi

    spread = resolution / 2
    heavy = model.subset(model.atomic_numbers > 1)
    masses = {int(z): gemmi.Element(int(z)).weight for z in np.unique(heavy.atomic_numbers)}
    weights = np.array([masses[int(z)] for z in heavy.atomic_numbers], float)
    values = _gaussians(heavy.positions, weights, 1.5 / spread**2, np.sqrt(3) * spread, grid)
    return DensityMap(values, grid, model.name)


def _gaussians(positions: np.ndarray, weights: np.ndarray, k: float, radius: float, grid: Grid) -> np.ndarray:
    """Sum of weights exp(-k r^2) within `radius` A of positions (n, 3), at the points of the grid, float32."""
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(grid.axes), axis=1)).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1).reshape(-1, 3)
    indices = grid.to_indices(positions)
    near = ((indices > -reach - 1) & (indices < np.array(grid.size) + reach)).all(axis=1)
    indices, weights = indices[near], weights[near]
    total = np.zeros(np.prod(grid.shape), np.float64)
    strides = np.array([1, grid.size[0], grid.size[0] * grid.size[1]])
    for start in range(0, len(indices), 2048):
        some = indices[start : start + 2048]
        voxels = np.rint(some).astype(int)[:, None, :] + offsets
        distance2 = (((voxels - some[:, None, :]) @ grid.axes.T) ** 2).sum(axis=-1)
        counts = (distance2 <= radius**2) & ((voxels >= 0) & (voxels < grid.size)).all(axis=-1)
        values = (weights[start : start + 2048, None] * np.exp(-k * distance2))[counts]
        np.add.at(total, (voxels[counts] @ strides), values)
    return total.reshape(grid.shape).astype(np.float32)
