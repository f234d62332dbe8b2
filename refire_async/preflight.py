"""What could go wrong, looked at before the first write. Pure: it judges what was asked for already."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import KeySchema
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.settings import Choice, KeyType
from refire_async.sources.sort_key import sort_key_condition, typed_value

Level: TypeAlias = Literal["stop", "warn", "info"]

WRITABLE = ("ACTIVE", "UPDATING")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know before a run. `stop` ends it unless the user ignores it by `id`."""

    id: str
    level: Level
    message: str
    action: str


def findings(table: Table, kinesis: tuple[str, ...]) -> list[Finding]:
    """What the table's description tells. `kinesis` are the ARNs of its active Kinesis destinations."""
    found = []
    if table.status not in WRITABLE:
        found.append(
            Finding(
                "table-status", "stop", f"table {table.name} is {table.status}", "wait until it is ACTIVE"
            )
        )
    if not table.stream.enabled and not kinesis:
        found.append(
            Finding(
                "stream-disabled",
                "stop",
                f"table {table.name} has neither a stream nor a Kinesis destination, so nothing would fire",
                "enable its stream first, or give --ignore stream-disabled",
            )
        )
    if table.replicas:
        regions = ", ".join(table.replicas)
        found.append(
            Finding(
                "global-table",
                "warn",
                f"table {table.name} is replicated: events fire and writes cost in {regions} too",
                "make sure that the consumers there are ready",
            )
        )
    return found


def refuse(found: Iterable[Finding], ignored: frozenset[str]) -> None:
    """Raise RefusedError for the first finding that stops a run and is not ignored."""
    for finding in found:
        if finding.level == "stop" and finding.id not in ignored:
            raise RefusedError(finding.message, finding.action)


def check_marker(table: Table, attribute: str, ttl_attribute: str | None = None) -> None:
    """Refuse a marker that cannot be changed freely. Raises UsageError."""
    if attribute == ttl_attribute:
        raise UsageError(
            f"marker attribute {attribute} is what table {table.name} expires items by",
            "name another one with --marker-attribute",
        )
    if attribute in table.keys.names:
        raise UsageError(
            f"marker attribute {attribute} is a key of table {table.name}",
            "name another one with --marker-attribute",
        )
    for index in table.indexes:
        if attribute in index.keys.names:
            raise UsageError(
                f"marker attribute {attribute} is a key of index {index.name}, so that a touch would move items",
                "name another one with --marker-attribute",
            )


def select(table: Table, choice: Choice) -> Selection:
    """The user's choice with what only the table knows: key names and types. Raises UsageError."""
    if choice.keys_file is not None:
        return Selection(kind="keys", keys_file=str(choice.keys_file.resolve()))
    keys = table.keys
    if choice.index is not None:
        keys = _index(table, choice.index).keys
    common = {"index": choice.index, "filter": choice.filter, "names": choice.names, "values": choice.values}
    if choice.key_value is None:
        if choice.sort_key_condition is not None or choice.key_name is not None:
            raise UsageError("a hash key is named without its value", "give --key-value")
        return Selection(kind="scan", **common)  # type: ignore[arg-type] # names and types match by hand
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
    return Selection(
        kind="query",
        key_name=keys.hash_name,
        key_value=typed_value(choice.key_value, key_type),
        sort_key_condition=choice.sort_key_condition,
        **common,  # type: ignore[arg-type] # names and types match by hand
    )


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
