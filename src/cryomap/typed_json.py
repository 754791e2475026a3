"""Dataclasses to JSON and back. What is read must have the keys and types that the dataclass says."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from .errors import InputError

_SCALARS = {bool: (bool, "true or false"), int: (Integral, "a whole number"), float: (Real, "a number"),
            str: (str, "text")}  # fmt: skip


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples, dicts, arrays and numbers as `json.dumps` takes it.

    A field's metadata may say what it's called there: `json="name"`, or `json=None` for one that is left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {key: to_plain(getattr(value, f.name)) for key, f in _json_fields(type(value)).items()}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [to_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@cache
def _json_fields(kind: type) -> dict[str, Field]:
    named = {f.metadata.get("json", f.name): f for f in fields(kind)}
    return {key: f for key, f in named.items() if key}


def from_plain(kind: Any, data: Any, where: str) -> Any:
    """The value of a type that `to_plain` made `data` of.

    Args:
        kind: a dataclass, a scalar, an array of numbers, a tuple, a dict with text as keys, a union with None, or Any.
        data: from `json.loads` or `tomllib.loads`.
        where: what is being read, for the message.

    Raises:
        InputError: a wrong type, an unknown or missing key, or what the dataclass itself refuses.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        rest = [part for part in parts if part is not type(None)]
        return None if data is None else from_plain(rest[0], data, where)
    if kind is Any:
        return data
    if kind in _SCALARS:
        wanted, words = _SCALARS[kind]
        if not isinstance(data, wanted) or (isinstance(data, bool) and kind is not bool):
            raise InputError(f"{where} {data!r}: not {words}")
        return kind(data)
    if kind is np.ndarray:
        return np.array(from_plain(tuple[float, ...], data, where))
    if origin is tuple:
        open_end = parts[-1] is Ellipsis
        if not isinstance(data, (list, tuple)) or not (open_end or len(data) == len(parts)):
            raise InputError(f"{where} {data!r}: not a list" + ("" if open_end else f" of {len(parts)}"))
        inner = parts[:1] * len(data) if open_end else parts
        return tuple(
            from_plain(part, item, f"{where}[{n}]")
            for n, (part, item) in enumerate(zip(inner, data, strict=True))
        )
    if not isinstance(data, dict):
        raise InputError(f"{where} {data!r}: not an object")
    if origin in (dict, Mapping):
        return {key: from_plain(parts[1], item, f"{where}.{key}") for key, item in data.items()}
    known = _json_fields(kind)
    if unknown := sorted(set(data) - set(known)):
        raise InputError(f"{where}: {', '.join(unknown)} is unknown; known are {', '.join(known)}")
    needed = {name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(needed - set(data)):
        raise InputError(f"{where}: {', '.join(missing)} is missing")
    hints = type_hints(kind)
    names = {key: f.name for key, f in known.items()}
    return kind(**{names[k]: from_plain(hints[names[k]], item, f"{where}.{k}") for k, item in data.items()})


@cache
def type_hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return get_type_hints(kind)
