"""Samples the items of a table or an index, or of given hash keys."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import anyio

from refire_async.aws.data_plane import DataPlane
from refire_async.model.item_size import item_bytes
from refire_async.model.keys import Cursor, Item, identity
from refire_async.model.units import RCU_BYTES
from refire_async.pacing.budget import ReadBudget
from refire_async.planning.forecast.counting import Count, HashRange, count
from refire_async.planning.forecast.load import LEAST_READ_RCU, Load, SampleSizes, scan_rcu
from refire_async.planning.survey.hash_keys import count_hash_keys
from refire_async.planning.survey.lookup import MOST_LOOKED_UP, LookedUp
from refire_async.planning.survey.request import SHARES, SurveyRequest
from refire_async.planning.survey.retry import with_retries
from refire_async.sources.base import Source
from refire_async.sources.table import query_source, scan_source

MOST_ITEMS = 8_000
MOST_RCU = 1_000.0
"""Maximum items and read units of a sample: a thousandth of a dollar, and 1,000 items of 8 KB."""

MORE_ITEMS = 40_000
MORE_RCU = 5_000.0
"""The same if a hash key may be hot after the first sample: less than a tenth of a cent."""

MOST_COUNTED_RCU = 20_000.0
"""Maximum read units for given hash keys, whose number of items is known only after reading them."""

HASH_RANGES = 128
MORE_HASH_RANGES = 1_024
"""Number of hash ranges of a sample, and of a larger one if a hash key may be hot."""

READERS = 8
PAGE_ITEMS = 200
CROWDED = 10
MORE_CROWDED = 30
"""A hash range with this many times the expected items is not read to its end; and the same if reading all hash ranges
that are not crowded can decide whether a key is hot."""


async def survey(data: DataPlane, request: SurveyRequest, seed: int | None = None) -> Load:
    """Estimate the load of the run.

    Of a table or index it reads some of many small hash ranges, drawn at random: at most `MOST_ITEMS` items and
    `MOST_RCU` units, or `MORE_ITEMS` and `MORE_RCU` if a hash key may be hot. It counts the items of given hash keys,
    with at most `MOST_COUNTED_RCU` units.

    Raises:
        AwsError: the table cannot be read.
        RefusedError: nothing could be read in time.
    """
    table = _TableSurvey(data, request, random.Random(seed))  # noqa: S311 - the sample is no secret
    await table.read()
    if not table.hash_ranges:
        raise request.unread()
    await table.look_up()
    return table.load()


class _TableSurvey:
    """One survey of a table."""

    def __init__(self, data: DataPlane, request: SurveyRequest, draw: random.Random) -> None:
        self.hash_ranges: dict[int, HashRange] = {}
        self._data = data
        self._request = request
        self._draw = draw
        self._budget = ReadBudget(request.max_rcu)
        counting = request.selection.kind == "query"
        self._most_items = math.inf if counting else MOST_ITEMS
        self._all_rcu = request.max_rcu * request.within_s
        self._most_rcu = min(MOST_COUNTED_RCU if counting else MOST_RCU, self._all_rcu)
        self._sizes = SampleSizes()
        self._items = 0
        self._read_bytes = 0
        self._expired = 0
        self._rcu = 0.0
        table, selection, index = request.table, request.selection, request.index
        keys = table.keys if index is None else index.keys
        self._hash_names = tuple(name for name, _ in keys.hashes)
        self._seen = LookedUp(data, request)
        self._sized = index is None or index.projection == "ALL"
        self._entries: list[Item] = []
        self._hash_keys: int | None = None
        self._crowded = self._most_each = math.inf
        self._left: dict[int, tuple[Cursor | None, Counter[tuple[Any, ...]]]] = {}
        if selection.kind == "query":
            self._total = len(selection.key_values)
            self._source: Source = query_source(
                data, table.name, selection, None, keys, table_keys=table.keys, carries_marker=True
            )
        else:
            each = self._items_each()
            described = table.item_count if index is None else index.item_count
            self._total = max(1, min(math.ceil(described / each), 1_000_000))
            self._crowded = self._most_each = each * CROWDED
            self._source = self._scan(self._total)

    def _scan(self, total_segments: int) -> Source:
        request = self._request
        return scan_source(
            self._data,
            request.table.name,
            request.selection,
            None,
            table_keys=request.table.keys,
            index_keys=None if request.index is None else request.index.keys,
            total_segments=total_segments,
            carries_marker=True,
        )

    def _items_each(self) -> int:
        """The size of a hash range in items, so that `HASH_RANGES` of them stay within the bounds."""
        mean = self._request.mean_bytes
        affordable = self._most_rcu * 2 * RCU_BYTES / mean if mean else MOST_ITEMS
        return max(4, int(min(affordable, MOST_ITEMS) / HASH_RANGES))

    @property
    def _enough(self) -> bool:
        return self._items >= self._most_items or self._rcu >= self._most_rcu

    async def read(self) -> None:
        """Read hash ranges until there are enough items or the time is over. Raises AwsError."""
        drawn = self._draw.sample(range(self._total), min(self._total, MORE_HASH_RANGES))
        with anyio.move_on_after(self._request.within_s):
            await self._read_concurrently(drawn[:HASH_RANGES])
            if self._count().doubtful:
                self._most_items, self._most_rcu = MORE_ITEMS, min(MORE_RCU, self._all_rcu)
                more = [segment for segment in drawn if segment not in self.hash_ranges]
                if self._total <= MORE_HASH_RANGES:
                    self._most_each *= MORE_CROWDED / CROWDED
                    more += self._left
                await self._read_concurrently(more)
            if self._request.index is None and self._count().few_keys:
                self._hash_keys = await count_hash_keys(self._scan(1), self._request.table.keys, self._budget)

    async def _read_concurrently(self, waiting: list[int]) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(min(READERS, len(waiting))):
                tasks.start_soon(self._read_some, waiting)

    async def _read_some(self, waiting: list[int]) -> None:
        while waiting and not self._enough:
            await self._read_hash_range(waiting.pop())

    async def _read_hash_range(self, segment: int) -> None:
        cursor, hash_keys = self._left.pop(segment, (None, Counter()))
        items, whole = hash_keys.total(), False
        estimate = LEAST_READ_RCU
        # A hash range is read to its end even beyond the bounds: leaving out the longest would bias the sample.
        while not (whole or items >= self._most_each or (self._enough and self._most_each == math.inf)):
            await self._budget.reserve(estimate)
            page = await with_retries(partial(self._source.read, segment, cursor, PAGE_ITEMS))
            self._rcu += self._budget.correct(estimate, page.rcu)
            estimate = max(LEAST_READ_RCU, page.rcu)
            self._add(page.items)
            items += len(page.items)
            hash_keys.update(identity(self._hash_names, item) for item in page.items)
            cursor, whole = page.cursor, page.cursor is None
            self.hash_ranges[segment] = HashRange(
                items, max(hash_keys.values(), default=0), len(hash_keys), whole
            )
        if not whole:
            self._left[segment] = cursor, hash_keys

    def _add(self, items: Iterable[Item]) -> None:
        request = self._request
        for item in items:
            self._items += 1
            self._read_bytes += item_bytes(item)
            if request.is_expired(item):
                self._expired += 1
            elif self._sized:
                request.note(item, self._sizes)
            else:
                self._entries.append(item)

    async def look_up(self) -> None:
        """Look up the items of some entries of an index, which are not whole items. Raises AwsError."""
        await self._seen.read(self._draw.sample(self._entries, min(len(self._entries), MOST_LOOKED_UP)))
        if self._seen.sizes.sizes:
            self._sizes = self._seen.sizes

    def load(self) -> Load:
        """The estimated load."""
        request = self._request
        table, selection, index = request.table, request.selection, request.index
        complete = all(hash_range.whole for hash_range in self.hash_ranges.values())
        counted = self._count()
        # A complete read is more recent than the description; the sizes of filtered items may differ from the mean.
        described = (
            self._sized and selection.kind == "scan" and selection.filter is None and not self._all_read
        )
        mean = (
            (request.mean_bytes if described else self._sizes.mean) or self._sizes.mean or request.mean_bytes
        )
        if not self._sizes.sizes:
            # No items in the sample: assume one of mean size, whole in each index that projects the marker.
            self._sizes.add(
                round(mean), 0, dict.fromkeys((entry.name for entry in request.touched), round(mean))
            )
        living = 1.0 - self._expired / self._items if self._items else 1.0
        items = round(counted.items * living * (selection.sample or 100.0) / 100.0)
        rcu = self._read_rcu(counted.items, mean)
        if index is not None and not index.projects(request.marker.attribute, table.keys):
            each = math.ceil(max(mean, 1.0) / RCU_BYTES) / 2
            rcu += items * (self._seen.rcu / self._seen.looked if self._seen.looked else each)
        return Load(
            items=items,
            item_bytes=mean,
            item_wcu=request.by_resource(self._sizes.item_units(mean)),
            rcu=rcu,
            # Of N hash keys, the most frequent has at least 1/N of the items.
            hottest_share=max(counted.hottest_share, 1.0 / (self._hash_keys or math.inf))
            if index is None
            else 0.0,
            quantiles=self._sizes.quantiles(*SHARES),
            sampled=self._items,
            at_least=selection.kind == "query" and not complete,
        )

    @property
    def _all_read(self) -> bool:
        return len(self.hash_ranges) == self._total and all(
            hash_range.whole for hash_range in self.hash_ranges.values()
        )

    def _count(self) -> Count:
        """Items to read, and the share of them that may have one hash key."""
        request, hash_ranges = self._request, list(self.hash_ranges.values())
        if request.selection.kind == "query":
            found = [hash_range.items for hash_range in hash_ranges] or [0]
            items = round(sum(found) * self._total / len(found))
            return Count(items, max(found) / items if items else 0.0)
        # A hash range that the end of the time cut short is neither whole nor crowded, and is left out.
        read = [
            hash_range for hash_range in hash_ranges if hash_range.whole or hash_range.items >= self._crowded
        ]
        described = None
        if request.selection.filter is None:
            described = (request.index or request.table).item_count
        sorted_keys = request.index is not None or request.table.keys.range_name is not None
        return count(read or hash_ranges, self._total, described, sorted_keys=sorted_keys)

    def _read_rcu(self, read: int, mean: float) -> float:
        """Read units of the run. A filter reduces the items that are returned, not the units."""
        request = self._request
        if request.index is None and request.selection.kind == "scan":
            thinned = request.selection.filter is not None
            number, size = (request.table.item_count, request.mean_bytes) if thinned else (read, mean)
            return scan_rcu(number, size, request.page_items, request.segments)
        if request.selection.kind == "scan" and request.selection.filter is None and self._items:
            return scan_rcu(read, self._read_bytes / self._items, request.page_items, request.segments)
        # For hash keys, and with a filter: in proportion to the sample.
        return max(LEAST_READ_RCU * request.segments, self._rcu * self._total / len(self.hash_ranges))
