"""How a map shows the model that is known of it: figures in which simulated maps should be like real ones."""

from __future__ import annotations

import torch
from torch import Tensor

from . import surroundings
from .atoms_to_density import fourier_radius, structure_density
from .degrade import shell_means
from .experiment import Experiment
from .side_chains import CARBONYL, CARBOXYLATE
from .structures import Structure

RESOLUTIONS = (10, 7, 5, 4)  # A
BANDS = ((20, 7), (7, 4.5), (4.5, 3.2))  # A
# A; maps cut out about a chain hold little beyond 4.
DISTANCES = ((0, 1.2), (1.2, 2.2), (2.2, 4), (4, 7), (7, 12))
MODEL_B = 20.0  # A^2, as for CC_mask_hr
SHELL = 0.01  # 1/A
FEWEST = 50  # atoms or voxels that a figure is taken from


def likeness(e: Experiment) -> dict[str, float]:
    """Figures of a map beside its model, every atom at B = 20 A^2.

    Returns:
        "correlation 7 A" ...: with the model, in a shell, within a soft edge about the atoms.
        "CB 7-4.5 A" ...: strength of a class of atoms over that of the main chain (CA, C, N), in a band of
            resolution: the least-squares solution with whitened coefficients. "envelope" is a smooth body.
        "left over 2.2-4 A" ...: what the model, scaled shell by shell, leaves unexplained at that distance from
            its nearest atom: rms over the rms of what it explains at the atoms.
        "kurtosis": of that remainder, within 2.2 A.
        Figures with too few atoms or voxels are left out.
    """
    shape, atoms = tuple(e.observed.shape), e.atoms
    radius = fourier_radius(shape)
    distance = _distance(atoms.positions, radius, shape)
    soft = surroundings.soft_edge(distance < 2.5, 2.0, radius)
    seen = e.observed != e.observed.flatten()[0]  # a zone mask leaves a constant
    if seen.float().mean() > 0.95:
        seen = torch.ones_like(seen)
    observed = (e.observed - e.observed[seen & (distance > 2.5)].mean()).nan_to_num(0) * seen
    coefficients = torch.fft.rfftn(observed * soft)
    parts = {name: _coefficients(atoms, which, soft, radius) for name, which in _classes(atoms).items()}
    whole = torch.fft.rfftn(torch.fft.irfftn(_density(atoms, None, radius, shape), s=shape) * soft)
    return {
        **_correlations(coefficients, whole, radius),
        **_strengths(coefficients, whole, parts | {"envelope": torch.fft.rfftn(soft * soft)}, radius),
        **_left_over(observed, coefficients, whole, atoms, seen, distance, radius),
    }


def _classes(atoms: Structure) -> dict[str, Tensor]:
    """Masks (n,) of the classes there are enough of; the main chain is first."""
    plain, carboxylate = atoms.charges == 0, atoms.charges == CARBOXYLATE
    classes = {
        "main chain": (atoms.depths == 0) & plain,
        "carbonyl O": atoms.charges == CARBONYL,
        "CB": atoms.depths == 1,
        "gamma": (atoms.depths == 2) & plain,
        "beyond": (atoms.depths > 2) & plain,
        "acid O": carboxylate,
    }
    return {name: which for name, which in classes.items() if which.sum() >= FEWEST}


def _density(atoms: Structure, weights: Tensor | None, radius: Tensor, shape: tuple) -> Tensor:
    b = torch.full((len(atoms),), MODEL_B)
    return structure_density(atoms.positions, atoms.atomic_numbers, b, radius, shape, weights)


def _coefficients(atoms: Structure, which: Tensor, soft: Tensor, radius: Tensor) -> Tensor:
    shape = tuple(soft.shape)
    density = torch.fft.irfftn(_density(atoms.chosen(which), None, radius, shape), s=shape)
    return torch.fft.rfftn(density * soft)


def _distance(positions: Tensor, radius: Tensor, shape: tuple) -> Tensor:
    """Distance (A; z, y, x) to the nearest atom, atoms taken to the nearest voxel."""
    from scipy.ndimage import distance_transform_edt

    empty = ~surroundings.near(positions, 0.5, radius, shape)
    return torch.from_numpy(distance_transform_edt(empty.numpy())).float()


def _product(a: Tensor, b: Tensor, radius: Tensor) -> Tensor:
    return shell_means((a * b.conj()).real, radius, SHELL)[0]


def _at(curve: Tensor, s: Tensor | float) -> Tensor:
    """The shells' curve at s (1/A)."""
    return curve[(torch.as_tensor(s) / SHELL).round().long()]


def _correlations(observed: Tensor, model: Tensor, radius: Tensor) -> dict[str, float]:
    both, own, other = (
        _product(*pair, radius) for pair in ((observed, model), (observed, observed), (model, model))
    )
    curve = both / (own * other).clamp(min=1e-30).sqrt()
    return {f"correlation {d} A": float(_at(curve, 1 / d)) for d in RESOLUTIONS}


def _strengths(observed: Tensor, model: Tensor, parts: dict[str, Tensor], radius: Tensor) -> dict[str, float]:
    power = _product(observed, observed, radius).clamp(min=1e-12)
    scale = _product(observed, model, radius) / _product(model, model, radius).clamp(min=1e-30)
    figures = {}
    for low, high in BANDS:
        band = (radius > 1 / low) & (radius < 1 / high)
        s = radius[band]
        columns = torch.stack([part[band] * _at(scale / power.sqrt(), s) for part in parts.values()], dim=1)
        wanted = observed[band] / _at(power, s).sqrt()
        columns, wanted = (torch.cat([v.real, v.imag]).double() for v in (columns, wanted))
        found = torch.linalg.lstsq(columns, wanted[:, None]).solution[:, 0]
        for name, value in zip(list(parts)[1:], (found / found[0]).tolist()[1:], strict=True):
            figures[f"{name} {low:g}-{high:g} A"] = value
    return figures


def _left_over(
    observed: Tensor,
    coefficients: Tensor,
    model: Tensor,
    atoms: Structure,
    seen: Tensor,
    distance: Tensor,
    radius: Tensor,
) -> dict[str, float]:
    shape = tuple(observed.shape)
    scale = _product(coefficients, model, radius) / _product(model, model, radius).clamp(min=1e-30)
    explained = torch.fft.irfftn(
        _density(atoms, None, radius, shape) * scale[(radius / SHELL).round().long()], s=shape
    )
    rest = observed - explained
    top = explained[distance < 1.2].square().mean().sqrt()
    figures = {}
    for low, high in DISTANCES:
        there = seen & (distance >= low) & (distance < high)
        if there.sum() >= FEWEST:
            figures[f"left over {low:g}-{high:g} A"] = float(rest[there].square().mean().sqrt() / top)
    close = rest[distance < 2.2].double()
    close = close - close.mean()
    figures["kurtosis"] = float((close**4).mean() / (close**2).mean() ** 2 - 3)
    return figures
