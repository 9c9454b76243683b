"""Frozen dataclasses to plain data and back, strictly.

One mechanism serves the messages between processes and the baselines file: whatever does not fit the declared
type is refused with the path of the offending key, so that a foreign or damaged file is named, not guessed at.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
_NAMES = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}


class PlainDataError(ValueError):
    """Plain data does not fit the dataclass it should become.

    Attributes:
        path: The keys that lead to the offending value.
        problem: What was found and what is allowed.
    """

    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(f"{'.'.join(path) or 'the top level'}: {problem}")
        self.path = path
        self.problem = problem


def to_plain(value: Any) -> Any:
    """Return `value` as dicts, lists, strings, numbers and `None`; fields at their default `None` are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: to_plain(item) for name, item in pairs if item is not None}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def from_plain(cls: type[T], data: Any, path: tuple[str, ...] = ()) -> T:
    """Return the dataclass `cls` built from plain `data`.

    Args:
        cls: A dataclass of this package.
        data: What `to_plain` gave, or the same read from a file.
        path: The keys that led here, for the message.

    Raises:
        PlainDataError: A key is unknown or missing, or a value has another type than declared.
    """
    return typing.cast("T", _build(cls, data, path))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(kind: Any, data: Any, path: tuple[str, ...]) -> Any:
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        if data is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
        return _build(kind, data, path)
    if origin is tuple:
        return _build_tuple(kind, data, path)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, data, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        allowed = [member.value for member in kind]
        if data not in allowed:
            raise PlainDataError(path, f"found {data!r}, allowed: {', '.join(map(str, allowed))}")
        return kind(data)
    return _build_scalar(kind, data, path)


def _build_scalar(kind: Any, data: Any, path: tuple[str, ...]) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise PlainDataError(path, f"found {data!r}, allowed: {_NAMES.get(kind, kind)}")
    return data


def _build_tuple(kind: Any, data: Any, path: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise PlainDataError(path, f"found {data!r}, allowed: a list")
    arguments = typing.get_args(kind)
    if arguments[-1] is not Ellipsis and len(arguments) != len(data):
        raise PlainDataError(path, f"found {len(data)} entries, allowed: {len(arguments)}")
    kinds = [arguments[0]] * len(data) if arguments[-1] is Ellipsis else list(arguments)
    return tuple(
        _build(kind, item, (*path, str(place))) for place, (kind, item) in enumerate(zip(kinds, data, strict=True))
    )


def _build_dataclass(kind: Any, data: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(data, dict):
        raise PlainDataError(path, f"found {data!r}, allowed: a mapping")
    hints = _hints(kind)
    for key in data:
        if key not in hints:
            raise PlainDataError((*path, str(key)), f"unknown key, allowed: {', '.join(sorted(hints))}")
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in data:
            raise PlainDataError((*path, field.name), "is missing")
    return kind(**{key: _build(hints[key], value, (*path, key)) for key, value in data.items()})
