"""What real maps show less of than their models have: side chains and above all oxygens that carry charge.

Measured on nine maps of 2.9-3.9 A that were not trained on: the strengths of classes of atoms, over the main chain's,
that explain a map best, between 10 and 7, 7 and 5.5, 5.5 and 4.5, 4.5 and 3.5 A (medians): carbonyl oxygens .26, .22,
.20, .19; C beta .35, .44, .62, .83; gamma .38, .61, .73, .67; beyond .49, .58, .55, .56; oxygens of aspartate and
glutamate -.02, .02, -.02, .12. That side chains show less at lower resolution is the ice that they displace
(`atoms_to_density.displaced_volumes`). Residues differ by a quarter of their strength.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from .randomness import uniform

REMOTENESS = "BGDEZH"
# An atom's share in the motion of its side chain, by the bonds that part it from C alpha.
MOTION = (0.0, 0.4, 0.9, 1.05, 1.15, 1.25, 1.35)
# What a side chain loses in a map whose side chains are as weak as in most.
FADING = 0.45
NEUTRAL, CARBONYL, CARBOXYLATE, PHOSPHATE = range(4)


def depth(name: str, kind: str) -> int:
    """Bonds between an atom and C alpha, 0 for the main chain and all that isn't protein."""
    return REMOTENESS.find(name[1:2]) + 1 if kind == "protein" and len(name) > 1 else 0


def charge(name: str, residue: str, kind: str) -> int:
    """Which of the oxygens that carry negative charge an atom is; NEUTRAL if none."""
    if kind == "protein" and name in ("O", "OXT"):
        return CARBONYL
    if residue in ("ASP", "GLU") and name[:2] in ("OD", "OE"):
        return CARBOXYLATE
    return PHOSPHATE if kind == "nucleic" and name in ("OP1", "OP2", "OP3") else NEUTRAL


def side_chains_of(names: Sequence[str], residues: Sequence[str], kinds: Sequence[str]) -> np.ndarray:
    """uint8 (2, n): `depth` and `charge` of atoms with these names, in residues of these names and kinds."""
    rows = zip(names, residues, kinds, strict=True)
    return np.array([(depth(n, k), charge(n, r, k)) for n, r, k in rows], np.uint8).reshape(-1, 2).T


def motion(depths: Tensor, residues: Tensor, ranks: Tensor, mean: float, rng: Generator) -> Tensor:
    """B factors (A^2) to add, as side chains move the more the further out, each residue's by its own measure.

    Args:
        depths: (n,), see `depth`.
        residues: (n,), number of each atom's residue.
        ranks: (n,), 0..1: what is mobile in the crystal is mobile here.
        mean: mean B factor of the map.
    """
    amount = uniform(0, 10, rng) + mean * uniform(0, 0.1, rng)
    own = torch.exp(0.7 * _of_residues(residues, rng))
    share = torch.tensor(MOTION, device=depths.device)[depths.long()]
    return amount * share * own * (0.5 + ranks)


def occupancies(depths: Tensor, charges: Tensor, residues: Tensor, rng: Generator) -> Tensor:
    """How much of each atom shows, 0..1.

    Side chains take several shapes and suffer from the beam, acids first; negative charge scatters electrons less.
    """
    fade, polar, damage = uniform(0.0, 1.0, rng), uniform(0.5, 1.2, rng), uniform(0.4, 1.2, rng)
    own = torch.exp(0.4 * _of_residues(residues, rng))
    shown = (1 - fade * (depths > 0) * FADING * own).clamp(min=0.1)
    shown[charges == CARBONYL] = max(0.0, 1 - polar)
    shown[charges == PHOSPHATE] = 1 - 0.5 * polar
    shown[charges == CARBOXYLATE] = max(0.0, 1 - damage)
    return shown


def strengths(residues: Tensor, rng: Generator) -> Tensor:
    """Factors of the atoms' density: each residue's own, and one that neighbours along the chain share."""
    own, shared = (_of_residues(residues, rng, along) for along in (1, 9))
    return torch.exp(uniform(0, 0.22, rng) * own + uniform(0, 0.12, rng) * shared)


def _of_residues(residues: Tensor, rng: Generator, along: int = 1) -> Tensor:
    """A normal number for each residue, given to its atoms; averaged `along` so many residues."""
    n = int(residues.max()) + 1 if len(residues) else 1
    drawn = torch.randn(n + along - 1, generator=rng).unfold(0, along, 1).sum(dim=1) / along**0.5
    return drawn.to(residues.device)[residues.long()]
