"""What Scan, Query and PartiQL SELECT share: from rows of a page to a response."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from refire_async.sandbox.capacity.units import query_units, read_units, scan_units
from refire_async.sandbox.errors import validation
from refire_async.sandbox.expressions import Condition, KeyCondition, Projection
from refire_async.sandbox.operations.common import Consumption, throttled
from refire_async.sandbox.operations.ranges import range_bounds
from refire_async.sandbox.store.index import SecondaryIndex
from refire_async.sandbox.store.keys import KeySchema, OrderKey
from refire_async.sandbox.store.pages import Page, read_page, sizes_by_partition
from refire_async.sandbox.store.rows import Row, Rows
from refire_async.sandbox.store.table import Table


@dataclass(slots=True)
class Reading:
    """What a read is of, and how it is charged."""

    table: Table
    index: SecondaryIndex | None
    consistent: bool
    fetch: bool = False
    """Whether each base item is read too, because the LSI does not project all requested attributes."""
    names: frozenset[str] | None = None
    """The attributes that are read besides the key; None: all."""

    @property
    def gsi(self) -> str | None:
        """The GSI whose capacity the page consumes; None for the table, which includes its LSIs."""
        return self.index.name if self.index is not None and self.index.is_global else None

    @property
    def schema(self) -> KeySchema:
        """Key schema of what is read."""
        return self.table.schema_of(self.index)

    def scan_page(
        self, low: int, high: int, start: OrderKey | None, limit: int | None
    ) -> tuple[Page, Consumption]:
        """A page of a Scan from position ``low`` of the hash space, or after ``start``, up to ``high``."""
        first = (low if start is None else start[0]) >> 64
        self._check(first)
        pairs = self._rows.between(
            start or (low,), (high,), inclusive=(start is None, False), names=self.names
        )
        page = read_page(pairs, limit)
        last = page.rows[-1][0][0] if page.more else high - 1
        return page, self._charge_scan(page, first, last >> 64)

    def query_page(
        self, condition: KeyCondition, start: OrderKey | None, limit: int | None, *, reverse: bool
    ) -> tuple[Page, Consumption]:
        """A page of a Query. ValidationException if ``start`` lies outside of what the condition selects."""
        low, high = range_bounds(self.schema, condition)
        hash64 = low[0] >> 64
        inclusive = True
        single = self.index is None and not self.schema.ranges
        if start is not None:
            if single:
                raise validation("The query can return at most one row and cannot be restarted")
            if not low <= start < high:
                raise validation(
                    "The provided starting key is outside query boundaries based on provided conditions"
                )
            if reverse:
                high = start
            else:
                low, inclusive = start, False
        self._check(hash64)
        pairs = self._rows.between(low, high, inclusive=(inclusive, False), reverse=reverse, names=self.names)
        page = read_page(pairs, limit)
        page.more = page.more and not single
        return page, self._charge_query(page, hash64)

    @property
    def _rows(self) -> Rows:
        return self.table.rows if self.index is None else self.index.rows

    def _check(self, hash64: int) -> None:
        """Raise the throttling error if the partition of this hash has no capacity left."""
        throttle = self.table.capacity.check_read(self.gsi, hash64)
        if throttle is not None:
            raise throttled(throttle)

    def _charge_scan(self, page: Page, first: int, last: int) -> Consumption:
        """Charge a page of a Scan that has passed the hashes from ``first`` to ``last``."""
        capacity = self.table.capacity
        sizes = sizes_by_partition(page, *self.table.partitions(self.gsi), first, last)
        shares = scan_units([size for _, size in sizes], self.consistent)
        for (hash64, _), units in zip(sizes, shares, strict=True):
            capacity.charge_read(self.gsi, hash64, units)
        return self._consumption(page, sum(shares))

    def _charge_query(self, page: Page, hash64: int) -> Consumption:
        """Charge a page of a Query."""
        units = query_units(page.size, self.consistent)
        self.table.capacity.charge_read(self.gsi, hash64, units)
        return self._consumption(page, units)

    def _consumption(self, page: Page, units: float) -> Consumption:
        if self.index is None:
            return Consumption(units)
        consumption = Consumption()
        consumption.add_index(self.index.name, units, is_global=self.index.is_global)
        if self.fetch:
            for key, _ in page.rows:
                base = self.table.rows.get(key[-1])
                fetched = read_units(base[1] if base else None, self.consistent)
                self.table.capacity.charge_read(None, key[0] >> 64, fetched)
                consumption.add(fetched)
        return consumption

    def rows(self, page: Page) -> list[Row]:
        """The rows that a page shows: those of the base table if they were fetched."""
        if not self.fetch:
            return [row for _, row in page.rows]
        fetched = [self.table.rows.get(key[-1]) for key, _ in page.rows]
        return [row for row in fetched if row is not None]


def check_projected(index: SecondaryIndex, names: Collection[str], *, consistent: bool) -> bool:
    """Whether reading these attributes through an index must reach back to the table; no GSI can do so.

    Raises ValidationException for what an index cannot do.
    """
    if index.is_global and consistent:
        raise validation("Consistent reads are not supported on global secondary indexes")
    missing = [] if index.projected is None else sorted(set(names) - index.projected)
    if missing and index.is_global:
        raise validation(
            "One or more parameter values were invalid: "
            f"Global secondary index {index.name} does not project [{', '.join(missing)}]"
        )
    return bool(missing)


def project(row: Row, projection: Projection | None) -> Any:
    """A row as a response shows it."""
    if projection is None:
        return orjson.Fragment(row[0])
    return projection.apply(orjson.loads(row[0]))


def select(rows: Sequence[Row], condition: Condition | None, projection: Projection | None) -> list[Any]:
    """The rows that the filter lets through, projected."""
    loads = orjson.loads
    if condition is None:
        if projection is None:
            return [orjson.Fragment(row[0]) for row in rows]
        apply = projection.apply
        return [apply(loads(row[0])) for row in rows]
    matches = condition.matches
    found = []
    for row in rows:
        item = loads(row[0])
        if matches(item):
            found.append(orjson.Fragment(row[0]) if projection is None else projection.apply(item))
    return found


def count(rows: Sequence[Row], condition: Condition | None) -> int:
    """How many rows the filter lets through."""
    if condition is None:
        return len(rows)
    return sum(condition.matches(orjson.loads(row[0])) for row in rows)
