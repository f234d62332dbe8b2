"""Resolves the selection settings for a table: key names and types, values of ranges, indexes. Pure."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.settings import SelectionSettings
from refire_async.sources.hash_values import hash_key_columns
from refire_async.sources.sort_key import sort_key_conditions

_WORD = re.compile(
    r"""
      :[A-Za-z0-9_]+                            # a value
    | \.\s*\#?[A-Za-z0-9_]+                     # deeper in a document
    | (?P<function>[A-Za-z_]+)\s*\(
    | (?P<name>\#?[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))
_FUNCTIONS = frozenset(
    ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")
)


def select(table: Table, selection: SelectionSettings) -> Selection:
    """The selection for `table`. Raises UsageError, or RefusedError for an index that is being created or deleted."""
    common: dict[str, Any] = {"sample": selection.sample, "include_expired": selection.include_expired}
    if selection.keys_file is not None:
        return Selection(kind="keys", keys_file=_absolute(selection.keys_file), **common)
    if selection.export is not None:
        folder = selection.export.removesuffix("manifest-summary.json").rstrip("/")
        return Selection(kind="export", export=_absolute(folder), **common)
    keys: KeySchema | IndexKeys = table.keys
    if selection.index is not None:
        keys = _index(table, selection.index).keys
    common |= {
        "index": selection.index,
        "filter": selection.filter,
        "names": selection.names,
        "values": selection.values,
    }
    _check_projection(table, selection)
    if not selection.names_hash_keys:
        if selection.sort_key_condition is not None or selection.key_name is not None:
            raise UsageError("a hash key is given without a value", "give --key-value")
        return Selection(kind="scan", **common)
    where = f"index {selection.index}" if selection.index else f"table {table.name}"
    hash_keys = hash_key_columns(selection, keys.hashes, where)
    if selection.sort_key_condition is not None:
        if not keys.ranges:
            raise UsageError(f"{where} has no sort key", "leave out --sort-key-condition")
        sort_key_conditions(selection.sort_key_condition, keys.ranges, "#sk", ":")
    for _, name in selection.names:
        if name in keys.names:
            # DynamoDB Developer Guide: Filter expressions for the Query operation.
            raise UsageError(
                f"a filter cannot name {name}, which is a key of {where}, together with --key-value",
                "narrow the sort key with --sort-key-condition",
            )
    return Selection(
        kind="query",
        key_name=keys.hashes[0][0],
        key_values=hash_keys[0],
        more_keys=tuple(
            (name, column) for (name, _), column in zip(keys.hashes[1:], hash_keys[1:], strict=True)
        ),
        sort_key_condition=selection.sort_key_condition,
        **common,
    )


def _check_projection(table: Table, selection: SelectionSettings) -> None:
    """Refuse a filter on an attribute that the index does not project, because index entries never have it.

    Servers differ in such a case: no entry matches, the request is refused, or a local index reads the items.
    """
    if selection.index is None or selection.filter is None:
        return
    index = _index(table, selection.index)
    for name in attributes_of(selection.filter, selection.names):
        if not index.projects(name, table.keys):
            raise UsageError(
                f"index {index.name} does not project {name}, so a filter on it would match nothing",
                "leave out --index to filter the items of the table, or filter by what the index projects",
            )


def _absolute(name: str) -> str:
    """The absolute form of a file name; `-` and `s3://` names are not changed."""
    return name if name == "-" or name.startswith("s3://") else str(Path(name).resolve())


def _index(table: Table, name: str) -> Index:
    index = table.index(name)
    if index is None:
        names = ", ".join(index.name for index in table.indexes) or "none"
        raise UsageError(f"table {table.name} has no index {name}", f"its indexes: {names}")
    if index.status != "ACTIVE":
        raise RefusedError(f"index {name} is {index.status}", "wait until it is ACTIVE")
    return index


def attributes_of(expression: str, names: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The top-level attributes in a FilterExpression with the placeholders `names`, each once, in order."""
    placeholders = dict(names)
    found: dict[str, None] = {}
    for match in _WORD.finditer(expression):
        word = match["name"] or match["function"]
        if word is None or word.upper() in _KEYWORDS or (match["function"] and word in _FUNCTIONS):
            continue
        found[placeholders.get(word, word)] = None
    return tuple(found)
