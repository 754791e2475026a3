"""Opens what the engine found out about a result: markers, maps, colors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from chimerax.core.session import Session
from chimerax.map import Volume

from ..cryomap.grid import Grid
from ..scene.nearest_residue import describe, nearest_residues
from ..trust.color import color_by
from ..trust.markers import add_markers
from ..trust.model import TrustModel
from .job_files import Answer, EnhanceSettings

DISAGREEMENT = 0.5  # level at which the map of agreement is contoured, if it's shown


@dataclass(frozen=True)
class Halves:
    """Half maps enhanced alone.

    Attributes:
        names: of the half maps.
        answers: what became of them.
        agreement: local correlation of the two, float32 (z, y, x) on `grid`.
        grid: in the coordinates of the half maps.
        report: of the engine.
    """

    names: Sequence[str]
    answers: Sequence[Answer]
    agreement: np.ndarray
    grid: Grid
    report: dict


def open_trust(
    session: Session, result: Volume, answer: Answer, wanted: EnhanceSettings, halves: Halves | None = None
) -> TrustModel | None:
    """Open the group that belongs to a result, and color the result if that's wanted.

    The residues nearest to each region are added to the engine's report. There is no group if there's nothing to show.
    """
    trust = answer.report.get("trust") or {"lost": [], "invented": []}
    _name_regions(session, result, answer, trust)
    if halves is not None:
        _name_disagreements(session, result, halves.report)
    extras = answer.extras
    if not (trust["lost"] or trust["invented"] or halves or {"support", "deviation"} & set(extras)):
        return None
    group = TrustModel(session, result, trust if halves is None else {**trust, "halves": halves.report})
    session.models.add([group])
    for kind in ("lost", "invented"):
        add_markers(group, kind, trust[kind])
    if "deviation" in extras:
        group.add_map(f"standard deviation of {wanted.samples}", extras["deviation"], answer.grid)
    chosen = None
    if "support" in extras:
        chosen = group.add_map("support", extras["support"], answer.input_grid, DISAGREEMENT)
    if halves is not None:
        agreement = _add_halves(group, halves)
        chosen = agreement if wanted.color_by == "agreement" else chosen
    if chosen is not None:
        color_by(session, result, chosen)
    return group


def _add_halves(group: TrustModel, halves: Halves) -> Volume:
    add_markers(group, "disagreement", halves.report["disagreements"])
    for name, answer in zip(halves.names, halves.answers, strict=True):
        group.add_map(f"{name} alone", answer.values, answer.grid, answer.report.get("contour_out"))
    return group.add_map("agreement of the halves", halves.agreement, halves.grid, DISAGREEMENT)


def _name_regions(session: Session, result: Volume, answer: Answer, trust: dict) -> None:
    """Add to each region the residue nearest to it."""
    voxels = answer.extras.get("regions", np.zeros((0, 4), np.int32))
    regions = [*enumerate(trust["lost"], 1), *((-n, one) for n, one in enumerate(trust["invented"], 1))]
    points = [answer.input_grid.to_xyz(voxels[voxels[:, 0] == number][:, :0:-1]) for number, _ in regions]
    _add_names(session, result, [region for _, region in regions], points)


def _name_disagreements(session: Session, result: Volume, report: dict) -> None:
    regions = report["disagreements"]
    _add_names(session, result, regions, [np.array([region["center"]]) for region in regions])


def _add_names(session: Session, result: Volume, regions: list[dict], points: list[np.ndarray]) -> None:
    found = nearest_residues(session, points, result.scene_position)
    for region, near in zip(regions, found, strict=True):
        if near is not None:
            region.update(describe(*near))
