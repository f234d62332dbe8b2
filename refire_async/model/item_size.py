"""The size of an item as DynamoDB counts it, for capacity units and for the limit of 400 KB.

Names and strings count in UTF-8, binary values in raw bytes (DynamoDB Developer Guide: Item sizes and formats). For
numbers the guide is approximate; here: one byte, plus one per two digits before and after the decimal point, plus one
for a minus sign.
"""

from collections.abc import Mapping
from typing import Any

from refire_async.model.keys import AttributeValue

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB Developer Guide: Quotas."""

_CONTAINER_BYTES = 3


def item_bytes(item: Mapping[str, AttributeValue]) -> int:
    """The size in bytes of an item in DynamoDB JSON (binary values in base64)."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    size: int = _SIZES[kind](content)
    return size


def _binary(content: str) -> int:
    return len(content) * 3 // 4 - content[-2:].count("=")


def _number(text: str) -> int:
    mantissa, _, exponent = text.lower().partition("e")
    negative = mantissa.startswith("-")
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    shift = int(exponent or 0)
    digits = whole + fraction
    point = len(whole) + shift
    significant = digits.lstrip("0")
    if not significant:
        return 1
    first = len(digits) - len(significant)
    last = len(digits.rstrip("0"))
    before = max(0, min(last, point) - first)
    after = max(0, last - max(first, point))
    return 1 + (before + 1) // 2 + (after + 1) // 2 + negative


def _list(content: list[Any]) -> int:
    return _CONTAINER_BYTES + sum(1 + _value_bytes(value) for value in content)


def _map(content: dict[str, Any]) -> int:
    return _CONTAINER_BYTES + len(content) + item_bytes(content)


_SIZES: dict[str, Any] = {
    "S": lambda content: len(content.encode()),
    "N": _number,
    "B": _binary,
    "BOOL": lambda _content: 1,
    "NULL": lambda _content: 1,
    "SS": lambda content: sum(len(text.encode()) for text in content),
    "NS": lambda content: sum(map(_number, content)),
    "BS": lambda content: sum(map(_binary, content)),
    "L": _list,
    "M": _map,
}
