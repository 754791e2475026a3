"""What is simulated: the numbers that the steps are drawn from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from cryomap.metrics.cubes import target_resolution
from cryomap.typed_json import from_plain

from .atoms_to_density import mass_weights, scattering_weights

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
WEIGHTS = {"number": Tensor.float, "mass": mass_weights, "scattering": scattering_weights}
PROBABILITIES = "ligand_fraction side_chains zone soft_mask neighbour ions detergent blobs".split()
PROBABILITIES += "anisotropic coarse solvent".split()


@dataclass(frozen=True)
class Settings:
    """What is simulated.

    Attributes:
        resolution: lowest and highest resolution (A), drawn evenly.
        target_sigma: width (A) of the target's Gaussians; 0: as pdb2vol makes SuperEM's, see `sigma_at`.
        target_weights: of the target's atoms, a key of `WEIGHTS`: "number", their atomic numbers (TEMPy), "mass"
            (pdb2vol), or "scattering", see `scattering_weights`.
        target_low_pass: finest detail (A) of the target, see `target_density`.
        box: edge of the simulated box in voxels of 1 A.
        normalization: of the input, see `normalize`.
        target_scale: target densities are divided by this many heights of a lone carbon, then clipped to 1; 0: they are
            normalised as the input is.
        waters_until: maps and targets up to this resolution (A) hold waters; in others none can be seen.
        ligand_fraction: probability that the box lies about a ligand, ion, lipid or glycan, where there is one.
        mean_b: lowest and highest mean B factor, over the resolution's square.
        local_b: highest weights of what B factors vary by, see `degrade.local_b_factors`.
        side_chains: probability that side chains and negative charges show less, see `side_chains`.
        overstated: up to so many times coarser than stated the true resolution is; at the finest and at the
            coarsest resolution, evenly between. None: it is as stated.
        unexplained: highest amount, see `degrade.unexplained`, likewise; drawn from 0 on, evenly.
        zone, soft_mask, neighbour, ions, detergent, blobs, anisotropic, coarse, solvent: probabilities of each; one
            to three neighbours at a time, one to twelve ions.
    """

    resolution: tuple[float, float] = (3.0, 6.0)
    target_sigma: float = 0.866
    target_weights: str = "number"
    target_low_pass: float = 0.0
    box: int = 96
    normalization: Mapping[str, Any] = field(default_factory=lambda: {"name": "moments"})
    target_scale: float = 4.0
    waters_until: float = 2.8
    ligand_fraction: float = 0.0
    mean_b: tuple[float, float] = (4.0, 14.0)
    local_b: tuple[float, float, float] = (0.5, 0.3, 0.25)
    side_chains: float = 0.9
    overstated: tuple[float, float] | None = (1.25, 1.25)
    unexplained: tuple[float, float] | None = (0.7, 0.7)
    zone: float = 0.4
    soft_mask: float = 0.25
    neighbour: float = 0.4
    ions: float = 0.3
    detergent: float = 0.12
    blobs: float = 0.2
    anisotropic: float = 0.2
    coarse: float = 0.25
    solvent: float = 0.7

    def __post_init__(self) -> None:
        if self.target_weights not in WEIGHTS:
            raise ValueError(f"target_weights {self.target_weights!r}: not one of {', '.join(WEIGHTS)}")
        low, high = self.resolution
        if not 0 < low <= high:
            raise ValueError(f"resolution {low:g} to {high:g}: must be above 0, the lower one first")
        for name in PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: a probability, 0 to 1")

    def sigma_at(self, resolution: float) -> float:
        """Width (A) of the target's Gaussians for a map of that resolution (A).

        Of pdb2vol's kernel exp(-1.5 r^2 / (R / 2)^2): R / sqrt(12), at the R that SuperEM's rule gives.
        """
        return self.target_sigma or target_resolution(resolution) / 12**0.5

    def at(self, resolution: float, ends: tuple[float, float]) -> float:
        """A setting at a resolution (A), of its values at the finest and the coarsest one."""
        low, high = self.resolution
        share = min(max((resolution - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        return ends[0] + share * (ends[1] - ends[0])


def settings_of(method: str) -> Settings:
    """Those of a method's paper, as its recipe has them."""
    content = tomllib.loads((RECIPES / f"{method}.toml").read_text(encoding="utf-8"))
    return from_plain(Settings, content["data"], "data")
