"""The commands `enhance`, `enhance install` and `enhance info`."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from chimerax.core.commands import (
    BoolArg,
    Bounded,
    CmdDesc,
    EnumOf,
    FloatArg,
    IntArg,
    JSONResult,
    ModelIdArg,
    OpenFileNameArg,
    PositiveFloatArg,
    StringArg,
    register,
)
from chimerax.core.errors import UserError
from chimerax.core.logger import html_table_params
from chimerax.core.session import Session
from chimerax.core.toolshed import CommandInfo
from chimerax.map import MapArg, MapsArg, Volume

from ..runtime.background import BackgroundTask, should_block

if TYPE_CHECKING:
    from .job import EnhanceJob


def enhance(
    session: Session,
    volumes: list[Volume],
    method: str | None = None,
    resolution: float | None = None,
    level: float | None = None,
    weights: str | None = None,
    device: str = "auto",
    grid_spacing: float | None = None,
    mask: Volume | None = None,
    model_id: tuple[int, ...] | None = None,
    hide_input: bool = True,
    keep_lost: bool = False,
    samples: int = 1,
    color_by: str | None = None,
    half_maps: bool = False,
    block: bool | None = None,
    return_json: bool = False,
) -> list[Volume] | BackgroundTask | JSONResult:
    """Make better maps with a neural network.

    Args:
        session: the session.
        volumes: the maps; each gives a new one.
        method: "superem" or "cryosamu"; by default the engine chooses by the resolution.
        resolution: of the maps, in A.
        level: contour level of the inputs; by default the one each is shown at.
        weights: a file of network weights instead of the bundled ones.
        device: "auto", "cpu", "cuda" or "mps".
        grid_spacing: voxel size of the result in A.
        mask: enhance only inside this map's contour.
        model_id: number of the result; of the group of results if there are several.
        hide_input: whether to hide the maps.
        keep_lost: fill density that the network lost from the input.
        samples: orientations to enhance each map in; with more than one the result is the mean.
        color_by: color the result's surface by "support", or enhanced half maps by their "agreement".
        half_maps: the two maps are half maps: enhance both, and their mean, which is the result.
        block: wait for the result; by default in scripts and where there's no window.
        return_json: wrap the result for REST.

    Returns:
        The new maps, or the running `EnhanceJob` if it isn't waited for.
    """
    from .job import EnhanceJob
    from .job_files import EnhanceSettings

    if not volumes:
        raise UserError("enhance: no maps given; open a map first, or see its number in the Models panel")
    if color_by == "agreement" and not half_maps:
        raise UserError("enhance: colorBy agreement goes with halfMaps true")
    settings = EnhanceSettings(
        method=method,
        resolution=resolution,
        level=level,
        weights=weights,
        device=device,
        grid_spacing=grid_spacing,
        mask=mask,
        model_id=model_id,
        hide_input=hide_input,
        keep_lost=keep_lost,
        samples=samples,
        color_by=color_by,
        half_maps=half_maps,
    )
    job = EnhanceJob(session, volumes, settings)
    wait = should_block(session, block)
    job.begin(wait)
    answer = job.results if wait else job
    if not return_json:
        return answer
    if not wait:
        return JSONResult(json.dumps({"task": job.id}), answer)
    made = [_told(job, volume) for volume in job.results]
    halves = {} if job.halves is None else {"halves": job.halves}
    return JSONResult(json.dumps({"maps": made, **halves}), answer)


def _told(job: EnhanceJob, volume: Volume) -> dict:
    """A result for REST: its report, whose "trust" names the residues, and the group of its markers and maps."""
    group = job.trust.get(volume)
    return {
        "id": volume.id_string,
        "name": volume.name,
        "report": job.reports[volume],
        "trust_id": None if group is None else group.id_string,
    }


def enhance_install(
    session: Session,
    python: str | None = None,
    build: str | None = None,
    base_python: str | None = None,
    index_url: str | None = None,
    block: bool | None = None,
) -> BackgroundTask | None:
    """Make the private Python environment that `enhance` needs, or adopt an existing Python.

    Args:
        session: the session.
        python: a Python that has torch, or its virtual environment's folder, to use instead.
        build: "cpu", "cuda" or "mps"; by default what suits this machine.
        base_python: the Python to make the environment with, by default ChimeraX's.
        index_url: package index to take torch from.
        block: wait for the end; by default in scripts and where there's no window.
    """
    from ..runtime import install as engine_install
    from ..runtime import install_plan

    logger = session.logger
    if python is not None:
        if build or base_python or index_url:
            raise UserError("enhance install: python is used as it is; it goes with no other option")
        found = engine_install.adopt_python(session, python)
        logger.info(engine_install.installed_message(found, python))
        return None
    plan = install_plan.plan_install(build, base_python, index_url)
    if found := engine_install.existing_install(plan):
        engine_install.use_private(session)
        logger.info(engine_install.installed_message(found, plan.folder))
        return None
    logger.status(str(plan), log=True)
    install_plan.require_room(plan)
    task = engine_install.InstallTask(session, plan)
    task.begin(should_block(session, block))
    return task


def enhance_info(session: Session) -> dict:
    """Say which Python, torch, devices and weights `enhance` uses.

    Returns:
        "path", "origin", "python", "torch", "devices", and "weights": version by method.
    """
    from ..cryomap.networks.card import bundled_cards
    from ..runtime import engine_python

    python, cards = engine_python.find_python(session), bundled_cards()
    found = engine_python.describe_python(python)
    rows = {
        "Python": f"{found['python']} ({python.origin}: {python.path})",
        "torch": found["torch"],
        "Devices": ", ".join(found["devices"]),
    }
    for method, card in cards.items():
        rows[f"Weights of {method}"] = " ".join(card.summary())
    body = "".join(
        f"<tr><th align=left>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    session.logger.info(f"<table {html_table_params}>{body}</table>", is_html=True)
    versions = {method: card.version for method, card in cards.items()}
    return {"path": python.path, "origin": python.origin, **found, "weights": versions}


def _enhance_description() -> CmdDesc:
    return CmdDesc(
        required=[("volumes", MapsArg)],
        keyword=[
            ("method", EnumOf(("superem", "cryosamu"))),
            ("resolution", PositiveFloatArg),
            ("level", FloatArg),
            ("weights", OpenFileNameArg),
            ("device", EnumOf(("auto", "cpu", "cuda", "mps"))),
            ("grid_spacing", Bounded(FloatArg, min=0.2, max=10, name="a voxel size from 0.2 to 10")),
            ("mask", MapArg),
            ("model_id", ModelIdArg),
            ("hide_input", BoolArg),
            ("keep_lost", BoolArg),
            ("samples", Bounded(IntArg, min=1, max=24, name="a number of orientations from 1 to 24")),
            ("color_by", EnumOf(("support", "agreement"))),
            ("half_maps", BoolArg),
            ("block", BoolArg),
        ],
    )


def _install_description() -> CmdDesc:
    return CmdDesc(
        keyword=[
            ("python", OpenFileNameArg),
            ("build", EnumOf(("cpu", "cuda", "mps"))),
            ("base_python", OpenFileNameArg),
            ("index_url", StringArg),
            ("block", BoolArg),
        ],
    )


_COMMANDS = {
    "enhance": (_enhance_description, enhance),
    "enhance install": (_install_description, enhance_install),
    "enhance info": (CmdDesc, enhance_info),
}


def register_command(info: CommandInfo, logger) -> None:
    """Register the command of that name."""
    describe, function = _COMMANDS[info.name]
    description = describe()
    description.synopsis = info.synopsis
    register(info.name, description, function, logger=logger)
