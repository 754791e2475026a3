"""The record beside a result: what it was made from and how, so that a later run can tell whether it still holds."""

from __future__ import annotations

import glob
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError
from ..job import Options
from ..replacing import replacing
from ..trust.preserved import split_selection
from .files import deviation_path, weights_files


def record_path(result: Path) -> Path:
    """The record of a result: x_enhanced.mrc has its in x_enhanced.json."""
    return result.with_suffix(".json")


def describe(source: Path, options: Options) -> dict[str, Any]:
    """What determines a result: files by their content, options by their value; not the device.

    Raises:
        InputError: the map, the weights, the mask or the model can't be read.
    """
    from ..enhancement.methods import choose

    told = _settings(options)
    told["method"] = choose(options)[0]
    told["weights"] = [_digest(path) for path in weights_files(options)]
    for key in ("mask", "model"):
        told[key] = _digest(Path(told[key])) if told[key] else None
    if options.preserve:
        path, selection = split_selection(options.preserve)
        told["preserve"] = [_digest(Path(path)), selection]
    return {"input": {"path": str(source), "sha256": _digest(source)}, "settings": told}


def _settings(options: Options) -> dict[str, Any]:
    told = asdict(options)
    del told["device"]
    told["contour"] = told.pop("level")  # as records have called it from the first
    return told


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from None


def is_done(result: Path, wanted: dict[str, Any]) -> bool:
    """Whether the result is there and was made from what `describe` told.

    Raises:
        InputError: the result is that of another map, which is still there.
    """
    found = _read(result)
    if found is None or not result.is_file():
        return False
    if found["input"]["sha256"] == wanted["input"]["sha256"]:
        # An option that a record doesn't know had its default.
        return _settings(Options()) | found["settings"] == wanted["settings"]
    other, source = Path(found["input"]["path"]), Path(wanted["input"]["path"])
    if other != source and other.exists() and not (source.exists() and other.samefile(source)):
        raise InputError(f"{source}: {result} is the result of {other}; give another folder for this one's")
    return False


def _read(result: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(record_path(result).read_text(encoding="utf-8"))
        return found if {"path", "sha256"} <= set(found["input"]) and "settings" in found else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clear(result: Path) -> None:
    """Remove an outdated result, its record first, and what a killed process left of a new one."""
    if _read(result) is not None:
        for path in (record_path(result), result, deviation_path(result)):
            path.unlink(missing_ok=True)
    for path in (result, deviation_path(result), record_path(result)):
        for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
            part.unlink(missing_ok=True)


def write_record(result: Path, wanted: dict[str, Any], report: dict[str, Any]) -> None:
    """Write the record, whole or not at all; do it last, as it says that all the rest is there.

    Raises:
        InputError: it can't be written.
    """
    path = record_path(result)
    text = json.dumps({**wanted, "version": __version__, "report": report}, indent=1) + "\n"
    with replacing(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
