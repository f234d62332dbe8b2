"""From what the user wrote to the selection that a table allows: key names and types, values of ranges. Pure."""

from pathlib import Path
from typing import Any

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.settings import SelectionSettings
from refire_async.sources.filter_names import attributes_of
from refire_async.sources.hash_values import hash_key_columns
from refire_async.sources.sort_key import sort_key_conditions


def select(table: Table, selection: SelectionSettings) -> Selection:
    """The user's choice with what only the table knows. Raises UsageError, or RefusedError for an index at work."""
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
            raise UsageError("a hash key is named without its value", "give --key-value")
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
    """Refuse a filter on what the index does not carry: entries have it never, whatever their items have.

    What a server makes of that differs: no entry matches, the request is refused, or a local index reads the items.
    """
    if selection.index is None or selection.filter is None:
        return
    index = _index(table, selection.index)
    for name in attributes_of(selection.filter, selection.names):
        if not index.projects(name, table.keys):
            raise UsageError(
                f"index {index.name} does not project {name}, so a filter on it could match nothing there",
                "leave out --index to filter the items of the table, or filter by what the index projects",
            )


def _absolute(name: str) -> str:
    """A name that means the same from any folder."""
    return name if name == "-" or name.startswith("s3://") else str(Path(name).resolve())


def _index(table: Table, name: str) -> Index:
    index = table.index(name)
    if index is None:
        names = ", ".join(index.name for index in table.indexes) or "none"
        raise UsageError(f"table {table.name} has no index {name}", f"its indexes: {names}")
    if index.status != "ACTIVE":
        raise RefusedError(f"index {name} is {index.status}", "wait until it is ACTIVE")
    return index
