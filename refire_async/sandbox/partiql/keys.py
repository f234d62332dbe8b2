"""What a WHERE clause says about an item's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias, TypeVar

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

T = TypeVar("T")

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
    where: Condition | None, parameters: Any, hash_names: Sequence[str], range_names: Sequence[str]
) -> list[KeyCondition] | None:
    """Queries that together find every item for which WHERE can hold, None when it takes a Scan.

    There is one for each hash value, or for each combination of values of several hash attributes; WHERE must still
    be applied to what they find. Range attributes narrow it from the left, up to the first that is not pinned.
    """
    conditions = list(conjuncts(where))
    options = []
    for name in hash_names:
        values = _first(_hash_values(condition, parameters, name) for condition in conditions)
        if values is None:
            return None
        options.append(values)
    hashes = [dict(zip(hash_names, values, strict=True)) for values in product(*options)]
    equal: Item = {}
    for name in range_names:
        found = _first(_range_condition(condition, parameters, name) for condition in conditions)
        if found is None:
            break
        operator, operands = found
        if operator != "=" or name == range_names[-1]:
            return [KeyCondition(each, equal, name, operator, operands) for each in hashes]
        equal[name] = operands[0]
    return [KeyCondition(each, equal) for each in hashes]


def _first(found: Iterable[T | None]) -> T | None:
    return next((one for one in found if one is not None), None)


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
