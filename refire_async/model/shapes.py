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
    return key_columns(items, keys) is not None


def key_columns(items: Any, keys: KeySchema) -> list[list[str]] | None:
    """The texts of the key attributes of a list of items: a column for each attribute, in the order of `keys`.

    None if this is not a list of items that have these key attributes, and nothing but well-formed values. Checks
    whole columns at a time, because this is done for every page that is read.
    """
    if type(items) is not list:
        return None
    wanted = (*keys.hashes, *keys.ranges)
    if not items:
        return [[] for _ in wanted]
    columns = []
    try:
        for name, kind in wanted:
            values = [item[name] for item in items]
            texts = [value[kind] for value in values]
            # An empty text or no bytes are values, but not of keys.
            if set(map(type, values)) != {dict} or max(map(len, values)) != 1 or not all(texts):
                return None
            if set(map(type, texts)) != {str} or (kind != "S" and not all(map(_TEXTS[kind], texts))):
                return None
            columns.append(texts)
    except (LookupError, TypeError):
        return None
    return columns if _are_well_formed(items, {name for name, _ in wanted}) else None


def _are_well_formed(items: list[Any], key_names: set[str]) -> bool:
    """Whether all attributes but the keys have well-formed values. Most are markers: numbers of digits only."""
    if set(map(type, items)) != {dict}:
        return False
    if max(map(len, items)) == len(key_names):
        return True
    rest = [value for item in items for name, value in item.items() if name not in key_names]
    try:
        numbers = [value["N"] for value in rest]
        joined = "".join(numbers)
        if joined.isdecimal() and joined.isascii() and all(numbers):
            return set(map(type, rest)) == {dict} and max(map(len, rest)) == 1
    except (LookupError, TypeError):
        pass
    return all(map(is_value, rest))


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
