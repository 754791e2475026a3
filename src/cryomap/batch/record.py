"""The record beside a result: what it was made from and how, so that a later run can tell whether it still holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..density import is_ours, read_map
from ..errors import InputError
from ..job import Options
from ..replacing import replacing
from ..trust.preserved import split_selection
from .files import BESIDE, beside, require_ours, result_files, weights_files


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
    """Whether the result is there, whole, and was made from what `describe` told.

    Raises:
        InputError: the result is that of another map, which is still there; or a file in its place isn't ours.
    """
    found = _read(result)
    if found is None:
        require_ours([result])
        if record_path(result).exists() and not is_ours(result):
            raise InputError(
                f"{record_path(result)}: would be replaced, but is no record of this program; move it, or give another"
                " folder"
            )
        return False
    if found["input"]["sha256"] == wanted["input"]["sha256"]:
        # An option that a record doesn't know had its default.
        same = _settings(Options()) | found["settings"] == wanted["settings"]
        return same and _is_whole(result, found.get("outputs"))
    other, source = Path(found["input"]["path"]), Path(wanted["input"]["path"])
    if other != source and other.exists() and not (source.exists() and other.samefile(source)):
        raise InputError(f"{source}: {result} is the result of {other}; give another folder for this one's")
    return False


def _is_whole(result: Path, digests: object) -> bool:
    """Whether the files are those that the record told of; an old record told nothing."""
    try:
        if not isinstance(digests, dict):
            read_map(result)
            return True
        return all(_digest(result.with_name(name)) == digest for name, digest in digests.items())
    except InputError:
        return False


def _read(result: Path) -> dict[str, Any] | None:
    """The record of a result; None without one, or of a file that is none."""
    try:
        found = json.loads(record_path(result).read_text(encoding="utf-8"))
        known = {"path", "sha256"} <= set(found["input"]) and isinstance(found["settings"], dict)
        return (
            found if known and all(isinstance(found["input"][k], str) for k in ("path", "sha256")) else None
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def forget(result: Path, options: Options) -> None:
    """Remove the record of a result that is about to be replaced, and maps of ours beside it that the new one lacks."""
    if _read(result) is not None:
        for path in {beside(result, suffix) for suffix in BESIDE.values()} - set(
            result_files(result, options)
        ):
            if is_ours(path):
                path.unlink(missing_ok=True)
    record_path(result).unlink(missing_ok=True)


def write_record(result: Path, wanted: dict[str, Any], report: dict[str, Any], files: Sequence[Path]) -> None:
    """Write the record, whole or not at all; do it last, as it says that all the rest is there.

    Args:
        result: whose record.
        wanted: of `describe`.
        report: what was done.
        files: that were written.

    Raises:
        WriteError: it can't be written.
    """
    path = record_path(result)
    outputs = {file.name: _digest(file) for file in files}
    text = json.dumps({**wanted, "version": __version__, "outputs": outputs, "report": report}, indent=1)
    with replacing(path) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")
