"""From a key condition to the range of order keys that it selects."""

from __future__ import annotations

from typing import Any

from refire_async.sandbox.expressions import KeyCondition
from refire_async.sandbox.store.keys import ABOVE, KeySchema, OrderKey
from refire_async.sandbox.values import key_order


def range_bounds(schema: KeySchema, condition: KeyCondition) -> tuple[OrderKey, OrderKey]:
    """(low, high): order keys of the table or index with low <= key < high satisfy the condition."""
    start: OrderKey = (schema.hash_position(condition.hashes), *map(key_order, condition.equal.values()))
    end: OrderKey = (*start, ABOVE)
    if condition.range_operator is None:
        return start, end
    first, *rest = [key_order(value) for value in condition.range_values]
    at, after = (*start, first), (*start, first, ABOVE)
    if condition.range_operator == "BETWEEN":
        return at, (*start, rest[0], ABOVE)
    if condition.range_operator == "begins_with":
        successor = _after_prefix(first)
        return at, end if successor is None else (*start, successor)
    bounds = {"=": (at, after), "<": (start, at), "<=": (start, after), ">": (after, end), ">=": (at, end)}
    return bounds[condition.range_operator]


def _after_prefix(prefix: Any) -> Any:
    """The least string or bytes after everything that begins with ``prefix``; None if nothing comes after."""
    if isinstance(prefix, bytes):
        stripped = prefix.rstrip(b"\xff")
        return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
    stripped = prefix.rstrip("\U0010ffff")
    if not stripped:
        return None
    last = ord(stripped[-1]) + 1
    # Surrogates are no characters: they cannot be in a key.
    return stripped[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else last)
