"""Checks that values from a file have the types that the dataclasses declare. Pure.

A checkpoint is a file that anything can have written, so its JSON is validated before it is used.
"""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MAX_INTEGER = 1 << 62
MAX_NUMBER = 1e15
"""Above any possible number of units or seconds, and small enough for safe sums and conversions."""


def conforms(value: Any, kind: Any) -> bool:
    """Whether `value` is of the type `kind`: a dataclass, a scalar, or tuples, lists, dicts, unions, literals of them.

    Numbers must be finite and not huge; a bool is not a number.
    """
    if kind is Any:
        return True
    if isinstance(kind, type) and is_dataclass(kind):
        return isinstance(value, kind) and all(
            conforms(getattr(value, name), hint) for name, hint in _hints(kind)
        )
    origin = get_origin(kind)
    if origin is None:
        return _is_scalar(value, kind)
    return _GENERICS[origin](value, get_args(kind))


def _is_scalar(value: Any, kind: Any) -> bool:
    if kind is int:
        return type(value) is int and abs(value) <= MAX_INTEGER
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_NUMBER
    return isinstance(value, kind)


def _is_tuple(value: Any, kinds: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if kinds[-1] is ...:
        return all(conforms(one, kinds[0]) for one in value)
    return len(value) == len(kinds) and all(map(conforms, value, kinds))


def _is_dict(value: Any, kinds: tuple[Any, ...]) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, kinds[0]) and conforms(one, kinds[1]) for name, one in value.items()
    )


def _is_any_of(value: Any, kinds: tuple[Any, ...]) -> bool:
    return any(conforms(value, NoneType if kind is None else kind) for kind in kinds)


_GENERICS: dict[Any, Callable[[Any, tuple[Any, ...]], bool]] = {
    tuple: _is_tuple,
    dict: _is_dict,
    list: lambda value, kinds: isinstance(value, list) and all(conforms(one, kinds[0]) for one in value),
    Union: _is_any_of,
    UnionType: _is_any_of,
    Literal: lambda value, kinds: isinstance(value, str) and value in kinds,
}


@cache
def _hints(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((one.name, hints[one.name]) for one in fields(kind))
