"""What could go wrong, looked at before the first write. Pure: it judges what was asked for already."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from refire_async.errors import RefusedError, UsageError
from refire_async.model.table import Table

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
