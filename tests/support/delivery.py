"""Records, sources and targets of deliveries, in memory."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import anyio
import orjson

from refire_async.delivery.buffers import BUFFER_BYTES, Buffers
from refire_async.delivery.failures import FailuresFile, failures_path
from refire_async.delivery.invoking import DeliveryContext
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.pace import Pace
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.run import open_journal, run_delivery
from refire_async.delivery.saved import Doubtful
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.spec import DeliverySpec
from refire_async.delivery.target import Answer, Target
from refire_async.events import Emit, Event, ignore
from refire_async.model.delivery import DeliveryCounts
from refire_async.model.run import RunStatus
from refire_async.model.stop import StopRequest
from refire_async.pacing.outage import Outage
from refire_async.settings import Connection

START_S = 1_796_000_000.0
"""When the first record of a test was made, in Unix seconds."""


def record(sequence: int, key: str = "k", *, at: float | None = None, padding: int = 0) -> EventRecord:
    """A MODIFY of the item `key`. `padding` are bytes of its image."""
    body = {
        "eventID": f"{sequence:032x}",
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": START_S + sequence if at is None else at,
            "Keys": {"pk": {"S": key}},
            "NewImage": {"pk": {"S": key}, "data": {"S": "x" * padding}},
            "SequenceNumber": f"{sequence:021d}",
        },
    }
    return EventRecord(
        orjson.dumps(body),
        orjson.dumps({"pk": {"S": key}}),
        sequence,
        START_S + sequence if at is None else at,
        "MODIFY",
    )


def records(sequences: Iterable[int], keys: int = 1, **more: Any) -> list[EventRecord]:
    """A record per sequence number, for `keys` items in turn."""
    return [record(sequence, f"k{sequence % keys}", **more) for sequence in sequences]


def sequences_in(event: bytes) -> list[int]:
    """Sequence numbers of the records of an event, in their order."""
    data = json.loads(event)
    found = data["Records"] if isinstance(data, dict) else data
    return [int(one["dynamodb"]["SequenceNumber"]) for one in found]


def failures_answer(*identifiers: object) -> Answer:
    """The response of a function that reports these failed records."""
    return Answer(orjson.dumps({"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}))


def function_error(kind: str = "Unhandled") -> Answer:
    """The response of a function that raised an error."""
    return Answer(b'{"errorMessage":"no","errorType":"ValueError"}', function_error=kind)


Behaviour = Callable[[list[int]], Awaitable[Answer]]


class FakeTarget:
    """A target in memory: calls `behave` with the sequence numbers of each event and records them in `calls`."""

    name = "arn:aws:lambda:eu-west-1:123456789012:function:fake"
    wants_array = False

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.calls: list[list[int]] = []

    async def invoke(self, event: bytes) -> Answer:
        """See `Target.invoke`."""
        sequences = sequences_in(event)
        self.calls.append(sequences)
        return await self._behave(sequences)


async def accept(_sequences: Sequence[int]) -> Answer:
    """A behaviour: every record is accepted."""
    return Answer()


class FakeSource:
    """Shards in memory, each with its records; `parents` names the parent of a shard, which is drained first.

    Puts `page` records at a time. The token is the number of records behind it. `drained` notes what `drain` returned.
    """

    def __init__(
        self,
        shards: Mapping[str, Sequence[EventRecord]],
        *,
        parents: Mapping[str, str] | None = None,
        page: int = 100,
        filtered_per_page: int = 0,
    ) -> None:
        self.shards = shards
        self.skipped = Skipped()
        self.drained: dict[str, int] = {}
        self.tokens: dict[str, str | None] = {}
        self.put_records = 0
        """Records that the sink has received so far, including those that it has not admitted yet."""
        self._parents = parents or {}
        self._page = page
        self._filtered = filtered_per_page

    async def preview(self) -> Preview:
        """See `Source.preview`."""
        found = [one for shard in self.shards.values() for one in shard]
        size = sum(len(one.body) for one in found)
        return Preview(records=len(found), batches=len(self.shards), size_bytes=size, skipped=Skipped())

    async def feed(self, sink: Sink) -> None:
        """See `Source.feed`."""
        ended = {name: anyio.Event() for name in self.shards}
        async with anyio.create_task_group() as tasks:
            for name in self.shards:
                tasks.start_soon(self._feed_shard, sink, name, ended)

    async def _feed_shard(self, sink: Sink, name: str, ended: Mapping[str, anyio.Event]) -> None:
        if name in self._parents:
            await ended[self._parents[name]].wait()
        shard = await sink.open_shard(name)
        self.tokens[name] = shard.token
        records = self.shards[name]
        for start in range(int(shard.token or 0), len(records), self._page):
            end = min(start + self._page, len(records))
            self.skipped.filtered += self._filtered
            self.put_records += end - start
            await shard.put(records[start:end], str(end), Skipped(filtered=self._filtered))
        self.drained[name] = await shard.drain()
        ended[name].set()


@dataclass(slots=True, kw_only=True)
class Delivered:
    """The result of a delivery, and its calls."""

    status: RunStatus
    counts: DeliveryCounts
    doubtful: list[Doubtful]
    stop: StopRequest
    events: list[Event]


async def deliver(
    ledger: Ledger,
    source: FakeSource,
    target: Target,
    *,
    concurrency: int = 4,
    max_rate: float | None = None,
    give_up_after_s: float = 600.0,
    stop: StopRequest | None = None,
    clock: Callable[[], float] = lambda: START_S,
    buffer_bytes: int = BUFFER_BYTES,
    seed: int = 1,
    listen: Emit = ignore,
) -> Delivered:
    """One attempt of the delivery in `ledger`, by the rules of its spec."""
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        listen(event)

    saved = ledger.load()
    on_disk = ledger.path.name != ":memory:"
    failures = FailuresFile(failures_path(ledger.path)) if on_disk else None
    journal = open_journal(ledger, saved, failures, emit)
    context = DeliveryContext(
        target=target,
        rules=saved.spec.rules,
        journal=journal,
        pace=Pace(concurrency, max_rate),
        outage=Outage(give_up_after_s, emit),
        stop=stop or StopRequest(),
        emit=emit,
        buffers=Buffers(buffer_bytes),
        clock=clock,
        random=Random(seed),
    )
    status = await run_delivery(source, context, saved)
    if failures is not None:
        failures.close()
    return Delivered(
        status=status, counts=journal.counts, doubtful=journal.doubtful, stop=context.stop, events=events
    )


def make_spec(**rules: Any) -> DeliverySpec:
    """A replay of the table `orders` with these rules."""
    return DeliverySpec(
        run_id="20261130T030000Z-abcdef",
        command="replay",
        source="the stream of orders",
        function=FakeTarget.name,
        rules=DeliveryRules(**rules),
        table="orders",
    )


def memory_ledger(**rules: Any) -> Ledger:
    """A new ledger in memory."""
    return Ledger.in_memory(make_spec(**rules), Connection())
