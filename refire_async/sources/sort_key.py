"""Conditions on the sort key as people write them: `begins_with 2026-11`, `< 100`, `between a and b`. Pure."""

import re

from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue

_COMPARISON = re.compile(r"^(<=|>=|=|<|>)\s*(.+)$", re.DOTALL)
_BEGINS = re.compile(r"^begins_with\s+(.+)$", re.DOTALL | re.IGNORECASE)
_BETWEEN = re.compile(r"^between\s+(.+?)\s+and\s+(.+)$", re.DOTALL | re.IGNORECASE)


def sort_key_condition(
    text: str, placeholder: str, key_type: str, value_prefix: str = ":sk"
) -> tuple[str, dict[str, AttributeValue]]:
    """The condition as a part of a KeyConditionExpression on `placeholder`, and the values that it names.

    Placeholders of values are `value_prefix` and a digit.

    Raises UsageError if it is none of `= < <= > >= VALUE`, `begins_with VALUE`, `between VALUE and VALUE`.
    """
    text = text.strip()
    first, second = f"{value_prefix}1", f"{value_prefix}2"
    if match := _BETWEEN.match(text):
        low, high = (typed_value(part, key_type) for part in match.groups())
        return f"{placeholder} BETWEEN {first} AND {second}", {first: low, second: high}
    if match := _BEGINS.match(text):
        if key_type == "N":
            raise UsageError(
                "begins_with does not work on a sort key of type N", "use between or a comparison"
            )
        return f"begins_with({placeholder}, {first})", {first: typed_value(match[1], key_type)}
    if match := _COMPARISON.match(text):
        return f"{placeholder} {match[1]} {first}", {first: typed_value(match[2], key_type)}
    raise UsageError(
        f"--sort-key-condition {text!r} is not understood",
        "write 'begins_with X', 'between X and Y', or one of = < <= > >= and a value",
    )


def typed_value(text: str, key_type: str) -> AttributeValue:
    """`text` as a key value of `key_type` (base64 for B). Raises UsageError if it is not one."""
    if key_type != "S":
        text = text.strip()  # in a string even a blank counts
    if key_type == "N" and not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise UsageError(f"{text!r} is not a number", "the key is of type N; give a number")
    if key_type == "B" and not re.fullmatch(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text
    ):
        raise UsageError(f"{text!r} is not base64", "the key is of type B; give its bytes in base64")
    if not text:
        raise UsageError("a key value is empty", "give the value of the key")
    return {key_type: text}
