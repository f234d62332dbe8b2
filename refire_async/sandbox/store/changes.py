"""One write of one item: its changes, its cost, and its application.

``plan`` decides and changes nothing, ``commit`` carries it out and cannot fail; between the two stands the admission
by the capacity model.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from refire_async.sandbox.capacity.units import write_units
from refire_async.sandbox.errors import validation
from refire_async.sandbox.store.index import IndexChange, plan_index_change
from refire_async.sandbox.store.keys import PUT_INDEX_KEY, UPDATE_INDEX_KEY, OrderKey
from refire_async.sandbox.store.rows import Row, row_of
from refire_async.sandbox.store.table import Stored, Table
from refire_async.sandbox.values import MAX_ITEM_BYTES, Item, item_size, text_size, value_size

# Items that grow by less than this, as those touched by a marker, are not told to the partitions of 10 GB.
_NOTED_GROWTH = 1024


@dataclass(frozen=True, slots=True)
class Wording:
    """The error of an operation for an item that cannot be stored."""

    too_large: str
    index_key: str


PUT = Wording("Item size has exceeded the maximum allowed size", PUT_INDEX_KEY)
UPDATE = Wording("Item size to update has exceeded the maximum allowed size", UPDATE_INDEX_KEY)


@dataclass(slots=True)
class Change:
    """A write that may be applied. ``new_row`` is ``old_row`` itself if nothing changes."""

    key: OrderKey
    old_row: Row | None
    new_row: Row | None
    units: int
    index_changes: list[IndexChange]

    @property
    def index_units(self) -> list[tuple[str, int, float]]:
        """The units of GSIs: (index, hash64, units)."""
        return [
            (change.index.name, hash64, units)
            for change in self.index_changes
            if change.index.is_global
            for hash64, units in change.charged
        ]

    @property
    def table_units(self) -> float:
        """The units of the table: its own and those of its LSIs."""
        return float(
            self.units + sum(change.units for change in self.index_changes if not change.index.is_global)
        )


def plan(table: Table, key: OrderKey, stored: Stored | None, new: Item | None, wording: Wording) -> Change:
    """The change that replaces the item at ``key`` by ``new`` (None: no item).

    ``new`` is canonical and may share values with the stored item. Raises ValidationException if the item becomes
    too large or does not fit an index, in the words of ``wording``.
    """
    old_row, old = stored or (None, None)
    new_row: Row | None
    if old is None or old_row is None:
        if new is None:
            return Change(key, None, None, 1, [])
        size = item_size(new)
        changed = set(new)
        new_row = row_of(new, size)
    elif new is None:
        size = 0
        changed = set(old)
        new_row = None
    else:
        changed, added, size = _difference(old, new, old_row[1])
        if not changed:
            new_row = old_row
        elif len(added) == len(changed):
            # Nothing was changed or removed: the text is the old one and the new attributes.
            new_row = old_row[0][:-1] + b"," + orjson.dumps(added)[1:], size
        else:
            new_row = row_of(new, size)
    if size > MAX_ITEM_BYTES:
        raise validation(wording.too_large)
    change = Change(key, old_row, new_row, write_units(old_row[1] if old_row else None, size), [])
    if table.indexes and changed:
        change.index_changes = _index_changes(table, change, old, new, changed=changed, wording=wording)
    return change


def _difference(old: Item, new: Item, size: int) -> tuple[set[str], Item, int]:
    """Names of the attributes that differ, those of them that are new, and the size of ``new`` from that of ``old``."""
    changed = set()
    added: Item = {}
    for name, value in new.items():
        before = old.get(name)
        if before is value:
            continue
        if before is None:
            added[name] = value
            changed.add(name)
            size += text_size(name) + value_size(value)
        elif before != value:
            changed.add(name)
            size += value_size(value) - value_size(before)
    if len(new) - len(old) != len(added):
        for name, value in old.items():
            if name not in new:
                changed.add(name)
                size -= text_size(name) + value_size(value)
    return changed, added, size


def _index_changes(
    table: Table,
    change: Change,
    old: Item | None,
    new: Item | None,
    *,
    changed: set[str],
    wording: Wording,
) -> list[IndexChange]:
    key, old_row, new_row = change.key, change.old_row, change.new_row
    changes = []
    for index in table.indexes.values():
        if new is not None and not changed.isdisjoint(index.schema.names):
            index.schema.check_index_values(new, index.name, wording.index_key)
        if not index.is_touched_by(changed):
            continue
        index_change = plan_index_change(
            index,
            None if old is None or old_row is None else index.entry(old, key, old_row),
            None if new is None or new_row is None else index.entry(new, key, new_row),
        )
        if index_change is not None:
            changes.append(index_change)
    return changes


def commit(table: Table, change: Change, now: float) -> None:
    """Apply a change at Unix time ``now``: rows, sizes, indexes and a stream record."""
    old, new, key = change.old_row, change.new_row, change.key
    if new is old:
        return
    before, after = table.rows.replace(key, old, new)
    growth = (new[1] if new else 0) - (old[1] if old else 0)
    table.size_bytes += growth
    if old is None or new is None or abs(growth) >= _NOTED_GROWTH:
        table.capacity.grow(None, key[0] >> 64, growth)
    for index_change in change.index_changes:
        index_change.apply()
        if index_change.index.is_global:
            for hash64, growth in index_change.growth():
                table.capacity.grow(index_change.index.name, hash64, growth)
    streams = table.streams
    if streams and streams[-1].enabled:
        if len(table.capacity.splits) != table.splits_seen:
            follow_partitions(table, now)
        streams[-1].append(key[0] >> 64, int(now), before, after)


def follow_partitions(table: Table, now: float) -> None:
    """Open and close shards after the capacity model has split partitions."""
    splits = table.capacity.splits
    if len(splits) != table.splits_seen:
        new, table.splits_seen = splits[table.splits_seen :], len(splits)
        if table.stream is not None:
            for split in new:
                if split.index is None:
                    table.stream.split(split.parent, split.children, now)
            table.stream.follow(table.capacity.partitions(), now)
