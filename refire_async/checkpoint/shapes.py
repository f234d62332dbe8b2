"""Whether values that were read have the types that our dataclasses say. Pure.

A checkpoint is a file: what its JSON holds must be looked at before it is used as if the program had made it.
"""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST_INTEGER = 1 << 62
LARGEST_NUMBER = 1e15
"""More units or seconds than there can be; sums and conversions of such numbers are safe."""


def conforms(value: Any, kind: Any) -> bool:
    """Whether `value` is of the type `kind`: a dataclass, a scalar, or tuples, lists, dicts, unions, literals of them.

    Numbers are finite and not huge; a bool is no number.
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
        return type(value) is int and abs(value) <= LARGEST_INTEGER
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value) and abs(value) <= LARGEST_NUMBER
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
