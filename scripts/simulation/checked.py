"""Values of a file of settings, checked against the dataclass that they are for."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def checked(cls: type[T], values: Any, where: str = "") -> T:
    """A dataclass made of the values of a TOML table; lists become tuples.

    Args:
        cls: the dataclass.
        values: by field.
        where: the table's name, for messages.

    Raises:
        ValueError: not a table, an unknown or missing field, or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where or 'it'} is {values!r}, not a table")
    hints, known = get_type_hints(cls), {f.name for f in fields(cls)}
    prefix = f"{where}." if where else ""
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown key {prefix + unknown[0]!r}")
    given = {key: _fitting(value, hints[key], prefix + key) for key, value in values.items()}
    try:
        return cls(**given)
    except TypeError as error:
        raise ValueError(f"{where or 'recipe'}: {error}") from None


def _fitting(value: Any, hint: Any, where: str) -> Any:
    """The value as the type hint has it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for one in inner[:-1]:
            try:
                return _fitting(value, one, where)
            except ValueError:
                continue
        return _fitting(value, inner[-1], where)
    if is_dataclass(hint) and isinstance(value, hint):
        return value
    if (
        hint is Any
        or (hint is type(None) and value is None)
        or (hint in (int, str, bool) and type(value) is hint)
    ):
        return value
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) == len(inner):
        return tuple(_fitting(v, h, where) for v, h in zip(value, inner, strict=True))
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: _fitting(v, inner[1], f"{where}.{key}") for key, v in value.items()}
    raise ValueError(f"{where} = {value!r}: it must be {_named(hint)}")


def _named(hint: Any) -> str:
    """A type hint in words."""
    if get_origin(hint) is tuple:
        return f"a list of {len(get_args(hint))} values"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(hint, "left out" if hint is type(None) else "a table")
