"""Parses conditions on the sort key: `begins_with 2026-11`, `< 100`, `between a and b`. Pure.

If an index has several RANGE attributes, each is named: `year = 2026 and month between 3 and 5`. DynamoDB requires
them in the order of the key schema, and only the last one may have another operator than equality (DynamoDB Developer
Guide: Multi-attribute keys).
"""

import re
from collections.abc import Sequence

from refire_async.errors import UsageError
from refire_async.model.keys import AttributeValue, KeyAttribute

_COMPARISON = re.compile(r"^(<=|>=|=|<|>)\s*(.+)$", re.DOTALL)
_BEGINS = re.compile(r"^begins_with\s+(.+)$", re.DOTALL | re.IGNORECASE)
_BETWEEN = re.compile(r"^between\s+(.+?)\s+and\s+(.+)$", re.DOTALL | re.IGNORECASE)


def sort_key_condition(
    text: str, placeholder: str, key_type: str, value_prefix: str = ":sk"
) -> tuple[str, dict[str, AttributeValue]]:
    """(part of a KeyConditionExpression on `placeholder`, its values by placeholder).

    Placeholders of values are `value_prefix` and a digit.

    Raises UsageError if the condition is none of `= < <= > >= VALUE`, `begins_with VALUE`, `between VALUE and VALUE`.
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


def sort_key_conditions(
    text: str, ranges: Sequence[KeyAttribute], name_prefix: str, value_prefix: str
) -> tuple[str, dict[str, str], dict[str, AttributeValue]]:
    """(part of a KeyConditionExpression on the RANGE attributes, its names, its values).

    A condition without attribute names applies to the first attribute.

    Raises UsageError if a part is not understood, or DynamoDB would refuse the order of the parts.
    """
    parts = _named_parts(text.strip(), [name for name, _ in ranges])
    expression: list[str] = []
    names: dict[str, str] = {}
    values: dict[str, AttributeValue] = {}
    for n, (name, key_type) in enumerate(ranges[: len(parts)]):
        if name not in parts:
            raise UsageError(
                f"--sort-key-condition names {', '.join(parts)} without {name}",
                f"conditions begin with the first sort attribute: {', '.join(name for name, _ in ranges)}",
            )
        placeholder = f"{name_prefix}{n}"
        part, more = sort_key_condition(parts[name], placeholder, key_type, f"{value_prefix}s{n}")
        if n < len(parts) - 1 and not part.startswith(f"{placeholder} = "):
            raise UsageError(
                f"--sort-key-condition: only the last attribute may have a range, not {name}",
                f"write '{name} = VALUE and …', or leave out what follows {name}",
            )
        expression.append(part)
        names[placeholder] = name
        values |= more
    return " AND ".join(expression), names, values


def _named_parts(text: str, names: Sequence[str]) -> dict[str, str]:
    """The condition on each attribute in `text`; without names, all of it on the first. Raises UsageError."""
    any_name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    named = re.compile(
        rf"(?:^|\s+(?i:and)\s+)({any_name})\s*(?=[<>=]|\s(?i:begins_with|between)\s)", re.DOTALL
    )
    if named.match(text) is None:
        return {names[0]: text}
    _, *fields = named.split(text)
    parts = dict(zip(fields[::2], fields[1::2], strict=True))
    if 2 * len(parts) != len(fields):
        raise UsageError("--sort-key-condition names an attribute twice", "use between for a range")
    return parts


def typed_value(text: str, key_type: str) -> AttributeValue:
    """`text` as a key value of `key_type` (base64 for B). Raises UsageError if it is not one."""
    if key_type != "S":
        text = text.strip()  # in a string, spaces count
    if key_type == "N" and not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise UsageError(f"{text!r} is not a number", "the key is of type N; give a number")
    if key_type == "B" and not re.fullmatch(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text
    ):
        raise UsageError(f"{text!r} is not base64", "the key is of type B; give its bytes in base64")
    if not text:
        raise UsageError("a key value is empty", "give the value of the key")
    return {key_type: text}
