"""Event filters of Lambda, evaluated over what is known of a record before there is one.

The grammar is that of the Lambda Developer Guide (Control which events Lambda sends to your function), which is
EventBridge's: objects nest, members of an object all have to match, a list matches if one of its rules does, `$or`
matches if one of its objects does. The answer has three values, since most of a record is not known yet.
Pure: no I/O.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import orjson


class Match(IntEnum):
    """Whether a record passes. In this order `min` is "and", `max` is "or"."""

    NEVER = 0
    MAY = 1
    ALWAYS = 2

    @property
    def opposite(self) -> "Match":
        """Not."""
        return Match(2 - self)


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is there."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything may be there, or nothing."""


@dataclass(frozen=True, slots=True)
class Exact:
    """This JSON value, not an object or a list."""

    value: Any


@dataclass(frozen=True, slots=True)
class Some:
    """A value of this kind. A `numeral` is a number as text, which is how records carry type N."""

    kind: Literal["text", "numeral", "number"]


@dataclass(frozen=True, slots=True)
class Tree:
    """An object: its known members, and what holds for all others."""

    members: Mapping[str, "Node"] = field(default_factory=dict)
    others: "Absent | Unknown" = Absent()

    def child(self, name: str) -> "Node":
        """The member of that name."""
        return self.members.get(name, self.others)


Node: TypeAlias = Absent | Unknown | Exact | Some | Tree

ABSENT, UNKNOWN = Absent(), Unknown()

_NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_IN_NUMERALS = frozenset("0123456789+-.eE")
_COMPARE = {
    "=": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


class FilterError(ValueError):
    """The pattern is not one that Lambda takes."""


def parse(text: str) -> dict[str, Any]:
    """The pattern in one entry of FilterCriteria. Raises FilterError."""
    try:
        pattern = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise FilterError("not JSON") from None
    if not isinstance(pattern, dict):
        raise FilterError("not an object")
    return pattern


def match(pattern: Mapping[str, Any], node: Node) -> Match:
    """Whether what is at `node` passes `pattern`. Raises FilterError."""
    result = Match.ALWAYS
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list) and all(isinstance(one, dict) for one in wanted):
            part = max((match(one, node) for one in wanted), default=Match.NEVER)
        elif isinstance(wanted, dict):
            part = match(wanted, _child(node, name))
        elif isinstance(wanted, list):
            part = match_rules(wanted, _child(node, name))
        else:
            raise FilterError(f"{name} is neither an object nor a list")
        result = min(result, part)
    return result


def match_rules(rules: Sequence[Any], node: Node) -> Match:
    """Whether the value at `node` passes one of `rules`. Raises FilterError."""
    return max((_rule(rule, node) for rule in rules), default=Match.NEVER)


def _child(node: Node, name: str) -> Node:
    if isinstance(node, Tree):
        return node.child(name)
    return node if isinstance(node, Unknown) else ABSENT


def _rule(rule: Any, node: Node) -> Match:
    if not isinstance(rule, dict):
        return _literal(rule, node)
    if len(rule) != 1:
        raise FilterError("a rule has one operator")
    ((operator, argument),) = rule.items()
    if operator == "exists":
        return _exists(node) if argument else _exists(node).opposite
    if isinstance(node, Unknown):
        return Match.MAY
    if isinstance(node, Absent | Tree):
        return Match.NEVER
    if operator == "anything-but":
        return _any_of(argument, node).opposite
    return _operator(operator, argument, node)


def _exists(node: Node) -> Match:
    match node:
        case Absent():
            return Match.NEVER
        case Unknown():
            return Match.MAY
        case Tree():
            # It works on leaves only (Lambda Developer Guide: Using event filtering with a DynamoDB event source),
            # and what it makes of an object is not said.
            return Match.MAY
        case _:
            return Match.ALWAYS


def _any_of(argument: Any, node: Exact | Some) -> Match:
    """What `anything-but` excludes: values, or one operator with one argument or several."""
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise FilterError("anything-but has one operator")
        ((operator, texts),) = argument.items()
        return max((_operator(operator, text, node) for text in _listed(texts)), default=Match.NEVER)
    return max((_literal(value, node) for value in _listed(argument)), default=Match.NEVER)


def _listed(argument: Any) -> list[Any]:
    return argument if isinstance(argument, list) else [argument]


def _literal(value: Any, node: Node) -> Match:
    match node:
        case Unknown():
            return Match.MAY
        case Exact(known):
            same = known == value and isinstance(known, bool) is isinstance(value, bool)
            return Match.ALWAYS if same else Match.NEVER
        case Some("text"):
            return _may(isinstance(value, str))
        case Some("numeral"):
            return _may(isinstance(value, str) and _NUMERAL.fullmatch(value) is not None)
        case Some("number"):
            return _may(isinstance(value, int | float) and not isinstance(value, bool))
        case _:
            return Match.NEVER


def _may(possible: bool) -> Match:  # noqa: FBT001 - reads as a cast
    return Match.MAY if possible else Match.NEVER


def _operator(operator: str, argument: Any, node: Exact | Some) -> Match:
    if operator == "numeric":
        return _numeric(argument, node)
    if operator == "cidr":
        return Match.MAY
    if operator in ("prefix", "suffix") and isinstance(argument, dict) and "equals-ignore-case" in argument:
        return _text(operator, argument["equals-ignore-case"], node, fold=True)
    if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise FilterError(f"unknown operator {operator}")
    return _text(operator, argument, node, fold=operator == "equals-ignore-case")


def _text(operator: str, argument: Any, node: Exact | Some, *, fold: bool) -> Match:
    if not isinstance(argument, str):
        raise FilterError(f"{operator} takes text")
    if isinstance(node, Exact):
        if not isinstance(node.value, str):
            return Match.NEVER
        value, wanted = (node.value.casefold(), argument.casefold()) if fold else (node.value, argument)
        return Match.ALWAYS if _passes(operator, wanted, value) else Match.NEVER
    if node.kind == "number":
        return Match.NEVER
    if not argument and operator in ("prefix", "suffix"):
        return Match.ALWAYS
    foreign = set(argument) - _IN_NUMERALS - ({"*"} if operator == "wildcard" else set())
    return _may(node.kind == "text" or not foreign)


def _passes(operator: str, wanted: str, value: str) -> bool:
    if operator == "prefix":
        return value.startswith(wanted)
    if operator == "suffix":
        return value.endswith(wanted)
    if operator == "wildcard":
        return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), value, re.DOTALL) is not None
    return value == wanted


def _numeric(argument: Any, node: Exact | Some) -> Match:
    """Numbers only. DynamoDB's arrive as text, which no range matches (Lambda Developer Guide: Using event
    filtering with a DynamoDB event source)."""
    if not isinstance(argument, list) or not argument or len(argument) % 2:
        raise FilterError("numeric takes pairs of operator and number")
    pairs = list(zip(argument[::2], argument[1::2], strict=True))
    if any(sign not in _COMPARE or not isinstance(bound, int | float) for sign, bound in pairs):
        raise FilterError("numeric takes pairs of operator and number")
    if isinstance(node, Some):
        return _may(node.kind == "number")
    if not isinstance(node.value, int | float) or isinstance(node.value, bool):
        return Match.NEVER
    return Match.ALWAYS if all(_COMPARE[sign](node.value, bound) for sign, bound in pairs) else Match.NEVER


def cannot_hold_at_once(one: Any, other: Any) -> bool:
    """Whether no single value passes both patterns, according to the values that they list.

    For the same attribute in two images that are known to be equal. Raises FilterError.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return any(cannot_hold_at_once(one[name], other[name]) for name in one.keys() & other.keys())
    if not isinstance(one, list) or not isinstance(other, list):
        return False
    for few, rules in ((one, other), (other, one)):
        candidates = _listed_values(few)
        if candidates is not None:
            return all(match_rules(rules, node) is Match.NEVER for node in candidates)
    return False


def _listed_values(rules: Iterable[Any]) -> list[Node] | None:
    """Everything that passes `rules`, if that is a list of values; None if it is not."""
    nodes: list[Node] = []
    for rule in rules:
        if rule == {"exists": False}:
            nodes.append(ABSENT)
        elif isinstance(rule, dict):
            return None
        else:
            nodes.append(Exact(rule))
    return nodes


def mentions(pattern: Any, name: str) -> bool:
    """Whether `name` is a member, or a value that is asked for, anywhere in the pattern."""
    if isinstance(pattern, dict):
        return name in pattern or any(mentions(inner, name) for inner in pattern.values())
    if isinstance(pattern, list):
        return any(mentions(inner, name) for inner in pattern)
    return bool(pattern == name)
