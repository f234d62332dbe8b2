"""Whether JSON from elsewhere is items, keys and values in DynamoDB's format (API reference: AttributeValue). Pure."""

import binascii
import re
from collections.abc import Callable
from typing import Any

from refire_async.model.keys import IndexKeys, KeySchema

DEEPEST = 32
"""Levels of lists and maps in an attribute (DynamoDB Developer Guide: Quotas)."""

_matches_number = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII).fullmatch


def are_items(items: Any, keys: KeySchema) -> bool:
    """Whether this is a list of items that have these key attributes, and nothing but well-formed values."""
    if type(items) is not list:
        return False
    wanted = [(name, kind, _TEXTS[kind]) for name, kind in (*keys.hashes, *keys.ranges)]
    number = len(wanted)
    for item in items:
        if type(item) is not dict:
            return False
        for name, kind, fits in wanted:
            value = item.get(name)
            # An empty text or no bytes are values, but not of keys.
            if type(value) is not dict or len(value) != 1 or not value.get(kind) or not fits(value[kind]):
                return False
        if len(item) > number and not all(map(is_value, item.values())):
            return False
    return True


def is_position(key: Any, keys: KeySchema, index_keys: IndexKeys | None = None) -> bool:
    """Whether this is a LastEvaluatedKey of a table with these keys, or of one of its indexes.

    It has exactly these key attributes: another one would be refused whenever a read goes on there.
    """
    kinds = dict((*keys.hashes, *keys.ranges))
    if index_keys is not None:
        kinds |= dict((*index_keys.hashes, *index_keys.ranges))
    if not are_items([key], keys) or key.keys() != kinds.keys():
        return False
    return all(key[name].keys() == {kind} for name, kind in kinds.items())


def is_value(value: Any, depth: int = 0) -> bool:
    """Whether this is an attribute's value."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    fits = False
    match kind:
        case "S" | "N" | "B":
            fits = _TEXTS[kind](content)
        case "BOOL" | "NULL":
            fits = type(content) is bool
        case "SS" | "NS" | "BS":
            fits = type(content) is list and all(map(_TEXTS[kind[0]], content))
        case "L" if depth < DEEPEST and type(content) is list:
            fits = all(is_value(one, depth + 1) for one in content)
        case "M" if depth < DEEPEST and type(content) is dict:
            fits = all(is_value(one, depth + 1) for one in content.values())
    return fits


def _is_text(content: Any) -> bool:
    return type(content) is str


def _is_number(content: Any) -> bool:
    return type(content) is str and _matches_number(content) is not None


def _is_binary(content: Any) -> bool:
    if type(content) is not str:
        return False
    try:
        binascii.a2b_base64(content, strict_mode=True)
    except ValueError:
        return False
    return True


_TEXTS: dict[str, Callable[[Any], bool]] = {"S": _is_text, "N": _is_number, "B": _is_binary}
"""Checks of the types whose content is a text: those that keys can have."""
