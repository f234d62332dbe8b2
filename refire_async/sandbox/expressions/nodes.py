"""Syntax trees, shared by expressions and PartiQL; the binder turns them into closures.

Names and values may still be substitutes (``#n``, ``:v``): trees are cached by text and know nothing of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from refire_async.sandbox.values import AttributeValue


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: names (``str``) and list indexes (``int``)."""

    elements: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Substitute:
    """A value given in ExpressionAttributeValues."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the statement itself, canonical."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Parameter:
    """The ``?`` with this index, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; whether it makes sense where it stands is for the binder."""

    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left + right`` or ``left - right``."""

    operator: str
    left: Any
    right: Any


Operand: TypeAlias = Path | Substitute | Literal | Parameter | Call | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right`` with one of ``= <> < <= > >=``."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """``operand BETWEEN low AND high``, both ends included."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class Membership:
    """``operand IN (option, …)``."""

    operand: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class TypeTest:
    """PartiQL's ``operand IS type``; ``type`` is "MISSING" or a DynamoDB type."""

    operand: Operand
    type: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    condition: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions joined by AND, at least two."""

    conditions: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR, at least two."""

    conditions: tuple[Any, ...]


Condition: TypeAlias = Comparison | Between | Membership | TypeTest | Not | AllOf | AnyOf | Call
