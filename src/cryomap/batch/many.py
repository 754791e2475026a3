"""Many map files into a folder of results: which file becomes which, and what came of each."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..containers import COMPRESSED
from ..errors import InputError
from ..job import Options
from ..outputs import MAP_SUFFIXES, require_outputs
from ..typed_json import to_plain
from .files import enhance_source, input_files, require_ours, result_files, write_results
from .record import describe, forget, is_done, record_path, write_record


@dataclass(frozen=True)
class Task:
    """One map to enhance.

    Attributes:
        source: the map, an absolute path.
        result: where its result goes, an absolute path.
    """

    source: Path
    result: Path


@dataclass(frozen=True)
class Outcome:
    """What came of one map.

    Attributes:
        task: which.
        state: "done", "skipped" (the result was there already) or "failed".
        kind: of failure: "input", "memory" or "internal"; else "".
        message: why it failed.
        report: what was done, as the JSON object of a single map has it.
    """

    task: Task
    state: str
    kind: str = ""
    message: str = ""
    report: dict[str, Any] = field(default_factory=dict)


def plan(maps: Sequence[str | os.PathLike], folder: str | os.PathLike) -> list[Task]:
    """Each map with the place of its result, x_enhanced.mrc for x.map.gz; a map named twice counts once.

    Raises:
        InputError: two maps would get the same result, or a map is where the result of another goes.
    """
    folder = Path(folder).absolute()
    sources = dict.fromkeys(Path(os.path.abspath(path)) for path in maps)
    taken: dict[str, Path] = {}
    tasks = []
    for source in sources:
        stem = source.stem if source.suffix in COMPRESSED else source.name
        task = Task(source, folder / f"{Path(stem).stem}_enhanced.mrc")
        name = task.result.name.casefold()  # some file systems don't tell a.mrc from A.mrc
        if name in taken:
            raise InputError(
                f"{source}: its result would overwrite that of {taken[name]} ({task.result.name});"
                " enhance them into different folders"
            )
        taken[name] = source
        tasks.append(task)
    for task in tasks:
        if task.result in sources:
            raise InputError(
                f"{task.result}: is the place for the result of {task.source}; leave it out of the maps,"
                " or give another folder"
            )
    return tasks


def make_folder(path: str | os.PathLike) -> bool:
    """Make the folder for the results if it isn't there; whether that was so.

    Raises:
        InputError: it is a file, or what it would be in is missing or can't be written.
    """
    path = Path(path)
    if not path.is_dir() and path.suffix in (*MAP_SUFFIXES, *COMPRESSED):
        raise InputError(f"{path}: results of several maps need a folder, not a file")
    try:
        path.mkdir()
        return True
    except FileNotFoundError:
        raise InputError(f"{path}: the folder {path.parent} does not exist") from None
    except FileExistsError:
        if path.is_dir():
            return False
        raise InputError(f"{path}: is a file; give a folder for the results") from None
    except OSError as error:
        raise InputError(f"{path}: can't be made ({error.strerror or error})") from None


def require_places(tasks: Sequence[Task], options: Options) -> None:
    """Refuse results, their deviations and records that are files to be read, or each other.

    Raises:
        InputError: one is, or the folder can't be written into.
    """
    outputs = [
        path for task in tasks for path in (*result_files(task.result, options), record_path(task.result))
    ]
    require_outputs(outputs, [*(task.source for task in tasks), *input_files(options)])


def enhance_one(task: Task, options: Options) -> Outcome:
    """Enhance a map unless its result is there already; what goes wrong is in the outcome."""
    try:
        wanted = describe(task.source, options)
        if is_done(task.result, wanted):
            return Outcome(task, "skipped")
        require_outputs(result_files(task.result, options), [task.source, *input_files(options)])
        require_ours(result_files(task.result, options))
        done = enhance_source(task.source, options)
        forget(task.result, options)  # not before: what is there stays if this fails
        files = write_results(done, task.result)
        report = to_plain(done.report)
        write_record(task.result, wanted, report, files)
    except InputError as error:
        return Outcome(task, "failed", "input", str(error))
    except MemoryError as error:
        return Outcome(task, "failed", "memory", f"out of memory for {error or task.source}")
    except Exception as error:
        traceback.print_exc()
        return Outcome(task, "failed", "internal", f"{task.source}: {error!r}")
    return Outcome(task, "done", report=report)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0 if nothing failed, 2 if what failed was bad input, 1 otherwise."""
    kinds = {outcome.kind for outcome in outcomes if outcome.state == "failed"}
    return 0 if not kinds else 2 if kinds == {"input"} else 1
