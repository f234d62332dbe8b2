"""Event filter patterns, evaluated over whole records: exactly what passes.

The grammar is that of aws/event_filters.py, which knows only parts of a record; here nothing is unknown. As the
Lambda Developer Guide (Filter rule syntax) and Amazon EventBridge (Operators for use in event patterns) have it:

    members of an object all have to match, `$or` and lists of rules need one
    a list in the record matches if one of its elements does
    rules see leaves only: an object is, to a rule, as if it were not there
    nothing but `exists: false` matches what is not there
    `numeric` matches numbers, and never the text of a number, which is how records carry type N
    a name with a dot is that name, not a path (EventBridge takes either)

Patterns are compiled once. The part of a pattern that the event's kind, time and key decide is looked at first,
without decoding the record. Pure.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from refire_async.aws.event_filters import FilterError, parse
from refire_async.delivery.record import EventRecord
from refire_async.errors import UsageError

Test: TypeAlias = Callable[[Any], bool]
"""Whether a part of a record passes. What is not there is `_ABSENT`."""

_ABSENT: Any = object()

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}
_KNOWN = {"eventName": None, "dynamodb": {"Keys": None, "ApproximateCreationDateTime": None}}
"""Members of a record that an EventRecord has outside its body."""


class Patterns:
    """Several patterns, of which a record has to match one; it passes if there are none."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises UsageError for a pattern that Lambda does not take."""
        self._tests = [_compile(text) for text in texts]

    def __bool__(self) -> bool:
        """Whether there is a pattern."""
        return bool(self._tests)

    def passes(self, record: EventRecord) -> bool:
        """Whether the record passes."""
        if not self._tests:
            return True
        outline = decoded = None
        for first, then in self._tests:
            if first is not None:
                outline = outline or _outline(record)
                if not first(outline):
                    continue
            if then is None:
                return True
            decoded = decoded or orjson.loads(record.body)
            if then(decoded):
                return True
        return False


def _compile(text: str) -> tuple[Test | None, Test | None]:
    """Tests of the outline and of the whole record; both have to pass, and None always does. Raises UsageError."""
    try:
        pattern = parse(text)
        first, then = _split(pattern, _KNOWN)
        return (_object(first) if first else None), (_object(then) if then else None)
    except FilterError as error:
        raise UsageError(
            f"the filter pattern {text[:200]} is not one that Lambda takes: {error}",
            """for example '{"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"status": {"S": ["OPEN"]}}}}'""",
        ) from None


def _split(pattern: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pattern in two, of which the first needs `known` members only."""
    first: dict[str, Any] = {}
    then: dict[str, Any] = {}
    for name, wanted in pattern.items():
        inside = known.get(name, _ABSENT)
        if inside is _ABSENT:
            then[name] = wanted
        elif inside is None:
            first[name] = wanted
        elif isinstance(wanted, Mapping):
            for part, found in zip((first, then), _split(wanted, inside), strict=True):
                if found:
                    part[name] = found
        else:
            then[name] = wanted
    return first, then


def _outline(record: EventRecord) -> dict[str, Any]:
    """What `_KNOWN` names of a record."""
    change = {"Keys": orjson.loads(record.key), "ApproximateCreationDateTime": record.created_at}
    return {"eventName": record.kind, "dynamodb": change}


def _object(pattern: Mapping[str, Any]) -> Test:
    """A test of an object, or of a list of them."""
    alternatives: list[Test] = []
    members: list[tuple[str, Test]] = []
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list) and all(isinstance(one, Mapping) for one in wanted):
            alternatives.append(_any_of([_object(one) for one in wanted]))
        elif isinstance(wanted, Mapping):
            members.append((name, _object(wanted)))
        elif isinstance(wanted, list):
            members.append((name, _leaf(wanted)))
        else:
            raise FilterError(f"{name} is neither an object nor a list")

    def test(node: Any) -> bool:
        if isinstance(node, list) and node:
            return any(map(test, node))
        find = node.get if isinstance(node, dict) else _nothing
        return all(part(find(name, _ABSENT)) for name, part in members) and all(
            alternative(node) for alternative in alternatives
        )

    return test


def _nothing(_name: str, absent: Any) -> Any:
    return absent


def _any_of(tests: Sequence[Test]) -> Test:
    return lambda node: any(test(node) for test in tests)


def _leaf(rules: Sequence[Any]) -> Test:
    """A test of a leaf by several rules, of which one has to match."""
    literals = [rule for rule in rules if not isinstance(rule, dict)]
    if any(isinstance(rule, list) for rule in literals):
        raise FilterError("a list of rules has no lists in it")
    texts = frozenset(rule for rule in literals if isinstance(rule, str))
    tests = [_literal(rule) for rule in literals if not isinstance(rule, str)]
    tests += [_rule(rule) for rule in rules if isinstance(rule, dict)]

    def test(node: Any) -> bool:
        if isinstance(node, str):
            return node in texts or any(part(node) for part in tests)
        if isinstance(node, list) and node:
            return any(map(test, node))
        if isinstance(node, dict | list):
            node = _ABSENT
        return any(part(node) for part in tests)

    return test


def _literal(wanted: Any) -> Test:
    """A number, a boolean, or null. Numbers are compared by value, and never with a boolean."""
    is_bool = isinstance(wanted, bool)
    return lambda node: node == wanted and isinstance(node, bool) is is_bool


def _rule(rule: Mapping[str, Any]) -> Test:
    if len(rule) != 1:
        raise FilterError("a rule has one operator")
    ((operator, argument),) = rule.items()
    if operator == "exists":
        if not isinstance(argument, bool):
            raise FilterError("exists takes true or false")
        return lambda node: (node is not _ABSENT) is argument
    if operator == "anything-but":
        excluded = _excluded(argument)
        return lambda node: node is not _ABSENT and not excluded(node)
    return _operator(operator, argument)


def _excluded(argument: Any) -> Test:
    """What `anything-but` excludes: values, or one operator with one argument or several."""
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise FilterError("anything-but has one operator")
        ((operator, wanted),) = argument.items()
        return _any_of([_operator(operator, one) for one in _listed(wanted)])
    return _leaf(_listed(argument))


def _listed(argument: Any) -> list[Any]:
    return argument if isinstance(argument, list) else [argument]


def _operator(operator: str, argument: Any) -> Test:
    if operator == "numeric":
        return _numeric(argument)
    fold = operator == "equals-ignore-case"
    if (
        operator in ("prefix", "suffix")
        and isinstance(argument, dict)
        and [*argument] == ["equals-ignore-case"]
    ):
        argument, fold = argument["equals-ignore-case"], True
    if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard", "cidr"):
        raise FilterError(f"unknown operator {operator}")
    if not isinstance(argument, str):
        raise FilterError(f"{operator} takes text")
    passes = _text(operator, argument.lower() if fold else argument)
    return lambda node: isinstance(node, str) and passes(node.lower() if fold else node)


def _text(operator: str, wanted: str) -> Callable[[str], bool]:
    match operator:
        case "prefix":
            return lambda text: text.startswith(wanted)
        case "suffix":
            return lambda text: text.endswith(wanted)
        case "wildcard":
            return _wildcard(wanted)
        case "cidr":
            return _in_network(wanted)
        case _:
            return lambda text: text == wanted


def _wildcard(wanted: str) -> Callable[[str], bool]:
    r"""`*` stands for any characters, `\*` and `\\` for these themselves."""
    parts = re.findall(r"\\[*\\]|[\s\S]", wanted)
    expression = "".join(".*" if part == "*" else re.escape(part[-1]) for part in parts)
    matches = re.compile(expression, re.DOTALL).fullmatch
    return lambda text: matches(text) is not None


def _in_network(wanted: str) -> Callable[[str], bool]:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        raise FilterError("cidr takes a network such as 10.0.0.0/24") from None

    def test(text: str) -> bool:
        try:
            return ipaddress.ip_address(text) in network
        except ValueError:
            return False

    return test


def _numeric(argument: Any) -> Test:
    if not isinstance(argument, list) or not argument or len(argument) % 2:
        raise FilterError("numeric takes pairs of operator and number")
    pairs = [*zip(argument[::2], argument[1::2], strict=True)]
    if not all(sign in _COMPARE and _is_number(bound) for sign, bound in pairs):
        raise FilterError("numeric takes pairs of operator and number")
    bounds = [(_COMPARE[sign], bound) for sign, bound in pairs]
    return lambda node: _is_number(node) and all(compare(node, bound) for compare, bound in bounds)


def _is_number(node: Any) -> bool:
    return isinstance(node, int | float) and not isinstance(node, bool)
