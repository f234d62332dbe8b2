"""Attribute values and items, kept as the plain DynamoDB JSON that they arrive as (``{"S": "x"}``).

``validate_item`` is the only way in. It returns the *canonical* form of what it is given: numbers in DynamoDB's text,
sets sorted (by UTF-8 bytes, numerically, by bytes), base64 without stray bits, no unknown members. Canonical values
are equal exactly when ``==`` says so, whatever order a set was written in, and they may be shared freely: nothing
in the sandbox ever changes a stored value in place.

Sizes follow the DynamoDB Developer Guide, "Item sizes and formats"; numbers to the byte as measured on the service.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sized
from decimal import Decimal
from typing import Any

from refire_async.sandbox.errors import ServiceError, serialization, validation
from refire_async.sandbox.numbers import canonical_number, number_order, number_size

AttributeValue = dict[str, Any]
"""One DynamoDB JSON value with exactly one member, such as ``{"N": "5"}``."""

Item = dict[str, AttributeValue]
"""Attribute values by attribute name."""

MAX_ITEM_BYTES = 409_600
MAX_NESTING = 32
MAX_NAME_BYTES = 65_535
# A character has four bytes at most.
_SURELY_SHORT_NAME = MAX_NAME_BYTES // 4
TYPES = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL")
_KNOWN = frozenset(TYPES)

_INVALID = "One or more parameter values were invalid: "


def validate_item(item: Any) -> Item:
    """The canonical form of ``item``; the same object when there is nothing to change.

    Raises SerializationException for wrong JSON types, ValidationException for values that DynamoDB refuses. Keys
    and the total size are not looked at.
    """
    if type(item) is not dict:
        raise _not_a_value(item)
    return _validate_members(item, 1)


def validate_value(value: Any) -> AttributeValue:
    """The canonical form of one attribute value; the same object when there is nothing to change."""
    return _validate(value, 1)


def validate_values(values: list[Any]) -> list[AttributeValue]:
    """``validate_value`` of each. Strings, of which most statements' parameters are, cost no call."""
    return [
        value
        if type(value) is dict and len(value) == 1 and type(value.get("S")) is str
        else _validate(value, 1)
        for value in values
    ]


def _validate(value: Any, level: int) -> AttributeValue:
    if type(value) is not dict:
        raise _not_a_value(value)
    if len(value) != 1:
        value = _only_member(value)
    ((type_, content),) = value.items()
    if type(content) is str:
        if type_ == "S":
            return value  # type: ignore[no-any-return]
        if type_ == "N":
            number = canonical_number(content)
            return value if number is content else {"N": number}
    if type_ not in _KNOWN or content is None:
        value = _only_member(value)
    if type_ in _DOCUMENT_VALIDATORS:
        canonical = _DOCUMENT_VALIDATORS[type_](content, level)
    else:
        canonical = _VALIDATORS[type_](content)
    return value if canonical is content else {type_: canonical}


def _only_member(value: AttributeValue) -> AttributeValue:
    # Unknown members and nulls are dropped by the service's JSON layer before anyone looks.
    present = {type_: content for type_, content in value.items() if type_ in _KNOWN and content is not None}
    if not present:
        raise validation(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    if len(present) > 1:
        raise validation(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    return present


def _validate_members(members: dict[str, Any], level: int) -> Item:
    changed: Item | None = None
    for name, value in members.items():
        if not name or len(name) > _SURELY_SHORT_NAME:
            check_name(name)
        canonical = _validate(value, level)
        if canonical is not value:
            if changed is None:
                changed = dict(members)
            changed[name] = canonical
    return members if changed is None else changed


def check_name(name: str) -> None:
    """Raise ValidationException for an attribute name that is empty or too long."""
    if not name:
        raise validation("Empty attribute name")
    if text_size(name) > MAX_NAME_BYTES:
        raise validation("Attribute name is too large, must be less than 65536 bytes")


def _text(content: Any) -> str:
    if type(content) is not str:
        raise _not_text(content)
    return content


def _number(content: Any) -> str:
    return canonical_number(_text(content))


def _binary(content: Any) -> str:
    try:
        canonical = b64encode(b64decode(_text(content), validate=True)).decode()
    except (Base64Error, ValueError):
        raise serialization(f"Invalid base64 content: {content[:64]}") from None
    return content if canonical == content else canonical


def _boolean(content: Any) -> bool:
    if type(content) is not bool:
        raise _wrong_type(content, "Boolean")
    return content


def _null(content: Any) -> bool:
    if content is not True:
        raise validation(f"{_INVALID}Null attribute value types must have the value of true")
    return True


def _string_set(content: Any) -> list[str]:
    members = [_text(member) for member in _array(content)]
    if not members:
        raise validation(f"{_INVALID}An string set  may not be empty")
    if len(set(members)) != len(members):
        raise validation(f"{_INVALID}Input collection [{', '.join(members)}] contains duplicates.")
    return _in_order(content, sorted(members))


def _number_set(content: Any) -> list[str]:
    members = [_number(member) for member in _array(content)]
    if not members:
        raise validation(f"{_INVALID}An number set  may not be empty")
    if len(set(members)) != len(members):
        raise validation("Input collection contains duplicates")
    return _in_order(content, sorted(members, key=number_order))


def _binary_set(content: Any) -> list[str]:
    members = [_binary(member) for member in _array(content)]
    if not members:
        raise validation(f"{_INVALID}Binary sets should not be empty")
    if len(set(members)) != len(members):
        raise validation(f"{_INVALID}Input collection [{', '.join(members)}]of type BS contains duplicates.")
    return _in_order(content, sorted(members, key=b64decode))


def _list(content: Any, level: int) -> list[AttributeValue]:
    members = _array(content)
    _require_room(members, level)
    canonical = [_validate(member, level + 1) for member in members]
    for before, after in zip(members, canonical, strict=True):
        if before is not after:
            return canonical
    return members


def _map(content: Any, level: int) -> Item:
    if type(content) is not dict:
        raise _not_a_value(content)
    _require_room(content, level)
    return _validate_members(content, level + 1)


def check_nesting(value: AttributeValue, level: int) -> None:
    """Raise ValidationException when a value that stands at ``level`` of an item reaches below level 32.

    An attribute's own value stands at level 1.
    """
    ((type_, content),) = value.items()
    if type_ not in _DOCUMENT_VALIDATORS:
        return
    _require_room(content, level)
    for member in content.values() if type_ == "M" else content:
        check_nesting(member, level + 1)


def _require_room(members: Sized, level: int) -> None:
    if level >= MAX_NESTING and members:
        raise validation(
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit"
        )


def _in_order(content: list[str], ordered: list[str]) -> list[str]:
    return content if content == ordered else ordered


def _array(content: Any) -> list[Any]:
    if type(content) is not list:
        raise serialization("Unexpected field type")
    return content


_VALIDATORS: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "SS": _string_set,
    "NS": _number_set,
    "BS": _binary_set,
    "NULL": _null,
    "BOOL": _boolean,
}
_DOCUMENT_VALIDATORS: dict[str, Callable[[Any, int], Any]] = {"M": _map, "L": _list}


def sorted_set(type_: str, members: set[str]) -> list[str]:
    """Members of a set of type SS, NS or BS in canonical order."""
    if type_ == "SS":
        return sorted(members)
    return sorted(members, key=number_order if type_ == "NS" else b64decode)


def item_size(item: Item) -> int:
    """Bytes that DynamoDB counts for an item: UTF-8 length of each name plus the size of its value."""
    total = 0
    for name, value in item.items():
        total += len(name) if name.isascii() else _utf8_length(name)
        for type_, content in value.items():
            if type_ == "S":
                total += len(content) if content.isascii() else _utf8_length(content)
            else:
                total += _SIZES[type_](content)
    return total


def value_size(value: AttributeValue) -> int:
    """Bytes that one canonical value adds to the size of an item, without its name."""
    for type_, content in value.items():
        return _SIZES[type_](content)
    raise AssertionError("unreachable: a value has one member")


def text_size(text: str) -> int:
    """Length of ``text`` in UTF-8 bytes."""
    return len(text) if text.isascii() else _utf8_length(text)


def _utf8_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _binary_size(content: str) -> int:
    return len(content) // 4 * 3 - content.count("=")


def _list_size(content: list[AttributeValue]) -> int:
    return 3 + len(content) + sum(map(value_size, content))


def _map_size(content: Item) -> int:
    return 3 + len(content) + item_size(content)


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": text_size,
    "N": number_size,
    "B": _binary_size,
    "SS": lambda members: sum(map(text_size, members)),
    "NS": lambda members: sum(map(number_size, members)),
    "BS": lambda members: sum(map(_binary_size, members)),
    "M": _map_size,
    "L": _list_size,
    "NULL": lambda _: 1,
    "BOOL": lambda _: 1,
}


def values_equal(left: AttributeValue, right: AttributeValue) -> bool:
    """Whether two canonical values are the same to DynamoDB: same type, same content, sets in any order."""
    return left == right


def key_order(value: AttributeValue) -> str | int | Decimal | bytes:
    """Something Python sorts as DynamoDB sorts keys of one type: S by UTF-8 bytes, N numerically, B by bytes.

    Text needs no encoding: code points and UTF-8 bytes sort alike. Raises KeyError for types without order.
    """
    for type_, content in value.items():
        return _ORDERS[type_](content)
    raise AssertionError("unreachable: a value has one member")


_ORDERS: dict[str, Callable[[str], str | int | Decimal | bytes]] = {
    "S": str,
    "N": number_order,
    "B": b64decode,
}


def compare(left: AttributeValue, right: AttributeValue) -> int | None:
    """-1, 0 or 1 as ``left`` sorts before, with or after ``right``.

    None where DynamoDB knows no order: values of different types, or of types other than S, N and B.
    """
    for type_ in left:
        if type_ not in right or type_ not in _ORDERS:
            return None
        first: Any = _ORDERS[type_](left[type_])
        second: Any = _ORDERS[type_](right[type_])
        return int(first > second) - int(first < second)
    raise AssertionError("unreachable: a value has one member")


def _not_text(content: Any) -> ServiceError:
    if type(content) is list:
        return serialization("Unrecognized collection type class java.lang.String")
    if type(content) is dict:
        return serialization("Start of structure or map found where not expected")
    return _wrong_type(content, "String")


def _not_a_value(content: Any) -> ServiceError:
    if content is None:
        return validation("The supplied Item contains a null AttributeValue")
    if type(content) is list:
        return serialization("Unrecognized collection type")
    return serialization("Unexpected value type in payload")


def _wrong_type(content: Any, expected: str) -> ServiceError:
    token = {bool: str(content).upper() + "_VALUE", str: "STRING_VALUE"}.get(type(content), "NUMBER_VALUE")
    return serialization(f"{token} cannot be converted to {expected}")
