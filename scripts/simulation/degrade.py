"""What an experiment does to a structure's density, one step a function; boxes have 1 A voxels.

Coefficients are a `Box`'s; factors are real, one for each coefficient.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from .box import Box
from .randomness import chance, choice, direction, normal, smooth_field, uniform


def local_b_factors(
    positions: Tensor,
    ranks: Tensor,
    mean: float,
    box: Box,
    rng: Generator,
    parts: tuple[float, float, float] = (0.5, 0.3, 0.25),
) -> Tensor:
    """B factors (A^2) of the atoms about a mean, so that resolution varies over the map as it does in real ones.

    Three parts: the entry's own order of B factors (loops and termini move), a smooth random field (domains
    move), and a rise with the distance from a random centre (periphery of a large particle). Their weights
    are random, up to those of `parts`.

    Args:
        positions: (n, 3), z, y, x in A from the first voxel.
        ranks: (n,), 0..1, see `Structure.b_ranks`.
        mean: wanted mean in A^2.
        parts: highest weights; by default so that residues vary as in real maps.
    """
    own, domains, outward = (uniform(0, high, rng) for high in parts)
    field = smooth_field(box, uniform(12, 40, rng), rng)
    size = torch.tensor(box.shape, device=positions.device)
    index = positions.round().long().clamp(min=0).minimum(size - 1)
    domain = field[index[:, 0], index[:, 1], index[:, 2]]
    centre = size / 2 + direction(rng).to(positions.device) * uniform(0, 60, rng)
    distance = (positions - centre).norm(dim=1)
    distance = (distance - distance.mean()) / 40
    # Ranks are stretched: most atoms are alike, a few per cent are much worse.
    relative = own * (3 * ranks**3 - 0.75) + domains * domain + outward * distance
    return mean * (1 + relative).clamp(0.25, 3.5)


def solvent_contrast(box: Box, rng: Generator) -> Tensor:
    """Factors that weaken the lowest resolutions, as bulk solvent (Babinet: 1 - k exp(-B s^2 / 4)) and the CTF do."""
    k, b = uniform(0.0, 0.75, rng), uniform(150, 500, rng)
    return 1 - k * torch.exp(-b * box.frequencies**2 / 4)


def half_map_fsc(s: Tensor, resolution: float, steepness: float) -> Tensor:
    """A logistic half-map FSC at |s| (1/A) that passes 0.143 at `resolution` (A)."""
    crossing = math.log(1 / 0.143 - 1)
    return torch.sigmoid(-steepness * (s * resolution - 1) - crossing)


def shell_means(values: Tensor, box: Box, width: float = 0.01) -> tuple[Tensor, Tensor]:
    """Means of a real quantity over shells about 0, `width`, 2 `width` ... (1/A), and each coefficient's shell."""
    shell = (box.frequencies / width).round().long()
    total = torch.bincount(shell.flatten(), values.flatten())
    return total / torch.bincount(shell.flatten()).clamp(min=1), shell


def noise(coefficients: Tensor, fsc: Tensor, filled: float, box: Box, rng: Generator) -> Tensor:
    """Noise with the spectrum that an FSC implies: power = signal power x (1 - FSC) / (2 FSC) of the full map.

    The full map averages two halves, so that its signal-to-noise ratio is 2 FSC / (1 - FSC) of the half maps.
    Shell powers are those of the signal in the box; the FSC is measured inside a mask that fills the fraction
    `filled` of the box, while noise fills all of it, hence the division.

    Returns:
        Coefficients of the noise.
    """
    means, shell = shell_means(coefficients.abs() ** 2, box)
    signal = means[shell].to(fsc.dtype)
    fsc = fsc.clamp(0.004, 0.999)
    power = signal * (1 - fsc) / (2 * fsc) / filled
    white = torch.fft.rfftn(normal(box.shape, rng, box.device), norm="ortho")
    return white * power.sqrt()


def unexplained(coefficients: Tensor, molecule: Tensor, amount: float, box: Box, rng: Generator) -> Tensor:
    """What no one model explains, in the molecule and nowhere else: other conformations, errors of alignment.

    Its amplitude is `amount` times (less beyond 8 A) that of the signal's `wilson_line`, stronger here than there:
    real maps agree with their models worst at 6 A, where regular structure leaves the signal a minimum. Noise alone
    would leave maps and models of equal resolution correlated by .93 at 7 A, where real ones are by .7-.8.

    Args:
        molecule: boolean (z, y, x).

    Returns:
        Coefficients of it.
    """
    inside = functional.avg_pool3d(molecule.float()[None, None], 5, 1, 2)[0, 0]
    inside = inside * torch.exp(0.4 * smooth_field(box, uniform(6, 16, rng), rng))
    white = box.fourier(normal(box.shape, rng, box.device) * inside)
    power, shell = shell_means(coefficients.abs() ** 2, box)
    given, _ = shell_means(white.abs() ** 2, box)
    share = amount * (box.frequencies / 0.12).clamp(max=1)
    return white * (share * (wilson_line(power) / given.clamp(min=1e-30)).sqrt()[shell]).to(share.dtype)


def wilson_line(power: Tensor, width: float = 0.01) -> Tensor:
    """The power that a spectrum (means of shells) would have if the atoms stood anywhere (Wilson 1942).

    Its logarithm falls in proportion to s^2; the line is fitted between 9 and 3 A, each coefficient counting alike.
    By hand, since a library's least squares needn't give the same bits twice, as a resumed run must.
    """
    s = torch.arange(len(power), device=power.device) * width
    fitted = (s > 0.105) & (s < 0.335) & (power > 0)
    x, y, weights = s[fitted] ** 2, power[fitted].log(), s[fitted] ** 2
    x_mean, y_mean = (x * weights).sum() / weights.sum(), (y * weights).sum() / weights.sum()
    slope = ((x - x_mean) * (y - y_mean) * weights).sum() / ((x - x_mean) ** 2 * weights).sum()
    return (y_mean + slope * (s**2 - x_mean)).exp()


def anisotropy(box: Box, rng: Generator) -> Tensor:
    """Factors of a map with preferred orientations: up to 150 A^2 more B along one direction."""
    axis = direction(rng).to(box.device)
    z, y, x = box.components()
    along = z * axis[0] + y * axis[1] + x * axis[2]
    return torch.exp(-uniform(20, 150, rng) * along**2 / 4)


def sharpen(fsc: Tensor, resolution: float, remaining: float, box: Box, rng: Generator) -> Tensor:
    """Factors of the post-processing: a global B, usually sharpening, FSC weights, a low-pass filter.

    `remaining` is the B factor (A^2) of the signal before; programs take back some or all of it, a few too
    much, and some maps are deposited unsharpened. Most weight by sqrt(2 FSC / (1 + FSC)) (Rosenthal &
    Henderson 2003) and filter at about the resolution.
    """
    kind = choice(10, rng)
    if kind < 2:
        b = uniform(0, 60, rng)
    elif kind < 8:
        b = -remaining * uniform(0.2, 0.9, rng)
    else:
        b = -remaining * uniform(0.9, 1.3, rng)
    factor = torch.exp(-b * box.frequencies**2 / 4)
    # Sharpening stops at the resolution even in maps that aren't filtered there.
    factor = factor.clamp(max=max(1.0, math.exp(-b / (2 * resolution) ** 2)))
    if choice(10, rng) < 7:
        factor = factor * (2 * fsc / (1 + fsc)).sqrt()
    if choice(10, rng) < 8:
        cutoff = 1 / (resolution * uniform(0.85, 1.1, rng))
        factor = factor * torch.sigmoid((cutoff - box.frequencies) / uniform(0.004, 0.02, rng))
    return factor


def coarse_voxels(values: Tensor, resolution: float, rng: Generator) -> Tensor:
    """What is left of a map that was sampled more coarsely, at most at 0.45 of its resolution (A), and came back.

    Half of them were interpolated trilinearly both ways, with another phase; the others were cropped in Fourier
    space, as particles are, and come back with nothing beyond that box.
    """
    step = uniform(1.05, max(2.0, 0.45 * resolution), rng)
    if chance(0.5, rng):
        coefficients = torch.fft.rfftn(values)
        for axis, n in enumerate(values.shape):
            frequency = torch.fft.fftfreq(n, device=values.device)[: coefficients.shape[axis]].abs()
            kept = (frequency < 0.5 / step).view([-1 if a == axis else 1 for a in range(3)])
            coefficients = coefficients * kept
        return torch.fft.irfftn(coefficients, s=values.shape)
    n = [max(4, int(size / step)) for size in values.shape]
    coarse = functional.interpolate(values[None, None], size=n, mode="trilinear", align_corners=True)
    return functional.interpolate(coarse, size=values.shape, mode="trilinear", align_corners=True)[0, 0]
