"""Pages: which rows one Scan or Query reads, and in which partitions they lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from refire_async.sandbox.capacity.specs import PartitionInfo
from refire_async.sandbox.store.keys import OrderKey
from refire_async.sandbox.store.rows import Row

# Developer Guide: Scan, Query: a page holds at most 1 MB of items, before the filter.
PAGE_BYTES = 1024 * 1024


@dataclass(slots=True)
class Page:
    """Rows that were read. ``more``: a LastEvaluatedKey goes with them, which does not mean that any is left."""

    rows: list[tuple[OrderKey, Row]]
    size: int
    more: bool


def read_page(rows: Iterator[tuple[OrderKey, Row]], limit: int | None) -> Page:
    """Take rows up to the limit or 1 MB, but at least one. Reaching the limit ends a page even if nothing follows."""
    taken: list[tuple[OrderKey, Row]] = []
    total = 0
    for pair in rows:
        size = pair[1][1]
        if total + size > PAGE_BYTES and taken:
            return Page(taken, total, more=True)
        total += size
        taken.append(pair)
        if len(taken) == limit:
            return Page(taken, total, more=True)
    return Page(taken, total, more=False)


def sizes_by_partition(
    page: Page, partitions: Sequence[PartitionInfo], lows: Sequence[int], first: int, last: int
) -> list[tuple[int, int]]:
    """(some hash64, bytes) for each partition between two hashes that the page has passed, empty ones included."""
    touched = partitions[bisect_right(lows, first) - 1 : bisect_right(lows, last)]
    if len(touched) == 1:
        return [(first, page.size)]
    sizes = []
    index = 0
    rows = page.rows
    for partition in touched:
        size = 0
        end = partition.high << 64
        while index < len(rows) and rows[index][0][0] < end:
            size += rows[index][1][1]
            index += 1
        sizes.append((partition.low, size))
    return sizes
