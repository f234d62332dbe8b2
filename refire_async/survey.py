"""A bounded look at a table: what a run of a selection would have to do. Writes nothing."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import anyio

from refire_async.errors import RefusedError, UsageError
from refire_async.forecast.counting import Count, Stretch, count
from refire_async.forecast.load import LEAST_READ_RCU, Load, Sizes, scan_rcu
from refire_async.model.capacity import TABLE
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Cursor, Item
from refire_async.model.marker import Marker
from refire_async.model.selection import Selection
from refire_async.model.table import Index, Table
from refire_async.model.units import RCU_BYTES
from refire_async.pacing.budget import ReadBudget
from refire_async.pipeline.sorting import is_expired
from refire_async.sources.base import Source
from refire_async.sources.table import query_source, scan_source
from refire_async.wire.dataplane import DataPlane

MOST_ITEMS = 8_000
MOST_RCU = 1_000.0
"""Items and read units of a sample at most: a thousandth of a dollar, and 1,000 items of 8 KB."""

MORE_ITEMS = 40_000
MORE_RCU = 5_000.0
"""The same where the first look leaves the doubt that a hash key is hot: less than a tenth of a cent."""

MOST_COUNTED_RCU = 20_000.0
"""Read units at most for given hash keys: nothing tells how many items they have but reading them."""

STRETCHES = 128
MORE_STRETCHES = 1_024
"""Stretches of a look, and of one with doubt."""

READERS = 8
PAGE_ITEMS = 200
CROWDED = 10
MORE_CROWDED = 30
"""A stretch that holds this many times what it should is not read to its end; the same where doubt can be ended by
reading all that are not crowded."""

SHARES = (0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Question:
    """The run whose load is asked for. `page_items` and `segments` are those that it would use.

    At most `max_rcu` read units a second for `within_s` seconds are spent on the look. `ttl_attribute` is what
    expires items, where those that have are to be left out. `now_s` is seconds since the epoch.
    """

    table: Table
    selection: Selection
    marker: Marker
    ttl_attribute: str | None
    page_items: int
    segments: int
    max_rcu: float
    within_s: float
    now_s: float

    @property
    def index(self) -> Index | None:
        """The index that is read, if one is."""
        return self.table.index(self.selection.index) if self.selection.index else None

    @property
    def touched(self) -> tuple[Index, ...]:
        """The indexes whose entries a touch changes."""
        table = self.table
        return tuple(index for index in table.indexes if index.projects(self.marker.attribute, table.keys))

    @property
    def growth(self) -> int:
        """Bytes that the first touch adds to an item: the attribute's name, and a small number or the run's id."""
        value = 2 if self.marker.kind == "revision" else len(self.marker.run_id)
        return len(self.marker.attribute.encode()) + value

    @property
    def mean_bytes(self) -> float:
        """Mean size of the table's items by its description; 0 if that knows of none."""
        return self.table.size_bytes / self.table.item_count if self.table.item_count else 0.0


async def survey(data: DataPlane, question: Question, seed: int | None = None) -> Load:
    """What the run would do.

    A table or index is looked at in some of its many small hash ranges, drawn at random: `MOST_ITEMS` items and
    `MOST_RCU` units, or `MORE_ITEMS` and `MORE_RCU` if a hash key may be hot. Given hash keys are counted, for
    `MOST_COUNTED_RCU` units.

    Raises:
        UsageError: the selection is a list of keys, which does not say what it costs.
        WireError: the table cannot be read.
        RefusedError: nothing could be read in time.
    """
    if question.selection.kind not in ("scan", "query"):
        raise UsageError("a list of keys cannot be sampled", "give --items and --item-size instead")
    look = _Look(data, question)
    await look.read(random.Random(seed))  # noqa: S311 - where to look is no secret
    if not look.stretches:
        raise RefusedError(
            f"nothing of table {question.table.name} could be read within {question.within_s:g} s",
            "give more time with --sample-seconds, or more capacity with --max-rcu",
        )
    return look.load()


class _Look:
    """One look at a table."""

    def __init__(self, data: DataPlane, question: Question) -> None:
        self.stretches: dict[int, Stretch] = {}
        self._question = question
        self._budget = ReadBudget(question.max_rcu)
        counting = question.selection.kind == "query"
        self._most_items = math.inf if counting else MOST_ITEMS
        self._all_rcu = question.max_rcu * question.within_s
        self._most_rcu = min(MOST_COUNTED_RCU if counting else MOST_RCU, self._all_rcu)
        self._sizes = Sizes()
        self._items = 0
        self._expired = 0
        self._rcu = 0.0
        table, selection, index = question.table, question.selection, question.index
        keys = table.keys if index is None else index.keys
        self._hash_name = keys.hash_name
        self._sized = index is None or index.projection == "ALL"
        self._crowded = self._most_each = math.inf
        self._left: dict[int, tuple[Cursor | None, Counter[str]]] = {}
        if selection.kind == "query":
            self._total = len(selection.key_values)
            self._source: Source = query_source(data, table.name, selection, None, keys, carries_marker=True)
        else:
            each = self._items_each()
            self._total = max(1, min(math.ceil(table.item_count / each), 1_000_000))
            self._crowded = self._most_each = each * CROWDED
            self._source = scan_source(
                data, table.name, selection, None, total_segments=self._total, carries_marker=True
            )

    def _items_each(self) -> int:
        """Items that a stretch should hold, so that as many as there are to be stay within the bounds."""
        mean = self._question.mean_bytes
        affordable = self._most_rcu * 2 * RCU_BYTES / mean if mean else MOST_ITEMS
        return max(4, int(min(affordable, MOST_ITEMS) / STRETCHES))

    @property
    def _enough(self) -> bool:
        return self._items >= self._most_items or self._rcu >= self._most_rcu

    async def read(self, draw: random.Random) -> None:
        """Read stretches until there are enough of them, or time is up. Raises WireError."""
        drawn = draw.sample(range(self._total), min(self._total, MORE_STRETCHES))
        with anyio.move_on_after(self._question.within_s):
            await self._read_side_by_side(drawn[:STRETCHES])
            if self._count().doubtful:
                self._most_items, self._most_rcu = MORE_ITEMS, min(MORE_RCU, self._all_rcu)
                more = [segment for segment in drawn if segment not in self.stretches]
                if self._total <= MORE_STRETCHES:
                    self._most_each *= MORE_CROWDED / CROWDED
                    more += self._left
                await self._read_side_by_side(more)

    async def _read_side_by_side(self, waiting: list[int]) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(min(READERS, len(waiting))):
                tasks.start_soon(self._read_some, waiting)

    async def _read_some(self, waiting: list[int]) -> None:
        while waiting and not self._enough:
            await self._read_stretch(waiting.pop())

    async def _read_stretch(self, segment: int) -> None:
        cursor, hash_keys = self._left.pop(segment, (None, Counter()))
        items, whole = hash_keys.total(), False
        estimate = LEAST_READ_RCU
        # A stretch that is begun is read on: leaving out the longest would make the others look like all.
        while not (whole or items >= self._most_each or (self._enough and self._most_each == math.inf)):
            await self._budget.reserve(estimate)
            page = await self._source.read(segment, cursor, PAGE_ITEMS)
            self._rcu += self._budget.settle(estimate, page.rcu)
            estimate = max(LEAST_READ_RCU, page.rcu)
            self._add(page.items)
            items += len(page.items)
            hash_keys.update(str(item[self._hash_name]) for item in page.items)
            cursor, whole = page.cursor, page.cursor is None
            self.stretches[segment] = Stretch(
                items, max(hash_keys.values(), default=0), len(hash_keys), whole
            )
        if not whole:
            self._left[segment] = cursor, hash_keys

    def _add(self, items: Iterable[Item]) -> None:
        question = self._question
        ttl, attribute = question.ttl_attribute, question.marker.attribute
        for item in items:
            self._items += 1
            if ttl is not None and is_expired(item.get(ttl), question.now_s):
                self._expired += 1
            elif self._sized:
                entries = {
                    index.name: _entry_bytes(item, index)
                    for index in question.touched
                    if all(name in item for name in index.keys.names)  # else the index has no entry for it
                }
                self._sizes.add(item_bytes(item), 0 if attribute in item else question.growth, entries)

    def load(self) -> Load:
        """What all of it comes to."""
        question = self._question
        table, selection, index = question.table, question.selection, question.index
        complete = all(stretch.whole for stretch in self.stretches.values())
        counted = self._count()
        # What was read to its end needs no description, which may be hours old; a filter chooses sizes of its own.
        described = selection.kind == "scan" and selection.filter is None and not self._all_read
        mean = (
            (question.mean_bytes if described else self._sizes.mean)
            or self._sizes.mean
            or question.mean_bytes
        )
        if not self._sizes.sizes:
            # Entries of an index are not items. One of mean size stands for all, whole in each index that shows it.
            self._sizes.add(
                round(mean), 0, dict.fromkeys((entry.name for entry in question.touched), round(mean))
            )
        living = 1.0 - self._expired / self._items if self._items else 1.0
        items = round(counted.items * living * (selection.sample or 100.0) / 100.0)
        rcu = self._read_rcu(counted.items, mean)
        if index is not None and not index.projects(question.marker.attribute, table.keys):
            rcu += items * math.ceil(max(mean, 1.0) / RCU_BYTES)  # a consistent look-up of each marker
        return Load(
            items=items,
            item_bytes=mean,
            item_wcu=_by_resource(self._sizes.item_units(mean), question.touched),
            rcu=rcu,
            hottest_share=counted.hottest_share if index is None else 0.0,
            quantiles=self._sizes.quantiles(*SHARES),
            sampled=self._items,
            at_least=selection.kind == "query" and not complete,
        )

    @property
    def _all_read(self) -> bool:
        return len(self.stretches) == self._total and all(
            stretch.whole for stretch in self.stretches.values()
        )

    def _count(self) -> Count:
        """Items to read, and the share of them that may be under one hash key."""
        question, stretches = self._question, list(self.stretches.values())
        if question.selection.kind == "query":
            found = [stretch.items for stretch in stretches] or [0]
            items = round(sum(found) * self._total / len(found))
            return Count(items, max(found) / items if items else 0.0)
        # What time cut short is neither whole nor crowded.
        read = [stretch for stretch in stretches if stretch.whole or stretch.items >= self._crowded]
        described = None
        if question.index is None and question.selection.filter is None:
            described = question.table.item_count
        sorted_keys = question.index is not None or question.table.keys.range_name is not None
        return count(read or stretches, self._total, described, sorted_keys=sorted_keys)

    def _read_rcu(self, read: int, mean: float) -> float:
        """Units for reading all of it. A filter thins what comes, not what is read."""
        question = self._question
        if question.index is None and question.selection.kind == "scan":
            thinned = question.selection.filter is not None
            number, size = (question.table.item_count, question.mean_bytes) if thinned else (read, mean)
            return scan_rcu(number, size, question.page_items, question.segments)
        # Of an index or a hash key: as the sample was charged.
        return max(LEAST_READ_RCU * question.segments, self._rcu * self._total / len(self.stretches))


def _by_resource(units: dict[str, float], touched: Iterable[Index]) -> dict[str, float]:
    """Local indexes spend the table's units (DynamoDB Developer Guide: Local secondary indexes)."""
    local = {index.name for index in touched if index.scope == "local"}
    found: dict[str, float] = {}
    for name, number in units.items():
        resource = TABLE if name in local else name
        found[resource] = found.get(resource, 0.0) + number
    return found


def _entry_bytes(item: Item, index: Index) -> int:
    if index.projection == "ALL":
        return item_bytes(item)
    shown = {*index.projected, *index.keys.names}
    return item_bytes({name: value for name, value in item.items() if name in shown})
