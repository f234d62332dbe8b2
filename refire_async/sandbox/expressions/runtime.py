"""What compiled statements are made of: closures that read operands from an item and decide conditions.

Each closure takes an item and the statement's parameters (``None`` for expressions, whose values are known when they
are compiled). None stands for a missing value. Comparing with a missing value is false, except that a missing value
is unequal to anything, as on the service.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from refire_async.sandbox.expressions.paths import DocumentPath, child
from refire_async.sandbox.values import AttributeValue, Item, compare

Parameters: TypeAlias = Sequence[AttributeValue] | None
Read: TypeAlias = Callable[[Item, Any], AttributeValue | None]
Decide: TypeAlias = Callable[[Item, Any], bool]


# -- operands


def read_path(path: DocumentPath) -> Read:
    """The value at a document path."""
    name, rest = str(path[0]), path[1:]
    if not rest:
        return lambda item, _: item.get(name)

    def read_along(item: Item, _: Any) -> AttributeValue | None:
        value = item.get(name)
        for element in rest:
            if value is None:
                return None
            value = child(value, element)
        return value

    return read_along


def read_constant(value: AttributeValue) -> Read:
    """A value known when the statement is compiled."""
    return lambda _item, _: value


def read_parameter(index: int) -> Read:
    """A value given with each execution."""
    return lambda _, parameters: parameters[index]


def read_size(operand: Read) -> Read:
    """``size(operand)``: characters as UTF-16 code units, bytes, or members; missing for types without size."""

    def read(item: Item, parameters: Any) -> AttributeValue | None:
        value = operand(item, parameters)
        size = None if value is None else size_of(value)
        return None if size is None else {"N": str(size)}

    return read


def size_of(value: AttributeValue) -> int | None:
    """What the function ``size`` returns for a value; None for numbers, booleans and null."""
    ((type_, content),) = value.items()
    if type_ == "S":
        return len(content) if content.isascii() else len(content.encode("utf-16-le", "surrogatepass")) // 2
    if type_ == "B":
        return len(b64decode(content))
    return len(content) if type_ in {"SS", "NS", "BS", "L", "M"} else None


# -- conditions


def all_of(conditions: Sequence[Decide]) -> Decide:
    """AND, left to right."""
    if len(conditions) == 2:
        first, second = conditions
        return lambda item, parameters: first(item, parameters) and second(item, parameters)
    if len(conditions) == 3:
        first, second, third = conditions
        return lambda item, parameters: (
            first(item, parameters) and second(item, parameters) and third(item, parameters)
        )

    def decide(item: Item, parameters: Any) -> bool:
        for condition in conditions:  # noqa: SIM110 - a generator for all() would cost more than the conditions
            if not condition(item, parameters):
                return False
        return True

    return decide


def any_of(conditions: Sequence[Decide]) -> Decide:
    """OR, left to right."""

    def decide(item: Item, parameters: Any) -> bool:
        for condition in conditions:  # noqa: SIM110 - see all_of
            if condition(item, parameters):
                return True
        return False

    return decide


def negate(condition: Decide) -> Decide:
    """NOT."""
    return lambda item, parameters: not condition(item, parameters)


def attribute_equals_parameter(name: str, index: int) -> Decide:
    """``name = ?``: the condition of nearly every conditional statement, so it has a closure of its own."""
    return lambda item, parameters: item.get(name) == parameters[index]


def equals(left: Read, right: Read) -> Decide:
    """``left = right``; missing values equal nothing."""

    def decide(item: Item, parameters: Any) -> bool:
        value = left(item, parameters)
        return value is not None and value == right(item, parameters)

    return decide


def _ordering(left: Read, right: Read, holds: Callable[[int], bool]) -> Decide:
    def decide(item: Item, parameters: Any) -> bool:
        first = left(item, parameters)
        second = right(item, parameters)
        if first is None or second is None:
            return False
        order = compare(first, second)
        return order is not None and holds(order)

    return decide


_ORDER_HOLDS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def comparison(operator: str, left: Read, right: Read) -> Decide:
    """``left operator right``."""
    if operator == "=":
        return equals(left, right)
    if operator == "<>":
        return negate(equals(left, right))
    return _ordering(left, right, _ORDER_HOLDS[operator])


def between(operand: Read, low: Read, high: Read) -> Decide:
    """``operand BETWEEN low AND high``, both ends included."""
    return all_of((comparison(">=", operand, low), comparison("<=", operand, high)))


def membership(operand: Read, options: Sequence[Read]) -> Decide:
    """``operand IN (options)``."""

    def decide(item: Item, parameters: Any) -> bool:
        value = operand(item, parameters)
        return value is not None and any(value == option(item, parameters) for option in options)

    return decide


def exists(operand: Read) -> Decide:
    """Whether there is a value, be it null."""
    return lambda item, parameters: operand(item, parameters) is not None


def missing(operand: Read) -> Decide:
    """Whether there is no value."""
    return lambda item, parameters: operand(item, parameters) is None


def attribute_missing(name: str) -> Decide:
    """``name IS MISSING`` for a whole attribute."""
    return lambda item, _: name not in item


def has_type(operand: Read, type_: Read) -> Decide:
    """``attribute_type(operand, type)``; ``type`` reads as a value of type S."""

    def decide(item: Item, parameters: Any) -> bool:
        value = operand(item, parameters)
        wanted = type_(item, parameters)
        return value is not None and wanted is not None and wanted["S"] in value

    return decide


def begins_with(operand: Read, prefix: Read) -> Decide:
    """``begins_with(operand, prefix)``: both S or both B."""
    return _of_both(operand, prefix, value_begins_with)


def value_begins_with(value: AttributeValue, start: AttributeValue) -> bool:
    """Whether ``value`` begins with ``start``; false unless both are S or both are B."""
    if "S" in value and "S" in start:
        return value["S"].startswith(start["S"])  # type: ignore[no-any-return]
    if "B" in value and "B" in start:
        return b64decode(value["B"]).startswith(b64decode(start["B"]))
    return False


def contains(operand: Read, searched: Read) -> Decide:
    """``contains(operand, searched)``: a part of a string or binary, a member of a set, an element of a list."""
    return _of_both(operand, searched, _value_contains)


def _of_both(operand: Read, other: Read, holds: Callable[[AttributeValue, AttributeValue], bool]) -> Decide:
    """Whether both are there and ``holds`` is true of them."""

    def decide(item: Item, parameters: Any) -> bool:
        value, second = operand(item, parameters), other(item, parameters)
        return value is not None and second is not None and holds(value, second)

    return decide


def _value_contains(value: AttributeValue, part: AttributeValue) -> bool:
    ((type_, content),) = value.items()
    if type_ == "L":
        return part in content
    ((part_type, part_content),) = part.items()
    if type_ in {"SS", "NS", "BS"}:
        return bool(type_[0] == part_type and part_content in content)
    if type_ == part_type == "S":
        return part_content in content
    if type_ == part_type == "B":
        return b64decode(part_content) in b64decode(content)
    return False
