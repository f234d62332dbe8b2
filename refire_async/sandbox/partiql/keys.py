"""What a WHERE clause says about an item's key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from refire_async.sandbox.errors import validation
from refire_async.sandbox.expressions.key_condition import KeyCondition
from refire_async.sandbox.expressions.nodes import (
    AllOf,
    Between,
    Call,
    Comparison,
    Condition,
    Literal,
    Membership,
    Parameter,
    Path,
)
from refire_async.sandbox.values import AttributeValue, Item

KeyReader: TypeAlias = Callable[[Any], Item]
"""From a statement's parameters to a key."""

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def conjuncts(condition: Condition | None) -> Iterator[Any]:
    """The conditions that must all hold."""
    if isinstance(condition, AllOf):
        for each in condition.conditions:
            yield from conjuncts(each)
    elif condition is not None:
        yield condition


def key_reader(where: Condition | None, key_names: tuple[str, ...]) -> KeyReader | None:
    """Reads the key that WHERE pins by equality; None when it does not pin the whole key."""
    found: dict[str, list[Literal | Parameter]] = {name: [] for name in key_names}
    for condition in conjuncts(where):
        term = _comparison(condition)
        if term is not None and term[1] == "=" and term[0] in found:
            found[term[0]].append(term[2])
    if not all(found.values()):
        return None
    single = [(name, nodes[0]) for name, nodes in found.items() if len(nodes) == 1]
    if len(single) == len(found):
        return _plain_reader(single)

    def read(parameters: Any) -> Item:
        key = {}
        for name, nodes in found.items():
            values = [value_of(node, parameters) for node in nodes]
            if any(value != values[0] for value in values):
                raise validation(
                    f"Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported"
                )
            key[name] = values[0]
        return key

    return read


def _plain_reader(pairs: list[tuple[str, Literal | Parameter]]) -> KeyReader:
    """Keys of parameters only, one or two of them, are what bulk writers send: no loop for those."""
    indexes = [(name, node.index) for name, node in pairs if isinstance(node, Parameter)]
    if len(indexes) == len(pairs) == 1:
        ((name, index),) = indexes
        return lambda parameters: {name: parameters[index]}
    if len(indexes) == len(pairs) == 2:
        (first, first_index), (second, second_index) = indexes
        return lambda parameters: {first: parameters[first_index], second: parameters[second_index]}
    return lambda parameters: {name: value_of(node, parameters) for name, node in pairs}


def value_of(node: Literal | Parameter, parameters: Any) -> AttributeValue:
    """The value of a literal or parameter."""
    return node.value if isinstance(node, Literal) else parameters[node.index]


def _comparison(condition: Any) -> tuple[str, str, Literal | Parameter] | None:
    """``attribute operator value`` in either order, None for anything else."""
    if not isinstance(condition, Comparison) or condition.operator not in _MIRRORED:
        return None
    left, right, operator = condition.left, condition.right, condition.operator
    if isinstance(right, Path):
        left, right, operator = right, left, _MIRRORED[operator]
    name = _attribute(left)
    if name is None or not isinstance(right, Literal | Parameter):
        return None
    return name, operator, right


def _attribute(node: Any) -> str | None:
    if isinstance(node, Path) and len(node.elements) == 1:
        return str(node.elements[0])
    return None


def key_conditions(
    where: Condition | None, parameters: Any, hash_name: str, range_name: str | None
) -> list[KeyCondition] | None:
    """Queries that together find every item for which WHERE can hold, None when it takes a Scan.

    There is one for each hash value; WHERE must still be applied to what they find.
    """
    hashes: list[AttributeValue] | None = None
    ranges: tuple[str, tuple[AttributeValue, ...]] | None = None
    for condition in conjuncts(where):
        if hashes is None:
            hashes = _hash_values(condition, parameters, hash_name)
            if hashes is not None:
                continue
        if ranges is None and range_name is not None:
            ranges = _range_condition(condition, parameters, range_name)
    if hashes is None:
        return None
    if ranges is None:
        return [KeyCondition(hash_name, value) for value in hashes]
    return [KeyCondition(hash_name, value, range_name, ranges[0], ranges[1]) for value in hashes]


def _hash_values(condition: Any, parameters: Any, name: str) -> list[AttributeValue] | None:
    term = _comparison(condition)
    if term is not None and term[0] == name and term[1] == "=":
        return [value_of(term[2], parameters)]
    if isinstance(condition, Membership) and _attribute(condition.operand) == name:
        distinct: list[AttributeValue] = []
        for option in condition.options:
            if not isinstance(option, Literal | Parameter):
                return None
            value = value_of(option, parameters)
            if value not in distinct:
                distinct.append(value)
        return distinct
    return None


def _range_condition(
    condition: Any, parameters: Any, name: str
) -> tuple[str, tuple[AttributeValue, ...]] | None:
    term = _comparison(condition)
    if term is not None and term[0] == name:
        return term[1], (value_of(term[2], parameters),)
    operator: str = ""
    operands: tuple[Any, ...] = ()
    if isinstance(condition, Between) and _attribute(condition.operand) == name:
        operator, operands = "BETWEEN", (condition.low, condition.high)
    elif _is_begins_with(condition) and _attribute(condition.arguments[0]) == name:
        operator, operands = "begins_with", condition.arguments[1:]
    if operator and all(isinstance(operand, Literal | Parameter) for operand in operands):
        return operator, tuple(value_of(operand, parameters) for operand in operands)
    return None


def _is_begins_with(condition: Any) -> bool:
    return isinstance(condition, Call) and condition.function == "begins_with"
