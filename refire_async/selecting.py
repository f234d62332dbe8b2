"""From what the user wrote to the selection that a table allows: key names and types, values of ranges. Pure."""

from pathlib import Path
from typing import Any

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import AttributeValue, KeySchema
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.settings import Choice, KeyType
from refire_async.sources.key_ranges import MOST_KEY_VALUES, expand_range
from refire_async.sources.key_text import canonical
from refire_async.sources.sort_key import sort_key_condition, typed_value


def select(table: Table, choice: Choice) -> Selection:
    """The user's choice with what only the table knows. Raises UsageError, or RefusedError for an index at work."""
    common: dict[str, Any] = {"sample": choice.sample, "include_expired": choice.include_expired}
    if choice.keys_file is not None:
        return Selection(kind="keys", keys_file=_absolute(choice.keys_file), **common)
    if choice.export is not None:
        folder = choice.export.removesuffix("manifest-summary.json").rstrip("/")
        return Selection(kind="export", export=_absolute(folder), **common)
    keys = table.keys
    if choice.index is not None:
        keys = _index(table, choice.index).keys
    common |= {"index": choice.index, "filter": choice.filter, "names": choice.names, "values": choice.values}
    if not choice.names_hash_keys:
        if choice.sort_key_condition is not None or choice.key_name is not None:
            raise UsageError("a hash key is named without its value", "give --key-value")
        return Selection(kind="scan", **common)
    where = f"index {choice.index}" if choice.index else f"table {table.name}"
    if choice.key_name not in (None, keys.hash_name):
        raise UsageError(
            f"{choice.key_name} is not the hash key of {where}",
            f"its hash key is {keys.hash_name}; for another attribute name an index with --index",
        )
    key_type = _key_type(keys, choice.key_type, where)
    if choice.sort_key_condition is not None:
        if keys.range_type is None:
            raise UsageError(f"{where} has no sort key", "leave out --sort-key-condition")
        sort_key_condition(choice.sort_key_condition, "#sk", keys.range_type)
    for _, name in choice.names:
        if name in keys.names:
            # DynamoDB Developer Guide: Filter expressions for the Query operation.
            raise UsageError(
                f"a filter cannot name {name}, which is a key of {where}, together with --key-value",
                "narrow the sort key with --sort-key-condition",
            )
    return Selection(
        kind="query",
        key_name=keys.hash_name,
        key_values=_key_values(choice, key_type),
        sort_key_condition=choice.sort_key_condition,
        **common,
    )


def _absolute(name: str) -> str:
    """A name that means the same from any folder."""
    return name if name == "-" or name.startswith("s3://") else str(Path(name).resolve())


def _key_values(choice: Choice, key_type: str) -> tuple[AttributeValue, ...]:
    """Every hash key once, however often and in whatever notation it is given: each is read by itself."""
    texts = list(choice.key_values)
    if choice.key_value_range is not None:
        texts += expand_range(choice.key_value_range, key_type)
    if len(texts) > MOST_KEY_VALUES:
        raise UsageError(
            f"{len(texts):,} hash keys are more than {MOST_KEY_VALUES:,}", "split them into several runs"
        )
    typed = (next(iter(typed_value(text, key_type).values())) for text in texts)
    try:
        return tuple({key_type: text} for text in dict.fromkeys(canonical(text, key_type) for text in typed))
    except ValueError as error:
        raise UsageError(f"--key-value: {error}", "give a value that a key can have") from None


def _index(table: Table, name: str) -> Index:
    index = table.index(name)
    if index is None:
        names = ", ".join(index.name for index in table.indexes) or "none"
        raise UsageError(f"table {table.name} has no index {name}", f"its indexes: {names}")
    if index.status != "ACTIVE":
        raise RefusedError(f"index {name} is {index.status}", "wait until it is ACTIVE")
    return index


def _key_type(keys: KeySchema, wanted: KeyType | None, where: str) -> str:
    if wanted not in (None, keys.hash_type):
        raise UsageError(
            f"the hash key of {where} is of type {keys.hash_type}, not {wanted}",
            f"give --key-type {keys.hash_type}",
        )
    return keys.hash_type
