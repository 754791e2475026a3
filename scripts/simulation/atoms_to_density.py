"""Atoms to density on a 1 A grid, in torch on whatever device trains."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from .box import Box

# Every Gaussian is at least this wide (as a B factor, A^2), or a 1 A grid couldn't hold it; what is too much
# is taken back in Fourier space.
B_GRID = 40.0
CHUNK = 1 << 22
# Volume of each atom with its hydrogens (A^3, Tsai et al. 1999), less what the hydrogens, which models lack, scatter:
# carbons of the main chain and of side chains, nitrogen, oxygen, others.
MAIN_CARBON, SIDE_CARBON, NITROGEN, OXYGEN, OTHER = 9.5, 15.5, 10.0, 16.0, 15.0
# Ice of 0.93 g/cm^3 scatters so much (A) per A^3; an atom of 15 A^3 displaces it with this B factor (Fraser,
# MacRae & Suzuki 1978).
ICE = 0.0945
B_GROUP = 4 * math.pi * 15 ** (2 / 3)
POLYMERIC = (7, 8, 15, 16)  # elements of protein and nucleic acid, beside carbon
AT_4_A = 0.25**2  # s^2 in 1/A^2, in the middle of what the networks restore


def spread(positions: Tensor, weights: Tensor, sigma: Tensor, box: Box) -> Tensor:
    """Sum of normalised Gaussians, cut at 3 sigma.

    Args:
        positions: (n, 3), z, y, x in voxels; atoms outside the box are left out as far as they are outside.
        weights: (n,), integral of each Gaussian.
        sigma: (n,) in voxels.
        box: where they are.

    Returns:
        float32 (z, y, x).
    """
    reach = (3 * sigma).ceil().clamp(min=2).long()
    pad = int(reach.max()) + 1 if len(reach) else 2
    inside = box.holds(positions, pad)
    padded = [n + 4 * pad for n in box.shape]
    out = torch.zeros(math.prod(padded), device=positions.device)
    for half in reach[inside].unique().tolist():
        chosen = inside & (reach == half)
        step = max(1, CHUNK // (2 * half) ** 3)
        for p, w, s in zip(*(t[chosen].split(step) for t in (positions, weights, sigma)), strict=True):
            index, value = _separable(p + 2 * pad, w, s, half, padded)
            out.index_add_(0, index, value)
    volume = out.view(padded)
    return volume[2 * pad : -2 * pad, 2 * pad : -2 * pad, 2 * pad : -2 * pad].contiguous()


def _separable(
    p: Tensor, weights: Tensor, sigma: Tensor, half: int, shape: list[int]
) -> tuple[Tensor, Tensor]:
    """Flat indices and values of each Gaussian in the 2 `half` voxels about it."""
    corner = p.floor()
    offsets = torch.arange(1 - half, half + 1, device=p.device)
    distance = offsets - (p - corner)[:, :, None]
    g = torch.exp(-0.5 * (distance / sigma[:, None, None]) ** 2) / (
        sigma[:, None, None] * math.sqrt(2 * math.pi)
    )
    value = (
        (g[:, 0] * weights[:, None])[:, :, None, None] * g[:, 1][:, None, :, None] * g[:, 2][:, None, None, :]
    )
    i = corner.long()[:, :, None] + offsets
    index = (i[:, 0, :, None, None] * shape[1] + i[:, 1, None, :, None]) * shape[2] + i[:, 2, None, None, :]
    return index.reshape(-1), value.reshape(-1)


@cache
def form_factor(atomic_number: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Electron form factor a_i, b_i (sum of a_i exp(-b_i s^2 / 4)), International Tables C 4.3.2.2 by gemmi."""
    import gemmi

    coefficients = gemmi.Element(max(1, atomic_number)).c4322
    return tuple(coefficients.a), tuple(coefficients.b)


def structure_density(
    positions: Tensor,
    atomic_numbers: Tensor,
    b_factors: Tensor,
    box: Box,
    occupancies: Tensor | None = None,
    displaced: Tensor | None = None,
) -> Tensor:
    """Fourier coefficients of the atoms' density with electron form factors and a B factor for each atom.

    Carbon, nitrogen, oxygen and phosphorus have their own curve; other elements have phosphorus' curve, scaled
    to their own value at s = 0 (at 3 A and beyond the error is below what the noise leaves).

    Args:
        positions: (n, 3), z, y, x in A from the first voxel of the box.
        atomic_numbers: (n,).
        b_factors: (n,) in A^2, >= 0.
        box: where they are.
        occupancies: (n,); None for 1.
        displaced: (n,), A^3 of ice that the atoms are in the place of; None in vacuo.

    Returns:
        complex64, the box's coefficients; a potential in V A^3 but for a constant.
    """
    s = box.frequencies
    total = torch.zeros(s.shape, dtype=torch.complex64, device=s.device)
    sigma = ((b_factors + B_GRID) / (8 * math.pi**2)).sqrt()
    curves = torch.where(sum(atomic_numbers == z for z in (6, 7, 8)).bool(), atomic_numbers.long(), 15)
    for z in curves.unique().tolist():
        chosen = curves == z
        a, b = form_factor(z)
        strength = {n: sum(form_factor(n)[0]) / sum(a) for n in atomic_numbers[chosen].unique().tolist()}
        table = torch.zeros(256, device=s.device)
        for n, value in strength.items():
            table[n] = value
        weights = table[atomic_numbers[chosen].long()]
        if occupancies is not None:
            weights = weights * occupancies[chosen]
        grid = spread(positions[chosen], weights, sigma[chosen], box)
        curve = sum(ai * torch.exp(-bi * s**2 / 4) for ai, bi in zip(a, b, strict=True))
        total += box.fourier(grid) * curve
    if displaced is not None:
        volumes = displaced if occupancies is None else displaced * occupancies
        ice = box.fourier(spread(positions, ICE * volumes, sigma, box))
        total -= ice * torch.exp(-B_GROUP * s**2 / 4)
    return total * torch.exp(B_GRID * s**2 / 4)


def displaced_volumes(atomic_numbers: Tensor, depths: Tensor) -> Tensor:
    """Ice (A^3) that each atom (n,) is in the place of, less its hydrogens' density; `depths`: see `side_chains`."""
    volumes = torch.full(atomic_numbers.shape, OTHER, device=depths.device)
    for z, volume in ((6, MAIN_CARBON), (7, NITROGEN), (8, OXYGEN)):
        volumes[atomic_numbers == z] = volume
    volumes[(atomic_numbers == 6) & (depths > 0)] = SIDE_CARBON
    return volumes


def scattering_weights(atomic_numbers: Tensor) -> Tensor:
    """What atoms (n,) scatter at 4 A, on a scale where carbon is 6; other elements than those of `POLYMERIC` are
    left at their atomic numbers, more than they scatter: single ions are what networks drop first."""
    weights = atomic_numbers.float().clone()
    for z in POLYMERIC:
        strength, carbon = (
            sum(a * math.exp(-b * AT_4_A / 4) for a, b in zip(*form_factor(n), strict=True)) for n in (z, 6)
        )
        weights[atomic_numbers == z] = 6 * strength / carbon
    return weights


def mass_weights(atomic_numbers: Tensor) -> Tensor:
    """Masses of atoms (n,) on a scale where carbon is 6."""
    import gemmi

    weights = torch.zeros(atomic_numbers.shape, device=atomic_numbers.device)
    for z in atomic_numbers.unique().tolist():
        weights[atomic_numbers == z] = 6 * gemmi.Element(z).weight / gemmi.Element(6).weight
    return weights


def target_density(
    positions: Tensor, weights: Tensor, sigma: float, box: Box, low_pass: float = 0.0
) -> Tensor:
    """What the network should give: a Gaussian of width `sigma` (A) at each atom, `weights` (n,) with carbon at 6.

    Detail finer than `low_pass` (A; 0 keeps all) fades (Butterworth filter of order 6): what networks add there
    to maps of 3 to 6 A, the maps' models hardly confirm.

    Returns:
        float32 (z, y, x); 1 is the height of a lone carbon.
    """
    # A 1 A grid holds that much without aliasing; the rest is done in Fourier space. It can't hold the papers'
    # narrow ones without: they are drawn as their programs draw them, point by point.
    narrow = 0.85 * sigma if sigma > 0.8 else sigma
    b_extra = 8 * math.pi**2 * (sigma**2 - narrow**2)
    grid = spread(positions, weights / 6.0, torch.full_like(positions[:, 0], narrow), box)
    s = box.frequencies
    shown = torch.exp(-b_extra * s**2 / 4) / (1 + (low_pass * s) ** 12).sqrt()
    blurred = box.real(box.fourier(grid) * shown)
    return blurred.clamp(min=0) * (sigma * math.sqrt(2 * math.pi)) ** 3
