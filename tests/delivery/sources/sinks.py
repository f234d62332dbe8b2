"""A sink in memory: what a source put into it, in which order, and where it would continue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from refire_async.delivery.record import EventRecord
from refire_async.delivery.sink import Skipped


@dataclass
class MemoryShard:
    """The sink of one shard. `drain` settles what was put; `token` is what the next attempt begins with."""

    name: str
    sink: "MemorySink"
    token: str | None = None
    records: list[EventRecord] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def put(
        self,
        records: Sequence[EventRecord],
        token: str,
        skipped: Skipped | None = None,  # noqa: ARG002 - the interface
    ) -> None:
        """See `ShardSink.put`."""
        if self.sink.on_put is not None:
            self.sink.on_put(self, records)
        numbers = [record.sequence for record in (*self.records, *records)]
        assert numbers == sorted(set(numbers)), "records of a shard are put in ascending order, each once"
        self.records += records
        self.tokens.append(token)

    async def drain(self) -> int:
        """See `ShardSink.drain`."""
        self.sink.log.append(("drain", self.name))
        if self.tokens:
            self.token = self.tokens[-1]
        return 0


@dataclass
class MemorySink:
    """See `Sink`. `tokens` are those of an earlier attempt."""

    tokens: dict[str, str] = field(default_factory=dict)
    on_put: Callable[[MemoryShard, Sequence[EventRecord]], None] | None = None
    shards: dict[str, MemoryShard] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)

    async def open_shard(self, name: str) -> MemoryShard:
        """See `Sink.open_shard`."""
        assert name not in self.shards, "each shard is opened once"
        self.log.append(("open", name))
        self.shards[name] = MemoryShard(name, self, self.tokens.get(name))
        return self.shards[name]

    @property
    def records(self) -> list[EventRecord]:
        """All records, shard by shard in the order of opening."""
        return [record for shard in self.shards.values() for record in shard.records]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The records decoded."""
        return [orjson.loads(record.body) for record in self.records]

    def position(self, event: str, shard: str) -> int:
        """When it happened."""
        return self.log.index((event, shard))
