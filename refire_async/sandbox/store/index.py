"""A secondary index: its entries, their projection, and how a write changes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from refire_async.sandbox.capacity.units import entry_units, index_write_units
from refire_async.sandbox.store.keys import KeySchema, OrderKey
from refire_async.sandbox.store.rows import MemoryRows, Row, Rows, row_of
from refire_async.sandbox.values import Item, item_size

Entry = tuple[OrderKey, Row]


@dataclass(frozen=True, slots=True)
class Projection:
    """The projected attributes besides keys; ``names`` only for INCLUDE."""

    type: Literal["ALL", "KEYS_ONLY", "INCLUDE"]
    names: tuple[str, ...] = ()


class SecondaryIndex:
    """One global or local index of a table. Its rows are ordered by index key, then by base key."""

    def __init__(
        self,
        name: str,
        schema: KeySchema,
        projection: Projection,
        base: KeySchema,
        *,
        is_global: bool,
        rows: Callable[[], Rows] = MemoryRows,
    ) -> None:
        self.name = name
        self.schema = schema
        self.projection = projection
        self.is_global = is_global
        self.rows = rows()
        self.size_bytes = 0
        # Names of what an entry holds; None means everything.
        self.projected: frozenset[str] | None = None
        if projection.type != "ALL":
            self.projected = frozenset((*schema.names, *base.names, *projection.names))

    def order_key(self, item: Item, base_key: OrderKey) -> OrderKey:
        """The order key of the entry of an item in this index."""
        return (*self.schema.order_key(item), base_key)

    def entry(self, item: Item, base_key: OrderKey, row: Row) -> Entry | None:
        """The entry of an item, None if it has none. ``row`` is the row of the item, shared for ALL."""
        if not self.schema.covers(item):
            return None
        key = self.order_key(item, base_key)
        if self.projected is None:
            return key, row
        names = self.projected
        projected = {name: value for name, value in item.items() if name in names}
        return key, row_of(projected, item_size(projected))

    def is_touched_by(self, changed: Collection[str]) -> bool:
        """Whether a change of these attributes can change an entry at all."""
        return self.projected is None or not self.projected.isdisjoint(changed)

    def replace(self, key: OrderKey, new: Row | None) -> None:
        """Put an entry's row in the place of whatever is at ``key``; None removes it."""
        old = self.rows.get(key)
        self.size_bytes += (new[1] if new else 0) - (old[1] if old else 0)
        self.rows.replace(key, old, new)


@dataclass(frozen=True, slots=True)
class IndexChange:
    """What one write does to one index. ``charged`` are (hash64, units), two if the entry moves."""

    index: SecondaryIndex
    old: Entry | None
    new: Entry | None
    units: int
    charged: tuple[tuple[int, float], ...]

    def growth(self) -> Iterator[tuple[int, int]]:
        """(hash64, bytes) that are added or removed."""
        if self.old is not None:
            yield self.old[0][0] >> 64, -self.old[1][1]
        if self.new is not None:
            yield self.new[0][0] >> 64, self.new[1][1]

    def apply(self) -> None:
        """Apply the change."""
        if self.old is not None and (self.new is None or self.new[0] != self.old[0]):
            self.index.replace(self.old[0], None)
        if self.new is not None:
            self.index.replace(*self.new)


def plan_index_change(index: SecondaryIndex, old: Entry | None, new: Entry | None) -> IndexChange | None:
    """The change from one entry to another, for a write that touched the index; None if neither exists."""
    if old is None and new is None:
        return None
    moved = old is not None and new is not None and old[0] != new[0]
    units = index_write_units(
        old[1][1] if old else None, new[1][1] if new else None, key_changed=moved, content_changed=True
    )
    charged: tuple[tuple[int, float], ...]
    if moved and old is not None and new is not None:
        charged = (
            (old[0][0] >> 64, float(entry_units(old[1][1]))),
            (new[0][0] >> 64, float(entry_units(new[1][1]))),
        )
    else:
        entry = new or old
        assert entry is not None  # noqa: S101 - one of them is there
        charged = ((entry[0][0] >> 64, float(units)),)
    return IndexChange(index, old, new, units, charged)
