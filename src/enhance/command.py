"""The command `enhance`, and those of its Python environment: `enhance install`, `uninstall` and `info`."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from chimerax.atomic import Atoms
from chimerax.core.commands import (
    Annotation,
    BoolArg,
    Bounded,
    CmdDesc,
    EnumOf,
    FloatArg,
    IntArg,
    JSONResult,
    ModelIdArg,
    ObjectsArg,
    OpenFileNameArg,
    StringArg,
    register,
)
from chimerax.core.errors import UserError
from chimerax.core.logger import html_table_params
from chimerax.core.objects import Objects
from chimerax.core.session import Session
from chimerax.core.toolshed import CommandInfo
from chimerax.map import MapArg, MapsArg, Volume

from ..cryomap.errors import InputError
from ..cryomap.job import OPTIONS, Option, Options
from ..cryomap.typed_json import to_plain
from ..runtime.background import BackgroundTask, should_block
from ..scene.engine_text import user_error, with_signs

if TYPE_CHECKING:
    from .job import Opened


def enhance(
    session: Session,
    volumes: list[Volume],
    *,
    mask: Volume | None = None,
    preserve: Objects | None = None,
    model_id: tuple[int, ...] | None = None,
    hide_input: bool = True,
    color_by: str | None = None,
    block: bool | None = None,
    return_json: bool = False,
    **options: Any,
) -> list[Volume] | BackgroundTask | JSONResult:
    """Make better maps with a neural network.

    Args:
        session: the session.
        volumes: the maps; each gives a new one, of two half maps (half_maps true) their mean does.
        mask: enhance only inside this map's contour.
        preserve: atoms about which, or a map inside whose contour, the input stays.
        model_id: number of the result; of the group of results if there are several.
        hide_input: whether to hide the maps.
        color_by: color the result's surface by "support" or "confidence", or enhanced half maps by their
            "agreement".
        block: wait for the result; by default in scripts and where there's no window.
        return_json: wrap the result for REST.
        **options: those of the engine, see `cryomap.job.Options`; the level is by default the one each map is shown at.

    Returns:
        The new maps, or the running `EnhanceJob` if it isn't waited for.
    """
    from .job import EnhanceJob
    from .job_files import Wanted

    if color_by == "confidence":
        options["confidence"] = True
    if not volumes:
        raise UserError("enhance: no maps given; open a map first, or see its number in the Models panel")
    try:
        wanted = Wanted(Options(**options), mask, _preserved(preserve), model_id, hide_input, color_by)
    except InputError as error:
        raise user_error("enhance", error) from None
    if color_by == "agreement" and not wanted.options.half_maps:
        raise UserError("enhance: colorBy agreement goes with halfMaps true")
    job = EnhanceJob(session, volumes, wanted)
    wait = should_block(session, block)
    job.begin(wait)
    answer = job.results if wait else job
    if not return_json:
        return answer
    if not wait:
        return JSONResult(json.dumps({"task": job.id}), answer)
    halves = {} if job.halves is None else {"halves": to_plain(job.halves)}
    return JSONResult(json.dumps({"maps": [_told(opened) for opened in job.opened], **halves}), answer)


def _preserved(chosen: Objects | None) -> Atoms | Volume | None:
    """The atoms that were chosen or, if none were, the map."""
    if chosen is None or len(chosen.atoms):
        return None if chosen is None else chosen.atoms
    maps = [model for model in chosen.models if isinstance(model, Volume)]
    if len(maps) != 1:
        raise UserError(f"enhance: preserve takes atoms or one map, not {len(maps)} maps and no atoms")
    return maps[0]


def _told(opened: Opened) -> dict[str, Any]:
    """A result for REST: its report, whose "trust" names the residues, and the group of its markers and maps."""
    return {
        "id": opened.volume.id_string,
        "name": opened.volume.name,
        "report": to_plain(opened.report),
        "trust_id": None if opened.group is None else opened.group.id_string,
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


def enhance_uninstall(session: Session) -> None:
    """Remove the private Python environment."""
    from ..runtime import install as engine_install

    busy = [task for task in session.tasks.values() if isinstance(task, BackgroundTask) and not task.done]
    if busy:
        raise UserError(f"enhance uninstall: {busy[0]} isn't over; wait for it, or stop it")
    session.logger.status(engine_install.remove_private(session), log=True)


def enhance_info(session: Session) -> dict:
    """Say which Python, torch, devices and weights `enhance` uses.

    Returns:
        "path", "origin", "python", "torch", "devices", and "weights": version by method; without a Python that has
        PyTorch the weights alone.
    """
    from ..cryomap.networks.card import bundled_cards
    from ..runtime import engine_python

    cards = bundled_cards()
    try:
        python = engine_python.find_python(session)
        found = engine_python.describe_python(python)
    except UserError as error:
        found, rows = {}, {"Python": str(error)}
    else:
        rows = {
            "Python": f"{found['python']} ({python.origin}: {python.path})",
            "torch": found["torch"],
            "Devices": ", ".join(found["devices"]),
        }
        found = {"path": python.path, "origin": python.origin, **found}
    for method, card in cards.items():
        rows[f"Weights of {method}"] = with_signs(" ".join(card.summary()))
    body = "".join(
        f"<tr><th align=left>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    session.logger.info(f"<table {html_table_params}>{body}</table>", is_html=True)
    versions = {method: card.version for method, card in cards.items()}
    return {**found, "weights": versions}


def _enhance_description() -> CmdDesc:
    own = [
        ("mask", MapArg),
        ("preserve", ObjectsArg),
        ("model_id", ModelIdArg),
        ("hide_input", BoolArg),
        ("color_by", EnumOf(("support", "confidence", "agreement"))),
        ("block", BoolArg),
    ]
    engine = [(option.name, _annotation(option)) for option in OPTIONS if option.in_chimerax]
    return CmdDesc(required=[("volumes", MapsArg)], keyword=[*engine, *own])


def _annotation(option: Option) -> Annotation:
    if option.choices and not option.also:
        return EnumOf(option.choices)
    if option.is_file:
        return OpenFileNameArg
    kind = {bool: BoolArg, int: IntArg, float: FloatArg, str: StringArg}[option.kind]
    if option.bounds is None:
        return kind
    low, high = option.bounds
    return Bounded(kind, min=low, max=high, name=f"a number from {low:g} to {high:g}")


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
    "enhance uninstall": (CmdDesc, enhance_uninstall),
    "enhance info": (CmdDesc, enhance_info),
}


def register_command(info: CommandInfo, logger) -> None:
    """Register the command of that name."""
    describe, function = _COMMANDS[info.name]
    description = describe()
    description.synopsis = info.synopsis
    register(info.name, description, function, logger=logger)
