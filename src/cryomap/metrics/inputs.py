"""Checks maps, model and resolution before anything is computed, and says in words what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..atoms import AtomicModel, require_possible
from ..density import DensityMap
from ..errors import InputError, OutsideError
from .fourier import d99, reflections

# The last element with electron form factors in International Tables 4.3.2.2.
LAST_ELEMENT = 98
# What Phenix's users give a model without B factors.
DEFAULT_B_FACTOR = 50.0
FINEST_RESOLUTION, COARSEST_RESOLUTION = 0.5, 50.0


@dataclass(frozen=True)
class Prepared:
    """A model fit to be compared with the maps.

    Attributes:
        model: the atoms that lie in every map and have a known element; `residues` is whole.
        kept: int (n,), which atoms of the given model these are.
        notes: what was left out or replaced, in sentences.
    """

    model: AtomicModel
    kept: np.ndarray
    notes: tuple[str, ...]


def check_map(density: DensityMap) -> None:
    """Refuse a map without density.

    Raises:
        InputError: values that are not finite, or all the same.
    """
    low, high = float(density.values.min()), float(density.values.max())
    if not np.isfinite([low, high]).all():
        raise InputError(f"{density.name}: some density values are not finite numbers; mend the map first")
    if low == high:
        raise InputError(f"{density.name}: every density value is {low:g}; there is nothing to compare with")


def prepare_model(model: AtomicModel, maps: Sequence[DensityMap]) -> Prepared:
    """Leave out what can't be compared, replace what carries no information, and note both.

    Raises:
        InputError: no atoms, numbers of atoms that can't be, no known element, or none inside one of the maps.
    """
    if not len(model):
        raise InputError(f"{model.name}: no atoms in it")
    require_possible(model)
    notes = list(model.notes)
    inside = np.ones(len(model), bool)
    for density in maps:
        inside &= atoms_inside(model, density)
    if not inside.all():
        notes.append(
            f"{model.name}: {np.sum(~inside)} of {len(model)} atoms lie outside the map's box and are left out"
        )
    known = (model.atomic_numbers > 0) & (model.atomic_numbers <= LAST_ELEMENT)
    if not known.all():
        notes.append(f"{model.name}: {np.sum(~known)} atoms of unknown element are left out")
    if not (inside & known).any():
        raise InputError(
            f"{model.name}: no atom of known element inside the maps; check the model's elements"
        )
    kept = np.flatnonzero(inside & known)
    chosen = model.subset(kept)
    if not chosen.b_factors.any():
        notes.append(f"{model.name}: every B factor is 0; {DEFAULT_B_FACTOR:g} Å² is used instead")
        chosen = replace(chosen, b_factors=np.full(len(chosen), DEFAULT_B_FACTOR))
    if not chosen.occupancies.any():
        notes.append(f"{model.name}: every occupancy is 0; 1 is used instead")
        chosen = replace(chosen, occupancies=np.ones(len(chosen)))
    return Prepared(chosen, kept, (*notes, *_remarks(chosen)))


def atoms_inside(model: AtomicModel, density: DensityMap) -> np.ndarray:
    """Which atoms lie in the map's box, bool (n,); InputError if none does."""
    indices = density.grid.to_indices(model.positions)
    inside = np.all((indices > -0.5) & (indices < np.array(density.grid.size) - 0.5), axis=1)
    if not inside.any():
        corners = density.grid.to_xyz(np.array([[0, 0, 0], np.array(density.grid.size) - 1]))
        low, high = model.positions.min(axis=0), model.positions.max(axis=0)
        raise OutsideError(
            f"{model.name} lies outside {density.name}: the atoms span {_span(low, high)}, the map "
            f"{_span(*corners)} (its origin is from the header's {density.frame or 'grid'}); move one to the other"
        )
    return inside


def _span(low: np.ndarray, high: np.ndarray) -> str:
    return " x ".join(f"{a:.0f} to {b:.0f}" for a, b in zip(low, high, strict=True)) + " A"


def _remarks(model: AtomicModel) -> list[str]:
    """How alternate conformations, hydrogens and odd residues count."""
    remarks = []
    alternate = int((model.alt_locs != "").sum())
    if alternate:
        remarks.append(
            f"{model.name}: {alternate} atoms in alternate conformations count by their occupancies; in Q-scores "
            "conformations don't see each other"
        )
    hydrogens = int((model.atomic_numbers == 1).sum())
    if hydrogens:
        remarks.append(f"{model.name}: {hydrogens} hydrogens count in the model map, not in Q-scores")
    names = {r.name for r in model.residues}
    odd = sorted(names & {"UNK", "UNX", "UNL", "N"})
    if odd:
        remarks.append(
            f"{model.name}: unknown residues ({', '.join(odd)}) count as what their atoms look like"
        )
    return remarks


def choose_resolution(resolution: float | None, density: DensityMap) -> tuple[float, list[str]]:
    """The resolution to compare at in A, and notes: d99 of the map where none is given.

    Raises:
        InputError: finer than 0.5 A, or coarser than 50 A.
    """
    nyquist = 2 * max(density.grid.step)
    if resolution is None:
        spacings = reflections(density.grid)
        estimate = round(d99(spacings.of_map(density.values), spacings), 2)
        return estimate, [
            f"no resolution given: d99 of {density.name}, {estimate:g} A, is used; give the reported one to compare "
            "with published figures"
        ]
    if not FINEST_RESOLUTION <= resolution <= COARSEST_RESOLUTION:
        raise InputError(
            f"resolution {resolution:g} A: give one between {FINEST_RESOLUTION:g} and {COARSEST_RESOLUTION:g} A"
        )
    if resolution < nyquist:
        return resolution, [
            f"resolution {resolution:g} A is finer than the grid of {density.name} carries (Nyquist {nyquist:.2f} "
            "A): the model map is cut there"
        ]
    return resolution, []
