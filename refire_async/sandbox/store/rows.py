"""Ordered rows: the interface of the item storage, and its implementation in memory.

A row is the JSON text of an item and its size in bytes as DynamoDB counts it. Text takes a fifth of the memory of
dictionaries, is no work for the garbage collector, and goes into responses and stream records as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableSequence
from typing import Any, Protocol

import orjson
from sortedcontainers import SortedList

from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.values import Item

Row = tuple[bytes, int]


def row_of(item: Item, size: int) -> Row:
    """The row of an item of that size."""
    # orjson hands out its working buffer, cut to length; the rest of it, 4 KB, cannot be used again as long as the
    # row lives. A copy lets it go.
    return memoryview(orjson.dumps(item)).tobytes(), size


class Rows(Protocol):
    """Rows by order key. A range must not be read further after rows were changed."""

    def __len__(self) -> int:
        """Number of rows."""

    def get(self, key: OrderKey, /) -> Row | None:
        """The row at ``key``."""

    def replace(self, key: OrderKey, old: Row | None, new: Row | None, /) -> tuple[Any, Any]:
        """Replace ``old``, the result of ``get(key)``, by ``new``; None means no row.

        Returns two snapshots for a stream record, of before and of after.
        """

    def between(
        self,
        low: OrderKey,
        high: OrderKey,
        *,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
        names: Collection[str] | None = None,
    ) -> Iterator[tuple[OrderKey, Row]]:
        """Rows from ``low`` to ``high`` in order, or backwards. A bound may be the head of an order key.

        ``names`` are the attributes besides the key that will be looked at: others may be left out of a row's text.
        Its size is that of the whole item all the same.
        """

    # A snapshot is whatever it takes to make a row again once it has been replaced; columns keep many of them.

    def restore(self, snapshot: Any, /) -> Row | None:
        """The row of a snapshot, None if there was none."""

    def snapshot_bytes(self, snapshot: Any, /) -> int:
        """Approximate memory that a snapshot keeps alive."""

    def new_column(self) -> MutableSequence[Any]:
        """An empty sequence for snapshots."""


class MemoryRows:
    """Rows in a dictionary and a sorted list of its keys: replacing a row costs one dictionary access."""

    __slots__ = ("_order", "_rows", "get")

    def __init__(self) -> None:
        self._rows: dict[OrderKey, Row] = {}
        self._order: SortedList = SortedList()
        self.get = self._rows.get

    def __len__(self) -> int:
        return len(self._rows)

    def replace(self, key: OrderKey, old: Row | None, new: Row | None, /) -> tuple[Any, Any]:
        if new is None:
            if old is not None:
                del self._rows[key]
                self._order.remove(key)
        else:
            if old is None:
                self._order.add(key)
            self._rows[key] = new
        return old, new

    def between(
        self,
        low: OrderKey,
        high: OrderKey,
        *,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
        names: Collection[str] | None = None,  # noqa: ARG002 - all is there, so all is shown
    ) -> Iterator[tuple[OrderKey, Row]]:
        rows = self._rows
        for key in self._order.irange(low, high, inclusive, reverse):
            yield key, rows[key]

    def restore(self, snapshot: Row | None, /) -> Row | None:
        return snapshot

    def snapshot_bytes(self, snapshot: Row | None, /) -> int:
        # 56 bytes for the pair, 33 for the bytes object, 28 for the size.
        return 0 if snapshot is None else len(snapshot[0]) + 117

    def new_column(self) -> list[Any]:
        return []
