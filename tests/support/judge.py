"""Compares items and stream before and after a run, to the byte."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

from tests.support.streams import Change, StreamReader
from tests.support.tables import Identity, Item, Table

_EXACT = Context(prec=60)

Next = Callable[[Any | None], dict[str, Any]]
"""From an item's old marker (`None`: missing) to the one after a touch."""


def counted_up(old: dict[str, str] | None) -> dict[str, str]:
    """The `revision` marker: plus 1, starting with 1."""
    return {"N": format(_EXACT.add(Decimal(old["N"]), 1), "f") if old else "1"}


def stamped(run_id: str) -> Next:
    """The `stamp` marker: the run's id, for any earlier value."""
    return lambda _old: {"S": run_id}


def canonical(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item with its sets in one order: DynamoDB returns them in any."""
    return {name: _canonical_value(value) for name, value in item.items()}


def _canonical_value(value: Any) -> Any:
    (kind, content), *_ = value.items()
    if kind in ("SS", "NS", "BS"):
        return {kind: sorted(content)}
    if kind == "L":
        return {kind: [_canonical_value(element) for element in content]}
    if kind == "M":
        return {kind: canonical(content)}
    return value


@dataclass(slots=True)
class Snapshot:
    """A table's items at one time, and every stream record since then."""

    table: Table
    items: dict[Identity, Item]
    _reader: StreamReader
    _changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table) -> "Snapshot":
        """The table as it is now; no writer may be active."""
        reader = table.stream()
        reader.read()
        return cls(table, table.items(), reader)

    def changes(self) -> dict[Identity, list[Change]]:
        """Stream records since the snapshot, by identity, oldest first."""
        self._changes += self._reader.read()
        by_identity: dict[Identity, list[Change]] = {}
        for change in self._changes:
            by_identity.setdefault(self.table.identity(change.key), []).append(change)
        return by_identity

    def select(self, wanted: Callable[[Item], bool]) -> set[Identity]:
        """The identities of the items for which `wanted` is true."""
        return {identity for identity, item in self.items.items() if wanted(item)}

    def assert_untouched(self) -> None:
        """Nothing was written: no record in the stream, no item changed."""
        self.assert_fired(())

    def assert_fired(
        self,
        fired: Collection[Identity] | None = None,
        *,
        times: int = 1,
        marker: str = "revision",
        touch: Next = counted_up,
    ) -> None:
        """Exactly `times` MODIFY records per item of `fired` (all items by default), and no other change.

        Each record changed the marker and nothing else; every item is, but for its marker, byte for byte what
        it was; no item came or went.
        """
        fired = set(self.items if fired is None else fired)
        records = self.changes()
        events = {identity: [change.event for change in changes] for identity, changes in records.items()}
        assert_same(events, dict.fromkeys(fired, ["MODIFY"] * times))
        for identity, changes in records.items():
            for change in changes:
                assert change.changed == {marker}, f"{identity}: {change.changed} changed"
        expected = {}
        for identity, item in self.items.items():
            expected[identity] = canonical(item)
            for _ in range(times if identity in fired else 0):
                expected[identity][marker] = touch(expected[identity].get(marker))
        assert_same(
            {identity: canonical(item) for identity, item in self.table.items().items()},
            expected,
        )


def assert_same(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Equal mappings; the message has the keys that differ and the first few values, not thousands of lines."""
    missing = [key for key in expected if key not in found]
    surplus = [key for key in found if key not in expected]
    different = [key for key in expected if key in found and found[key] != expected[key]]
    if missing or surplus or different:
        examples = [
            f"  {set(key)}: found {found.get(key)}, expected {expected.get(key)}"
            for key in [*missing, *surplus, *different][:5]
        ]
        raise AssertionError(
            f"{len(missing)} missing, {len(surplus)} too many, {len(different)} different, such as\n"
            + "\n".join(examples)
        )


SUMMARY_FIELDS = (
    "run_id",
    "table",
    "status",
    "scanned",
    "touched",
    "already",
    "conflicts",
    "vanished",
    "expired",
    "failed",
    "throttled",
    "retries",
    "wcu",
    "rcu",
    "seconds",
    "items_per_second",
    "checkpoint",
    "failed_keys_file",
)
"""The summary's documented fields."""


def assert_summary(summary: Mapping[str, Any], **expected: Any) -> None:
    """Exactly the documented fields, counts that add up, and the expected values."""
    assert tuple(summary) == SUMMARY_FIELDS
    outcomes = ("touched", "already", "vanished", "expired", "failed")
    assert summary["scanned"] == sum(summary[name] for name in outcomes), f"does not add up: {summary}"
    assert {name: summary[name] for name in expected} == expected
