"""Other versions of a real map, made so that its noise stays real noise: poorer, blurred, masked, resampled ones."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from cryomap.enhancement.normalize import normalize
from simulation import degrade, surroundings
from simulation.box import Box
from simulation.randomness import chance, normal, uniform
from simulation.settings import Settings

from .real_pairs import RealPair, padded
from .recipe import RealMaps

EDGE = 12  # voxels about a map, so that nothing comes round its edge
SOLVENT = (0.05, 0.4)  # of the molecule's amplitude, at every frequency: what takes a mask's place


def changes_maps(how: RealMaps) -> bool:
    """Whether versions of maps differ from the maps."""
    return how.poorer is not None or any(
        (how.anisotropic, how.resampled, how.masked, how.unmasked, how.contrast)
    )


def version(pair: RealPair, settings: Settings, how: RealMaps, rng: Generator) -> tuple[Tensor, Tensor]:
    """A map's other version, normalised, and where the target is known for it (bool); both (z, y, x)."""
    values, known, resolution = pair.raw, pair.known, pair.resolution
    if how.poorer and (resolution < settings.resolution[0] or chance(how.poorer_share, rng)):
        low, high = how.poorer
        resolution = uniform(max(low, resolution + 0.5), max(high, resolution + 1), rng)
        values = poorer(pair, resolution, rng)
    values, crop = padded(values, EDGE)
    box = Box(tuple(values.shape))
    unmasked = bool(pair.empty.any()) and chance(how.unmasked, rng)
    if unmasked:
        power, shell = degrade.shell_means(box.fourier(values).abs() ** 2, box)
        values = values + uniform(*SOLVENT, rng) * box.real(_noise(pair, power[shell], box, rng))
    if chance(how.contrast, rng):
        values = box.real(box.fourier(values) * degrade.solvent_contrast(box, rng))
    if chance(how.anisotropic, rng):
        values = box.real(box.fourier(values) * degrade.anisotropy(box, rng))
    if chance(how.resampled, rng):
        values = degrade.coarse_voxels(values, resolution, rng)
    values = values[crop] if unmasked else values[crop] * ~pair.empty
    if chance(how.masked, rng):
        mask = _mask(pair, rng)
        values, known = values * mask, known | (mask == 0)
    return normalize(values, settings.normalization), known


def poorer(pair: RealPair, resolution: float, rng: Generator) -> Tensor:
    """The map with the phases of noise from about `resolution` (A) on, blurred (z, y, x).

    A coefficient at s keeps the share C = 1 / (1 + (s resolution)^6) of itself, and gets noise of the power that this
    takes away, within the molecule: the FSC with the map itself is C. What is left of the map's own noise is real.
    """
    values, crop = padded(pair.raw, EDGE)
    box = Box(tuple(values.shape))
    f, s = box.fourier(values), box.frequencies
    power, shell = degrade.shell_means(f.abs() ** 2, box)
    noise = _noise(pair, power[shell], box, rng)
    kept = fsc_of_poorer(s, resolution)
    blur = torch.exp(-uniform(0, min(300.0, 6 * resolution**2), rng) / 4 * s**2)
    return box.real((kept * f + (1 - kept**2).sqrt() * noise) * blur)[crop]


def _noise(pair: RealPair, power: Tensor, box: Box, rng: Generator) -> Tensor:
    """Fourier coefficients of noise that is everywhere what `power` (of each coefficient) is within the molecule."""
    filled = pair.filled * pair.raw.numel() / math.prod(box.shape)  # of the padded box
    white = torch.fft.rfftn(normal(box.shape, rng, box.device), norm="ortho")
    return white * (power / filled).sqrt().to(box.frequencies.dtype)


def fsc_of_poorer(s: Tensor, resolution: float) -> Tensor:
    """FSC at s (1/A) of a map made `poorer` with the map itself: 0.5 at `resolution` (A)."""
    return 1 / (1 + (s * resolution) ** 6)


def with_b_factor(cube: Tensor, b: float) -> Tensor:
    """A cube (n, n, n) with a B factor of `b` A^2 more; no further amplified than at 2.5 A.

    The cube is reflected at its edges, so that nothing comes round them.
    """
    edge = min(8, len(cube) // 2)
    wide = torch.nn.functional.pad(cube[None, None], (edge,) * 6, mode="reflect")[0, 0]
    box = Box(tuple(wide.shape))
    changed = box.real(box.fourier(wide) * torch.exp(-b / 4 * box.frequencies.clamp(max=0.4) ** 2))
    return changed[(slice(edge, -edge),) * 3]


def _mask(pair: RealPair, rng: Generator) -> Tensor:
    """A hard mask or a soft one about the model, 0..1."""
    hard = chance(0.5, rng)
    distance = uniform(3, 6, rng) if hard else uniform(5, 12, rng)
    near = surroundings.near(pair.atoms, distance, pair.box, periodic=False)
    if hard:
        return near.float()
    wide, crop = padded(near.float(), EDGE)
    soft = surroundings.soft_edge(wide > 0.5, uniform(2, 6, rng), Box(tuple(wide.shape)))[crop]
    return torch.where(soft < 1e-3, 0, soft)


def turned_freely(volumes: list[Tensor], matrix: Tensor, cube: int) -> list[Tensor]:
    """Cubes (cube, cube, cube) from the middle of larger ones (n, n, n), turned by a rotation matrix (z, y, x).

    By trilinear interpolation; n must be sqrt(3) times `cube`, or what lies outside counts as 0.
    """
    n = len(volumes[0])
    axis = (torch.arange(cube) - (cube - 1) / 2) * 2 / (n - 1)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1) @ matrix.T
    stacked = torch.stack(volumes)[None]
    # grid_sample wants x, y, z.
    out = torch.nn.functional.grid_sample(stacked, points.flip(-1)[None], align_corners=True)
    return list(out[0])


def room_to_turn(cube: int) -> int:
    """Edge of the cube that `turned_freely` cuts one of edge `cube` from."""
    return 2 * math.ceil(cube * math.sqrt(3) / 2) + cube % 2
