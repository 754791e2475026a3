"""How a map shows the model that is known of it: figures in which simulated maps should be like real ones."""

from __future__ import annotations

import torch
from torch import Tensor

from . import surroundings
from .atoms_to_density import structure_density
from .box import Box
from .degrade import shell_means
from .experiment import Experiment
from .side_chains import CARBONYL, CARBOXYLATE, NEUTRAL
from .structures import Structure

RESOLUTIONS = (10, 7, 6, 5, 4)  # A
BANDS = ((20, 10), (10, 7), (7, 4.5), (4.5, 3.2))  # A
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
    box, atoms = Box(tuple(e.observed.shape)), e.atoms
    distance = _distance(atoms.positions, box)
    soft = surroundings.soft_edge(distance < 2.5, 2.0, box)
    seen = e.observed != e.observed.flatten()[0]  # a zone mask leaves a constant
    if seen.float().mean() > 0.95:
        seen = torch.ones_like(seen)
    observed = (e.observed - e.observed[seen & (distance > 2.5)].mean()).nan_to_num(0) * seen
    coefficients = box.fourier(observed * soft)
    parts = {
        name: _within(_density(atoms.chosen(which), box), soft, box)
        for name, which in _classes(atoms).items()
    }
    parts["envelope"] = box.fourier(soft * soft)
    density = _density(atoms, box)
    whole = _within(density, soft, box)
    both, power = _product(coefficients, whole, box), _product(whole, whole, box).clamp(min=1e-30)
    observed_power = _product(coefficients, coefficients, box)
    correlation = both / (observed_power * power).clamp(min=1e-30).sqrt()
    scale = both / power
    whitened = scale / observed_power.clamp(min=1e-12).sqrt()
    explained = box.real(density * _at(scale, box.frequencies))
    return {
        **{f"correlation {d} A": float(_at(correlation, 1 / d)) for d in RESOLUTIONS},
        **_strengths(coefficients, observed_power, parts, whitened, box),
        **_left_over(observed - explained, explained, seen, distance),
    }


def _classes(atoms: Structure) -> dict[str, Tensor]:
    """Masks (n,) of the classes there are enough of; the main chain is first."""
    plain = atoms.charges == NEUTRAL
    classes = {
        "main chain": (atoms.depths == 0) & plain,
        "carbonyl O": atoms.charges == CARBONYL,
        "CB": atoms.depths == 1,
        "gamma": (atoms.depths == 2) & plain,
        "beyond": (atoms.depths > 2) & plain,
        "acid O": atoms.charges == CARBOXYLATE,
    }
    return {name: which for name, which in classes.items() if which.sum() >= FEWEST}


def _density(atoms: Structure, box: Box) -> Tensor:
    b = torch.full((len(atoms),), MODEL_B)
    return structure_density(atoms.positions, atoms.atomic_numbers, b, box)


def _within(coefficients: Tensor, soft: Tensor, box: Box) -> Tensor:
    """Coefficients of a density within a soft edge."""
    return box.fourier(box.real(coefficients) * soft)


def _distance(positions: Tensor, box: Box) -> Tensor:
    """Distance (A; z, y, x) to the nearest atom, atoms taken to the nearest voxel."""
    from scipy.ndimage import distance_transform_edt

    empty = ~surroundings.near(positions, 0.5, box)
    return torch.from_numpy(distance_transform_edt(empty.numpy())).float()


def _product(a: Tensor, b: Tensor, box: Box) -> Tensor:
    return shell_means((a * b.conj()).real, box, SHELL)[0]


def _at(curve: Tensor, s: Tensor | float) -> Tensor:
    """The shells' curve at s (1/A)."""
    return curve[(torch.as_tensor(s) / SHELL).round().long()]


def _strengths(
    observed: Tensor, power: Tensor, parts: dict[str, Tensor], whitened: Tensor, box: Box
) -> dict[str, float]:
    """Of each part, over the first's; `power` of the observed and `whitened` factors of the parts by shell."""
    figures = {}
    for low, high in BANDS:
        band = (box.frequencies > 1 / low) & (box.frequencies < 1 / high)
        s = box.frequencies[band]
        columns = torch.stack([part[band] * _at(whitened, s) for part in parts.values()], dim=1)
        wanted = observed[band] / _at(power.clamp(min=1e-12), s).sqrt()
        columns, wanted = (torch.cat([v.real, v.imag]).double() for v in (columns, wanted))
        found = torch.linalg.lstsq(columns, wanted[:, None]).solution[:, 0]
        for name, value in zip(list(parts)[1:], (found / found[0]).tolist()[1:], strict=True):
            figures[f"{name} {low:g}-{high:g} A"] = value
    return figures


def _left_over(rest: Tensor, explained: Tensor, seen: Tensor, distance: Tensor) -> dict[str, float]:
    from scipy.stats import kurtosis

    top = explained[distance < 1.2].square().mean().sqrt()
    figures = {}
    for low, high in DISTANCES:
        there = seen & (distance >= low) & (distance < high)
        if there.sum() >= FEWEST:
            figures[f"left over {low:g}-{high:g} A"] = float(rest[there].square().mean().sqrt() / top)
    figures["kurtosis"] = float(kurtosis(rest[distance < 2.2].double().numpy()))
    return figures
