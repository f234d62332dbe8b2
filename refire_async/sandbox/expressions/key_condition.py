"""Key-condition expressions (Developer Guide: Key condition expressions for the Query operation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refire_async.sandbox.errors import ServiceError, validation
from refire_async.sandbox.expressions.binder import Binder, Bound
from refire_async.sandbox.expressions.grammar import parse_condition
from refire_async.sandbox.expressions.nodes import AllOf, AnyOf, Between, Call, Comparison, Membership, Not
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.expressions.runtime import value_begins_with
from refire_async.sandbox.values import AttributeValue, compare, values_equal

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """Which items of one hash key a Query wants.

    ``hashes`` pins every hash attribute, ``equal`` range attributes from the left, both in the order of the schema.
    ``range_name`` is the next range attribute, whose ``range_operator`` is one of ``= < <= > >= BETWEEN
    begins_with``, None if there is no further condition; ``range_values`` holds its operand, or the two of BETWEEN.
    """

    hashes: Mapping[str, AttributeValue]
    equal: Mapping[str, AttributeValue] = field(default_factory=dict)
    range_name: str | None = None
    range_operator: str | None = None
    range_values: tuple[AttributeValue, ...] = ()

    def range_matches(self, value: AttributeValue) -> bool:
        """Whether an item with this value of ``range_name`` is wanted."""
        if self.range_operator is None:
            return True
        return _RANGE_MATCHES[self.range_operator](value, self.range_values)

    def check_types(self, types: Mapping[str, str]) -> None:
        """Raise ValidationException for values whose types are not those of the key, or that are empty."""
        for name, value in (*self.hashes.items(), *self.equal.items()):
            _check_value(name, types[name], value)
        if self.range_name is not None:
            for value in self.range_values:
                _check_value(self.range_name, types[self.range_name], value)


def _check_value(name: str, type_: str, value: AttributeValue) -> None:
    if type_ not in value:
        raise validation(
            "One or more parameter values were invalid: Condition parameter type does not match schema type"
        )
    if not value[type_]:
        kind = "string" if type_ == "S" else "binary"
        raise validation(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {kind} value. Key: {name}"
        )


def _in_order(value: AttributeValue, operand: AttributeValue, *wanted: int) -> bool:
    return compare(value, operand) in wanted


_RANGE_MATCHES: dict[str, Callable[[AttributeValue, tuple[AttributeValue, ...]], bool]] = {
    "=": lambda value, operands: values_equal(value, operands[0]),
    "<": lambda value, operands: _in_order(value, operands[0], -1),
    "<=": lambda value, operands: _in_order(value, operands[0], -1, 0),
    ">": lambda value, operands: _in_order(value, operands[0], 1),
    ">=": lambda value, operands: _in_order(value, operands[0], 1, 0),
    "BETWEEN": lambda value, operands: (
        _in_order(value, operands[0], 1, 0) and _in_order(value, operands[1], -1, 0)
    ),
    "begins_with": lambda value, operands: value_begins_with(value, operands[0]),
}


def compile_key_condition(
    text: str, placeholders: Placeholders, hash_names: Sequence[str], range_names: Sequence[str] = ()
) -> KeyCondition:
    """Compile a KeyConditionExpression for the key of a table or index. Raises ValidationException.

    The types of the values are left to ``KeyCondition.check_types``.
    """
    terms = _Terms(placeholders)
    found = terms.of(parse_condition(text, "KeyConditionExpression"))
    return _for_key(found, hash_names, range_names)


@dataclass(frozen=True, slots=True)
class _Term:
    """One condition on one attribute."""

    name: str
    operator: str
    values: tuple[AttributeValue, ...]


def _for_key(terms: list[_Term], hash_names: Sequence[str], range_names: Sequence[str]) -> KeyCondition:
    by_name = {term.name: term for term in terms}
    keys = len(hash_names) + len(range_names)
    if len(by_name) > max(keys, 2):
        raise validation(
            f"The number of query conditions ({len(terms)}) exceeds the number of key attributes "
            f"defined in the schema ({keys})"
        )
    if len(by_name) < len(terms):
        raise _error("KeyConditionExpressions must only contain one condition per key")
    hashes = {}
    for name in hash_names:
        term = by_name.pop(name, None)
        if term is None:
            raise validation(f"Query condition missed key schema element: {name}")
        if term.operator != "=":
            raise _not_supported()
        hashes[name] = term.values[0]
    given = [name for name in range_names if name in by_name]
    if len(given) < len(by_name):
        # A condition on an attribute that is not in the key.
        missing = next((name for name in range_names if name not in by_name), None)
        raise (
            _not_supported()
            if missing is None
            else validation(f"Query condition missed key schema element: {missing}")
        )
    if not given:
        return KeyCondition(hashes)
    last = by_name[given[-1]]
    equal = {}
    for name in range_names[: range_names.index(last.name)]:
        if name not in by_name:
            raise validation(
                f"RANGE key attributes {name} must have equality conditions specified in the query because "
                f"a condition is present on key attribute {next(g for g in given if g not in equal)}"
            )
        if by_name[name].operator != "=":
            raise _not_supported()
        equal[name] = by_name[name].values[0]
    return KeyCondition(hashes, equal, last.name, last.operator, last.values)


def _not_supported() -> ServiceError:
    return validation("Query key condition not supported")


class _Terms:
    """Takes a condition apart into terms, left to right."""

    def __init__(self, placeholders: Placeholders) -> None:
        self._binder = Binder(placeholders, "Invalid KeyConditionExpression: ")

    def of(self, node: Any) -> list[_Term]:
        if isinstance(node, AllOf):
            return [term for each in node.conditions for term in self.of(each)]
        # Binding finds undefined substitutes and operands of the wrong type.
        self._binder.condition(node)
        if isinstance(node, Comparison):
            return [self._comparison(node)]
        if isinstance(node, Between):
            values = self._values("BETWEEN", node.operand, node.low, node.high)
            return [_Term(self._key(node.operand), "BETWEEN", values)]
        if isinstance(node, Call) and node.function == "begins_with":
            values = self._values(node.function, *node.arguments)
            return [_Term(self._key(node.arguments[0]), node.function, values)]
        names: dict[type, str] = {Not: "NOT", AnyOf: "OR", Membership: "IN"}
        raise _invalid_operator(names.get(type(node)) or node.function)

    def _comparison(self, node: Comparison) -> _Term:
        if node.operator == "<>":
            raise _invalid_operator("<>")
        left, right = self._binder.operand(node.left), self._binder.operand(node.right)
        if left.path is not None and right.path is not None:
            raise validation(
                "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
            )
        if left.path is None:
            value = self._value(left)
            return _Term(self._name(right), _MIRRORED[node.operator], (value,))
        return _Term(self._name(left), node.operator, (self._value(right),))

    def _values(self, operator: str, first: Any, *others: Any) -> tuple[AttributeValue, ...]:
        if self._binder.operand(first).path is None:
            raise validation(
                f"Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute "
                "as its first operand"
            )
        return tuple(self._value(self._binder.operand(other)) for other in others)

    def _key(self, node: Any) -> str:
        return self._name(self._binder.operand(node))

    def _name(self, operand: Bound) -> str:
        if operand.path is None:
            raise validation("Invalid condition in KeyConditionExpression: No key attribute specified")
        if len(operand.path) > 1:
            raise _error("KeyConditionExpressions cannot have conditions on nested attributes")
        return str(operand.path[0])

    def _value(self, operand: Bound) -> AttributeValue:
        if operand.path is not None:
            raise validation(
                "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
            )
        if operand.value is None:
            raise validation("KeyConditionExpressions cannot contain nested operations")
        return operand.value


def _error(message: str) -> ServiceError:
    return validation(f"Invalid KeyConditionExpression: {message}")


def _invalid_operator(operator: str) -> ServiceError:
    return validation(f"Invalid operator used in KeyConditionExpression: {operator}")
