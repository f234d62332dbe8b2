"""The demo's reader of the stream: the new records, and the number of events per item."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio

from refire_async.aws.streams import StreamReader

# An empty page may come before the newest record (API reference: GetRecords), so one is not the end.
_EMPTY_PAGES = 3
_PAUSE_S = 0.2


class Tail:
    """Reads all shards concurrently from where it last stopped: the order of events does not matter for counting."""

    def __init__(self, streams: StreamReader, stream_arn: str) -> None:
        self._streams = streams
        self._arn = stream_arn
        self._after: dict[str, str] = {}

    async def read_new(self, on_page: Callable[[list[dict[str, Any]]], None]) -> None:
        """Call `on_page` with each page of records since the last call."""
        async with anyio.create_task_group() as tasks:
            for shard in await self._streams.shards(self._arn):
                tasks.start_soon(self._read_shard, shard.id, on_page)

    async def count_new(self) -> int:
        """The number of records since the last call."""
        sizes: list[int] = []
        await self.read_new(lambda page: sizes.append(len(page)))
        return sum(sizes)

    async def _read_shard(self, shard_id: str, on_page: Callable[[list[dict[str, Any]]], None]) -> None:
        empty = 0
        pages = self._streams.records(self._arn, shard_id, after=self._after.get(shard_id))
        async with aclosing(pages):
            async for page in pages:
                if page:
                    empty = 0
                    self._after[shard_id] = page[-1]["dynamodb"]["SequenceNumber"]
                    on_page(page)
                    continue
                empty += 1
                if empty == _EMPTY_PAGES:
                    return
                await anyio.sleep(_PAUSE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """The events of a re-fire of `items` items. The field names are the JSON of `refire demo --json`.

    `once`, `missing` and `doubled` count items by their events. `otherwise_changed` counts events in which
    something other than the marker differs, `strangers` those of unknown items or of another kind than MODIFY.
    """

    items: int
    events: int
    once: int
    missing: int
    doubled: int
    otherwise_changed: int
    strangers: int

    @property
    def proven(self) -> bool:
        """Whether each item has exactly one event, and nothing but the marker changed."""
        return self.once == self.items and self.events == self.items and self.otherwise_changed == 0


class EventCounter:
    """Counts events per item, page by page."""

    def __init__(self, keys: Iterable[str], key_name: str, marker: str) -> None:
        self._events = dict.fromkeys(keys, 0)
        self._key_name = key_name
        self._marker = marker
        self._otherwise_changed = 0
        self._strangers = 0

    def add(self, page: Iterable[dict[str, Any]]) -> None:
        """Count the events of raw stream records."""
        for record in page:
            change = record["dynamodb"]
            key = change["Keys"][self._key_name]["S"]
            if record["eventName"] != "MODIFY" or key not in self._events:
                self._strangers += 1
                continue
            self._events[key] += 1
            if self._unmarked(change["OldImage"]) != self._unmarked(change["NewImage"]):
                self._otherwise_changed += 1

    def counts(self) -> EventCounts:
        """The counts so far."""
        by_events = Counter(self._events.values())
        return EventCounts(
            items=len(self._events),
            events=sum(self._events.values()) + self._strangers,
            once=by_events[1],
            missing=by_events[0],
            doubled=sum(items for events, items in by_events.items() if events > 1),
            otherwise_changed=self._otherwise_changed,
            strangers=self._strangers,
        )

    def _unmarked(self, image: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in image.items() if name != self._marker}
