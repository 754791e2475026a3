"""The command `mapcc`: how well maps agree with a model, or with another map."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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

from ..cryomap.errors import InputError, OutsideError
from ..cryomap.metrics.assess import METRICS, assess
from ..cryomap.metrics.qscore import SIGMA
from ..cryomap.metrics.results import Assessment
from ..runtime.background import should_block
from ..scene.engine_text import user_error
from .task import MapccTask


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
    report: Assessment

    @property
    def figures(self) -> dict:
        """The figures as plain dicts and lists, as `saveJson` writes them, with the maps' model numbers."""
        found = self.report.to_dict()
        for volume, of_map in zip(self.volumes, found["maps"], strict=True):
            of_map["id"] = volume.id_string
        return found


@dataclass(frozen=True)
class Wishes:
    """What to do with the report, named as the command's options are."""

    per_residue: bool = False
    color: bool = False
    plot: bool = False
    save_table: str | None = None
    save_json: str | None = None


def mapcc(
    session: Session,
    volumes: list[Volume],
    to: Objects,
    resolution: float | None = None,
    metrics: Sequence[str] = ("all",),
    mask: Volume | None = None,
    sigma: float = SIGMA,
    per_residue: bool = False,
    color: bool = False,
    plot: bool = False,
    save_table: str | None = None,
    save_json: str | None = None,
    block: bool | None = None,
    return_json: bool = False,
) -> Comparison | MapccTask | JSONResult:
    """Assess maps against atoms or a map, on their full grids and where they lie in the scene.

    Args:
        session: the session.
        volumes: the maps; changes are told against the first.
        to: atoms, or one map.
        resolution: of the maps in A; by default d99 of the first.
        metrics: of METRICS, or all.
        mask: a map inside whose contour to compare, instead of the masks made from the model.
        sigma: of the Q-scores, in A.
        per_residue: whether to list residues in the Log.
        color: whether to color the model by Q-score, or by RSCC if there are no Q-scores.
        plot: whether to show the plots.
        save_table: CSV file to write.
        save_json: JSON file to write.
        block: wait for the result; by default in scripts, for REST, and where there's no window.
        return_json: wrap the figures for REST.

    Returns:
        What was found, or the running task if it isn't waited for.

    Raises:
        UserError: for anything that can't be compared.
    """
    _require_gemmi()
    if color and not (len(to.atoms) and {"all", "cc", "qscore", "classes"} & set(metrics)):
        raise UserError("mapcc: color needs atoms to color, and cc, qscore or classes among the metrics")
    wishes = Wishes(per_residue, color, plot, save_table, save_json)
    task = _task(session, volumes, to, resolution, metrics, mask, sigma, wishes)
    wait = return_json if block is None and return_json else should_block(session, block)
    task.begin(wait)
    if not wait:
        return JSONResult(json.dumps({"task": task.id}), task) if return_json else task
    compared = task.answer
    return JSONResult(json.dumps(compared.figures), compared) if return_json else compared


def _require_gemmi() -> None:
    if find_spec("gemmi") is None:
        raise UserError('mapcc needs the Python package gemmi: type "pip install gemmi" once.')


def _task(
    session: Session,
    volumes: list[Volume],
    to: Objects,
    resolution: float | None,
    metrics: Sequence[str],
    mask: Volume | None,
    sigma: float,
    wishes: Wishes,
) -> MapccTask:
    """Take maps and atoms out of ChimeraX, for a thread to work on."""
    from ..cryomap.outputs import require_outputs
    from ..scene.ignored_origin import ignored_origin
    from ..scene.models import atomic_model, density_map, full_region
    from ..scene.volumes import contour_level, mask_on, short_name

    if not volumes:
        raise UserError("mapcc: no maps given; open a map first, or see its number in the Models panel")
    target = _target_map(to)
    try:
        given = [volume.data.path for volume in (*volumes, *([target] if target else [])) if volume.data.path]
        given += [getattr(structure, "filename", None) for structure in to.atoms.unique_structures]
        require_outputs(filter(None, (wishes.save_table, wishes.save_json)), given)
    except InputError as error:
        raise user_error("mapcc", error) from None
    first = volumes[0]
    frame = first.scene_position
    model, residues = (None, None) if target else atomic_model(to.atoms, frame)
    calculate = partial(
        assess,
        [density_map(volume, frame) for volume in volumes],
        model,
        density_map(target, frame) if target else None,
        resolution=resolution,
        metrics=metrics,
        mask=None if mask is None else mask_on(mask, first, full_region(first)),
        sigma=sigma,
        levels=[contour_level(volume) for volume in volumes],
    )

    def show(report: Assessment) -> Comparison | None:
        if any(volume.deleted for volume in volumes) or (model and len(residues) != len(model.residues)):
            session.logger.info("mapcc: nothing to show, since a map or atoms were closed meanwhile")
            return None
        compared = Comparison(tuple(volumes), residues, report)
        _show(session, compared, to, wishes)
        return compared

    def measure(step: Callable[[str], None]) -> Assessment:
        try:
            return calculate(progress=step)
        except OutsideError as error:
            hints = filter(None, map(ignored_origin, volumes))
            raise InputError(". ".join((str(error), *hints))) from None

    title = f"mapcc {', '.join(f'#{v.id_string} {short_name(v.name)}' for v in volumes)} to {to.spec}"
    return MapccTask(session, title, measure, show)


def _show(session: Session, compared: Comparison, to: Objects, wishes: Wishes) -> None:
    """Set attributes, fill the Log, and do what was asked for besides."""
    from .html import report_table, residue_table

    report, residues, logger = compared.report, compared.residues, session.logger
    names = _set_attributes(session, compared)
    logger.info(report_table(report, compared.volumes, residues, names), is_html=True)
    if wishes.per_residue and residues is not None:
        logger.info(residue_table(report, compared.volumes, residues), is_html=True)
    if wishes.color:
        _color(session, to, report, names[0])
    if wishes.plot and session.ui.is_gui:
        _plot(session, compared, to)
    elif wishes.plot:
        logger.warning("mapcc: there's no window for plots; saveJson writes all that they show")
    _save(session, report, wishes.save_table, wishes.save_json)


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
    from ..scene.residue_values import register_attributes, set_values

    if compared.residues is None:
        return []
    register_attributes(session)
    found = compared.report.maps[-1].by_residue
    for name, values in found.items():
        set_values(compared.residues, name, values)
    return list(found)


def _color(session: Session, to: Objects, report: Assessment, name: str) -> None:
    from ..scene.residue_values import color_residues

    expected = report.maps[-1].figures.get("q_expected") if name == "qscore" else None
    color_residues(session, to.spec, name, expected or 0.5)


def _plot(session: Session, compared: Comparison, to: Objects) -> None:
    from ..plots.data import plot_data
    from ..plots.tool import show_plots

    title = f"{', '.join('#' + volume.id_string for volume in compared.volumes)} to {to.spec}"
    show_plots(session, plot_data(title, compared.volumes, compared.residues, compared.report))


def _save(session: Session, report: Assessment, table: str | None, as_json: str | None) -> None:
    from ..cryomap.metrics.results import write_text

    for path, text in ((table, report.to_csv), (as_json, report.to_json)):
        if path:
            try:
                write_text(text(), path)
            except InputError as error:
                raise user_error("mapcc", error) from None
            session.logger.info(f"mapcc: wrote {path}")


def register_command(info: CommandInfo, logger) -> None:
    """Register `mapcc`."""
    description = CmdDesc(
        required=[("volumes", MapsArg)],
        keyword=[
            ("to", ObjectsArg),
            ("resolution", PositiveFloatArg),
            ("metrics", ListOf(EnumOf(["all", *METRICS]))),
            ("mask", MapArg),
            ("sigma", PositiveFloatArg),
            ("per_residue", BoolArg),
            ("color", BoolArg),
            ("plot", BoolArg),
            ("save_table", SaveFileNameArg),
            ("save_json", SaveFileNameArg),
            ("block", BoolArg),
        ],
        required_arguments=["to"],
        synopsis=info.synopsis,
    )
    register(info.name, description, mapcc, logger=logger)
