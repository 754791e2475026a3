"""The command `mapcc`: how well maps agree with a model, or with another map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from chimerax.atomic import Residues
from chimerax.core.commands import (
    BoolArg,
    CmdDesc,
    EnumOf,
    JSONResult,
    ListOf,
    ObjectsArg,
    PositiveFloatArg,
    SaveFileNameArg,
    register,
)
from chimerax.core.errors import UserError
from chimerax.core.objects import Objects
from chimerax.core.session import Session
from chimerax.core.toolshed import CommandInfo
from chimerax.map import MapArg, MapsArg, Volume

from .cryomap.assess.results import Report
from .cryomap.errors import InputError

METRICS = ("all", "cc", "fsc", "qscore", "classes", "cubes")


@dataclass(frozen=True)
class Comparison:
    """What `mapcc` found.

    Attributes:
        volumes: the maps.
        residues: the model's residues, in the order of the report's; None without a model.
        report: all figures, as the engine gives them: `report.maps[0].figures["cc_mask"]`.
    """

    volumes: tuple[Volume, ...]
    residues: Residues | None
    report: Report

    @property
    def figures(self) -> dict:
        """The figures as plain dicts and lists, as `saveJson` writes them, with the maps' model numbers."""
        found = self.report.as_dict()
        for volume, of_map in zip(self.volumes, found["maps"], strict=True):
            of_map["id"] = volume.id_string
        return found


def mapcc(
    session: Session,
    volumes: list[Volume],
    to: Objects,
    resolution: float | None = None,
    metrics: Sequence[str] = ("all",),
    mask: Volume | None = None,
    sigma: float = 0.6,
    per_residue: bool = False,
    color: bool = False,
    plot: bool = False,
    save_table: str | None = None,
    save_json: str | None = None,
    return_json: bool = False,
) -> Comparison | JSONResult:
    """Assess maps against atoms or a map, on their full grids and where they lie in the scene.

    Args:
        session: the session.
        volumes: the maps; changes are told against the first.
        to: atoms, or one map.
        resolution: of the maps in A; by default d99 of the first.
        metrics: of METRICS.
        mask: a map inside whose contour to compare, instead of the masks made from the model.
        sigma: of the Q-scores, in A.
        per_residue: whether to list residues in the Log.
        color: whether to color the model by Q-score, or by RSCC if there are no Q-scores.
        plot: whether to show the plots.
        save_table: CSV file to write.
        save_json: JSON file to write.
        return_json: wrap the figures for REST.

    Raises:
        UserError: for anything that can't be compared.
    """
    from .results_html import report_table, residue_table

    _require_gemmi()
    if color and not (len(to.atoms) and {"all", "cc", "qscore", "classes"} & set(metrics)):
        raise UserError("mapcc: color needs atoms to color, and cc, qscore or classes among the metrics")
    compared = _assess(session, volumes, to, resolution, metrics, mask, sigma, (save_table, save_json))
    report, residues, logger = compared.report, compared.residues, session.logger
    names = _set_attributes(session, compared)
    logger.info(report_table(report, compared.volumes, residues, names), is_html=True)
    if per_residue and residues is not None:
        logger.info(residue_table(report, compared.volumes, residues), is_html=True)
    if color:
        _color(session, to, report, names[0])
    if plot and session.ui.is_gui:
        _plot(session, compared, to)
    elif plot:
        logger.warning("mapcc: there's no window for plots; saveJson writes all that they show")
    _save(session, report, save_table, save_json)
    return JSONResult(json.dumps(compared.figures), compared) if return_json else compared


def _require_gemmi() -> None:
    if find_spec("gemmi") is None:
        raise UserError('mapcc needs the Python package gemmi: type "pip install gemmi" once.')


def _assess(
    session: Session,
    volumes: list[Volume],
    to: Objects,
    resolution: float | None,
    metrics: Sequence[str],
    mask: Volume | None,
    sigma: float,
    files: Sequence[str | None],
) -> Comparison:
    from .cryomap.assess.report import assess
    from .cryomap.density import require_writable
    from .scene_to_engine import atomic_model, density_map, full_region
    from .volumes import contour_level, mask_on

    if not volumes:
        raise UserError("mapcc: no maps given; open a map first, or see its number in the Models panel")
    target = _target_map(to)
    first, status = volumes[0], session.logger.status
    frame = first.scene_position
    try:
        for path in filter(None, files):
            require_writable(path)
        status("mapcc: reading maps")
        model, residues = (None, None) if target else atomic_model(to.atoms, frame)
        report = assess(
            [density_map(volume, frame) for volume in volumes],
            model,
            density_map(target, frame) if target else None,
            resolution=resolution,
            metrics=metrics,
            mask=None if mask is None else mask_on(mask, first, full_region(first)),
            sigma=sigma,
            levels=[contour_level(volume) for volume in volumes],
            progress=lambda step: status(f"mapcc: {step}"),
        )
    except InputError as error:
        raise UserError(f"mapcc: {error}") from None
    finally:
        status("")
    return Comparison(tuple(volumes), residues, report)


def _target_map(to: Objects) -> Volume | None:
    """The map that `to` names, or None if it names atoms."""
    maps = [model for model in to.models if isinstance(model, Volume)]
    if len(to.atoms):
        if maps:
            raise UserError("mapcc: to names both atoms and a map; give one or the other")
        return None
    if len(maps) != 1:
        found = f"{len(maps)} maps" if maps else "neither atoms nor a map"
        raise UserError(f"mapcc: to names {found}; give atomic models or one map")
    return maps[0]


def _set_attributes(session: Session, compared: Comparison) -> list[str]:
    """Set the residue attributes to the values in the last map; returns their names."""
    from .residue_values import register_attributes, set_values
    from .result_rows import residue_values

    if compared.residues is None:
        return []
    register_attributes(session)
    found = residue_values(compared.report.maps[-1])
    for name, values in found.items():
        set_values(compared.residues, name, values)
    return list(found)


def _color(session: Session, to: Objects, report: Report, name: str) -> None:
    from .residue_values import color_residues

    expected = report.maps[-1].figures.get("q_expected") if name == "qscore" else None
    color_residues(session, to.spec, name, expected or 0.5)


def _plot(session: Session, compared: Comparison, to: Objects) -> None:
    from .plot_data import plot_data
    from .plot_panel import show_plots

    title = f"{', '.join('#' + volume.id_string for volume in compared.volumes)} to {to.spec}"
    show_plots(session, plot_data(title, compared.volumes, compared.residues, compared.report))


def _save(session: Session, report: Report, table: str | None, as_json: str | None) -> None:
    from .cryomap.assess.results import write_text

    for path, text in ((table, report.to_csv), (as_json, report.to_json)):
        if path:
            try:
                write_text(text(), path)
            except InputError as error:
                raise UserError(f"mapcc: {error}") from None
            session.logger.info(f"mapcc: wrote {path}")


def register_command(info: CommandInfo, logger) -> None:
    """Register `mapcc`."""
    description = CmdDesc(
        required=[("volumes", MapsArg)],
        keyword=[
            ("to", ObjectsArg),
            ("resolution", PositiveFloatArg),
            ("metrics", ListOf(EnumOf(METRICS))),
            ("mask", MapArg),
            ("sigma", PositiveFloatArg),
            ("per_residue", BoolArg),
            ("color", BoolArg),
            ("plot", BoolArg),
            ("save_table", SaveFileNameArg),
            ("save_json", SaveFileNameArg),
        ],
        required_arguments=["to"],
        synopsis=info.synopsis,
    )
    register(info.name, description, mapcc, logger=logger)
