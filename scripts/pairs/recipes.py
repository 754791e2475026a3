"""What each paper asks of an experimental pair, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cryomap import simulate
from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics import cubes
from cryomap.metrics.correlation import model_map

BACKBONE = ("N", "CA", "C", "O", "OXT")


@dataclass(frozen=True)
class PairRecipe:
    """How a method's pairs are chosen and cut.

    Attributes:
        method: "superem" or "cryosamu".
        resolutions: lowest and highest resolution in A.
        min_correlation: of the map with the one simulated from its model.
        max_identity: of any chain with any of another entry, in percent.
        protein_only: whether nucleic acid, unknown residues and bare backbones are refused.
        size: edge of the cubes, voxels of 1 A.
        stride: of the cubes.
        margin: how far the first cubes begin before the map (zeros).
        normalization: a key of `cryomap.enhance.normalize.NORMALIZATIONS`.
    """

    method: str
    resolutions: tuple[float, float]
    min_correlation: float
    max_identity: float
    protein_only: bool
    size: int
    stride: int
    margin: int
    normalization: str


PAIR_RECIPES = {
    # SuperEM, Methods, "Dataset Generation".
    "superem": PairRecipe("superem", (3.0, 6.0), 0.65, 25.0, False, 25, 4, 0, "superem"),
    # CryoSAMU, sections 3.1 and 3.2. Cubes of 64 of which inference keeps the central 50: so they are set 50
    # apart here, the first one's centre at the map's corner.
    "cryosamu": PairRecipe("cryosamu", (4.0, 8.0), 0.65, 30.0, True, 64, 50, 7, "cryosamu"),
}


def target_resolution(method: str, resolution: float) -> float:
    """What a target is simulated at, in A: CryoSAMU's at 2 A, SuperEM's by `cubes.target_resolution`."""
    if method == "superem":
        return cubes.target_resolution(resolution)
    return 2.0


def target(method: str, model: AtomicModel, grid: Grid, resolution: float) -> DensityMap:
    """The density a network is to make, from the model's heavy atoms but water: Situs' Gaussian, or TEMPy2's."""
    simulated = simulate.situs_map if method == "superem" else simulate.tempy_map
    model = model.subset(model.atom_kinds != "water")
    return simulated(model, grid, target_resolution(method, resolution))


def objection(recipe: PairRecipe, model: AtomicModel, resolution: float) -> str:
    """Why a recipe refuses an entry for what it is, or ""."""
    low, high = recipe.resolutions
    if not low <= resolution <= high:
        return f"resolution {resolution:g} A is outside {low:g} to {high:g} A"
    kinds = model.atom_kinds
    if recipe.protein_only and (kinds == "nucleic").any():
        return "nucleic acid in it"
    if recipe.protein_only and any(r.name in ("UNK", "UNX") for r in model.residues):
        return "unknown residues (UNK) in it"
    if recipe.protein_only and not (kinds == "protein").any():
        return "no protein in it"
    if recipe.protein_only and side_chain_share(model) < 0.5:
        return "side chains are missing"
    return ""


def side_chain_share(model: AtomicModel) -> float:
    """Share of the protein residues but glycine that have an atom beyond the backbone; 1 if there are none."""
    beyond = ~np.isin(model.atom_names, BACKBONE) & (model.atomic_numbers > 1)
    complete = set(model.residue_indices[beyond].tolist())
    wanted = [i for i, r in enumerate(model.residues) if r.kind == "protein" and r.name != "GLY"]
    return sum(i in complete for i in wanted) / len(wanted) if wanted else 1.0


def map_model_correlation(density: DensityMap, model: AtomicModel, resolution: float) -> float:
    """How a map agrees with its model: sum uv / sqrt(sum u^2 sum v^2), as Chimera's "measure correlation".

    u is the map simulated from the model at the map's resolution, inside the molecular mask; v is the
    experimental one there.

    Raises:
        InputError: half of the model or more lies outside the map.
    """
    indices = density.grid.to_indices(model.positions)
    inside = ((indices >= 0) & (indices <= np.array(density.grid.size) - 1)).all(axis=1)
    if inside.mean() <= 0.5:
        share = 100 * (1 - inside.mean())
        raise InputError(f"{density.name}: {share:.0f} % of {model.name} lies outside the map")
    computed = model_map(model.subset(inside), density.grid, resolution)
    u, v = (
        a[computed.mask].astype(float) for a in (computed.density.values, computed.part_of(density.values))
    )
    norms = np.sqrt((u * u).sum() * (v * v).sum())
    return float((u * v).sum() / norms) if norms > 0 else 0.0


def with_changes(recipe: PairRecipe, **changes: float | None) -> PairRecipe:
    """The recipe with those values changed that are not None."""
    return replace(recipe, **{key: value for key, value in changes.items() if value is not None})
