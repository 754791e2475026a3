"""Opens what the engine found out about a result: markers, maps, colors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from chimerax.core.session import Session
from chimerax.map import Volume

from ..cryomap.grid import Grid
from ..cryomap.trust.halves import Disagreement, HalvesComparison
from ..cryomap.trust.lost import Region
from ..scene.models import full_region
from ..scene.nearest_residue import atoms_in, describe, nearest_residues
from ..scene.residue_values import register_attributes, set_values
from ..scene.volumes import region_grid
from ..trust.color import color_by
from ..trust.markers import add_markers
from ..trust.model import TrustModel
from .job_files import Answer, Wanted

Place = TypeVar("Place", Region, Disagreement)

DISAGREEMENT = 0.5  # level at which the map of agreement is contoured, if it's shown


@dataclass(frozen=True)
class Halves:
    """Half maps enhanced alone.

    Attributes:
        names: of the half maps.
        answers: what became of them.
        comparison: how far the two agree.
    """

    names: Sequence[str]
    answers: Sequence[Answer]
    comparison: HalvesComparison


def open_trust(
    session: Session, result: Volume, answer: Answer, wanted: Wanted, halves: Halves | None = None
) -> TrustModel | None:
    """Open the group that belongs to a result, and color the result if that's wanted.

    It knows the residues nearest to each region. There is no group if there's nothing to show.
    """
    report, trust = answer.report, answer.report.trust
    grid, support = report.input_grid, trust and trust.support
    regions = trust.lost + trust.invented if trust else ()
    maps = answer.deviation, answer.confidence, support
    if not regions and all(found is None for found in maps) and halves is None:
        return None
    if trust is not None:
        lost, invented = (_named(session, result, grid, r) for r in (trust.lost, trust.invented))
        trust = replace(trust, lost=lost, invented=invented)
    comparison = None
    if halves is not None:
        places = halves.comparison.disagreements
        points = [np.array([place.center]) for place in places]
        named = _with_names(session, result, places, points)
        comparison = replace(halves.comparison, disagreements=named)
    group = TrustModel(session, result, trust, comparison)
    session.models.add([group])
    if trust is not None:
        add_markers(group, "lost", trust.lost)
        add_markers(group, "invented", trust.invented)
    if answer.deviation is not None:
        name = f"standard deviation of {wanted.options.samples}"
        group.add_map(name, answer.deviation, report.output_grid)
    shown = {}
    if answer.confidence is not None:
        shown["confidence"] = group.add_map("confidence", answer.confidence, report.output_grid, DISAGREEMENT)
        _tell_residues(shown["confidence"])
    if support is not None:
        shown["support"] = group.add_map("support", support.values, grid, DISAGREEMENT)
    if halves is not None:
        shown["agreement"] = _add_halves(group, halves)
    if wanted.color_by in shown:
        color_by(session, result, shown[wanted.color_by])
    return group


def _tell_residues(confidence: Volume) -> None:
    """Give the residues of the open models in the map of confidence the mean at their atoms as an attribute."""
    region = full_region(confidence)
    atoms = atoms_in(confidence, region_grid(confidence, region))
    atoms = atoms[atoms.element_numbers != 1]
    if not len(atoms):
        return
    residues = atoms.unique_residues
    owners = residues.indices(atoms.residues)
    sums = np.bincount(owners, confidence.interpolated_values(atoms.scene_coords), len(residues))
    register_attributes(confidence.session)
    set_values(residues, "confidence", sums / np.bincount(owners, minlength=len(residues)))


def _add_halves(group: TrustModel, halves: Halves) -> Volume:
    add_markers(group, "disagreement", group.halves.disagreements)
    for name, answer in zip(halves.names, halves.answers, strict=True):
        report = answer.report
        group.add_map(f"{name} alone", answer.values, report.output_grid, report.contour_out)
    agreement = halves.comparison.agreement
    return group.add_map("agreement of the halves", agreement.values, agreement.grid, DISAGREEMENT)


def _named(session: Session, result: Volume, grid: Grid, regions: tuple[Region, ...]) -> tuple[Region, ...]:
    points = [grid.to_xyz(region.voxels[:, ::-1]) for region in regions]
    return _with_names(session, result, regions, points)


def _with_names(
    session: Session, result: Volume, places: tuple[Place, ...], points: list[np.ndarray]
) -> tuple:
    """The places, each with the residue nearest to its points."""
    found = nearest_residues(session, points, result.scene_position)
    return tuple(
        replace(place, nearest="", kind="") if near is None else replace(place, **describe(*near))
        for place, near in zip(places, found, strict=True)
    )
