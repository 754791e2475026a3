"""What each paper asks of an experimental pair, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from cryomap.atoms import AtomicModel
from cryomap.density import DensityMap
from cryomap.errors import InputError
from cryomap.grid import Grid
from cryomap.metrics.correlation import model_map, nth_largest
from cryomap.metrics.inputs import prepare_model
from cryomap.metrics.masks import molecular_mask
from cryomap.metrics.unmodelled import unmodelled
from simulation.box import Box
from simulation.experiment import scaled, target_of
from simulation.settings import Settings, settings_of
from simulation.structures import first_conformations, structure_of

NOTHING = 3e-3  # of a target's maximum: about what is left of an atom where pdb2vol cuts it off
BACKBONE = ("N", "CA", "C", "O", "OXT")


@dataclass(frozen=True)
class PairRecipe:
    """How a method's pairs are chosen and cut.

    Attributes:
        method: "superem" or "cryosamu".
        min_correlation: of the map with the one simulated from its model.
        max_unmodelled: share of the density that may lie far from the model, see `unmodelled_share`.
        max_identity: of any chain with any of another entry, in percent.
        protein_only: whether nucleic acid, unknown residues and bare backbones are refused.
        size: edge of the cubes, voxels of 1 A.
        stride: of the cubes.
        margin: how far the first cubes begin before the map (zeros).
        data: the paper's recipe: resolutions, how maps are normalised and targets made.
    """

    method: str
    min_correlation: float
    max_unmodelled: float
    max_identity: float
    protein_only: bool
    size: int
    stride: int
    margin: int
    data: Settings


PAIR_RECIPES = {
    # SuperEM, Methods, "Dataset Generation".
    "superem": PairRecipe("superem", 0.65, 1.0, 25.0, False, 25, 4, 0, settings_of("superem")),
    # CryoSAMU, sections 3.1 and 3.2. "Extensive regions without or misaligned" models is given no number there: here
    # it is more density without a model than with one. Cubes of 64 of which inference keeps the central 50: so they
    # are set 50 apart here, the first one's centre at the map's corner.
    "cryosamu": PairRecipe("cryosamu", 0.65, 0.5, 30.0, True, 64, 50, 7, settings_of("cryosamu")),
}


def target(recipe: PairRecipe, model: AtomicModel, grid: Grid, resolution: float) -> np.ndarray:
    """The density (z, y, x) on a grid of 1 A that a network is to make of a map of that resolution (A), 0..1.

    Made by the function that makes the targets of simulated maps.

    Raises:
        ValueError: there is nothing of the model on the grid.
    """
    shown, _ = first_conformations(model, waters=resolution <= recipe.data.waters_until)
    atoms = structure_of(shown, model.name)
    positions = torch.from_numpy(grid.to_indices(shown.positions)[:, ::-1].copy()).float()
    box = Box(grid.shape)
    atoms = replace(atoms, positions=positions).chosen(box.holds(positions, 6))
    made = scaled(target_of(atoms, recipe.data, box, resolution), recipe.data)
    # A cube with nothing else in it counts as empty.
    return made.where(made > NOTHING, torch.zeros(())).numpy()


def objection(recipe: PairRecipe, model: AtomicModel, resolution: float) -> str:
    """Why a recipe refuses an entry for what it is, or ""."""
    low, high = recipe.data.resolution
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


def unmodelled_share(density: DensityMap, model: AtomicModel, resolution: float) -> float:
    """How much of a map's density lies far from the model: a part that wasn't built, or a model in another place.

    The density is as many of the highest voxels as the model's molecular mask has, so that no contour is needed; a
    correlation inside that mask doesn't see what is beside it.

    Raises:
        InputError: no atom lies in the map.
    """
    inside = prepare_model(model, [density]).model
    level = nth_largest(density.values, int(molecular_mask(inside, density.grid).sum()))
    return unmodelled(density, inside, level, resolution).share


def with_changes(recipe: PairRecipe, **changes: float | None) -> PairRecipe:
    """The recipe with those values changed that are not None."""
    return replace(recipe, **{key: value for key, value in changes.items() if value is not None})
