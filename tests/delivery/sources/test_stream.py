"""The stream as a source: windows, shards in order, resuming, what was trimmed, and what would be set back."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from refire_async.aws.errors import AwsError
from refire_async.aws.session import open_session
from refire_async.aws.streams import StreamReader
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Skipped
from refire_async.delivery.sources.stream import END, LATE, StreamSource
from refire_async.delivery.window import Window
from refire_async.events import Event, RecordsLost
from refire_async.sandbox.store.changes import follow_partitions
from refire_async.settings import Connection
from tests.delivery.sources.sinks import MemoryShard, MemorySink
from tests.support.inprocess_server import InProcess, LoopClock, table_spec
from tests.support.virtual_time import run_virtual

HOUR = 3600.0
CLOCK = LoopClock()


class Stream:
    """A table `orders` in the in-process sandbox, its clock, and sources over its stream."""

    def __init__(self, folder: Path, service: InProcess) -> None:
        self.folder = folder
        self.service = service
        self.events: list[Event] = []
        self.arn = service("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]

    def put(self, key: str, number: int, **more: Any) -> float:
        """Write an item; gives the time."""
        self.service("PutItem", TableName="orders", Item={"pk": {"S": key}, "n": {"N": str(number)}, **more})
        return CLOCK.time()

    def source(
        self, since: float, until: float, rules: DeliveryRules | None = None, **options: Any
    ) -> StreamSource:
        """A source of a window. `kinds` and `keys` are those of the selection."""
        rules = rules or DeliveryRules()
        chosen = {name: options.pop(name) for name in ("kinds", "keys") if name in options}
        selection = RecordSelection(Patterns(rules.filters), **chosen)
        return StreamSource(
            StreamReader(self.service._streams_transport),
            self.arn,
            Window(since, until),
            selection,
            rules,
            emit=self.events.append,
            folder=self.folder,
            now=CLOCK.time,
            **options,
        )


def numbers(sink: MemorySink) -> list[int]:
    """The `n` of all records, per shard in order."""
    return [int(body["dynamodb"]["NewImage"]["n"]["N"]) for body in sink.bodies]


Story = Callable[[Stream], Any]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Any]:
    """Runs a story in virtual time."""

    def run(story: Story, **options: Any) -> Any:
        async def main() -> Any:
            spec = table_spec(
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
            )
            return await story(Stream(tmp_path, InProcess(spec, **options)))

        return run_virtual(main)

    return run


def test_only_the_window_is_delivered(play: Callable[..., Any]) -> None:
    """From the second of `since` on, and before `until`, whatever else is in the stream; nothing is left waiting."""

    async def story(stream: Stream) -> None:
        times = []
        for number in range(6):
            times.append(stream.put(f"k{number}", number))
            await anyio.sleep(100)
        sink = MemorySink()
        await stream.source(times[1] + 0.9, times[4] // 1).feed(sink)
        assert sorted(numbers(sink)) == [1, 2, 3]
        assert all(one["eventSourceARN"] == stream.arn for one in sink.bodies)
        assert {shard.token for shard in sink.shards.values()} <= {END, LATE}
        assert not stream.events

    play(story, partitions=1)


def test_now_waits_for_what_is_still_to_come(play: Callable[..., Any]) -> None:
    """A record of the window that reaches the stream late is delivered, one of after it is not."""

    async def story(stream: Stream) -> None:
        stream.put("a", 0)
        since = CLOCK.time() - 10
        sink = MemorySink()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.source(since, CLOCK.time() + 20).feed, sink)
            await anyio.sleep(15)
            stream.put("b", 1)
            await anyio.sleep(10)
            stream.put("c", 2)
        assert sorted(numbers(sink)) == [0, 1]

    play(story)


def split(stream: Stream) -> None:
    """Split every partition of the table in two, and its shards with them."""
    table = stream.service._database.table("orders")
    resource = table.capacity._resource(None)
    for partition in list(resource.map.open):
        resource._split(partition, (partition.low + partition.high) // 2, "capacity", CLOCK.time())
    follow_partitions(table, CLOCK.time())


def parents(stream: Stream) -> dict[str, str]:
    """Parents of shards that have one."""
    shards = stream.service("DescribeStream", StreamArn=stream.arn)["StreamDescription"]["Shards"]
    return {one["ShardId"]: one["ParentShardId"] for one in shards if "ParentShardId" in one}


def test_children_begin_when_their_parent_is_drained(play: Callable[..., Any]) -> None:
    """Over three generations, of which the last arises while the stream is read: order per key holds."""

    async def story(stream: Stream) -> None:
        since = CLOCK.time()

        async def write() -> None:
            for generation in range(4):
                for number in range(10):
                    for key in "abcdefgh":
                        stream.put(key, 10 * generation + number)
                    await anyio.sleep(0.3)
                if generation < 3:
                    split(stream)

        await write_and_feed(write, stream, since)

    async def write_and_feed(write: Any, stream: Stream, since: float) -> None:
        sink = MemorySink()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.sleep(5)
            await stream.source(since, since + 60).feed(sink)
        found = parents(stream)
        assert len(found) == 14
        assert len(sink.shards) == 15
        for child, parent in found.items():
            assert sink.position("drain", parent) < sink.position("open", child)
        per_key: dict[str, list[int]] = {}
        for body in sink.bodies:
            image = body["dynamodb"]["NewImage"]
            per_key.setdefault(image["pk"]["S"], []).append(int(image["n"]["N"]))
        assert per_key == {key: list(range(40)) for key in "abcdefgh"}

    play(story, partitions=1)


def test_resumed_after_each_put(play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off at any place, it continues behind what was settled; whole shards are not read again."""
    monkeypatch.setattr("refire_async.sandbox.operations.stream_reads._PAGE_RECORDS", 3)

    class CutError(Exception):
        """Where the attempt ends."""

    async def story(stream: Stream) -> None:
        since = CLOCK.time()
        for number in range(30):
            stream.put(f"k{number % 7}", number)
            if number == 14:
                split(stream)
        await anyio.sleep(10)
        until = CLOCK.time()
        tokens: dict[str, str] = {}
        found: list[int] = []
        for _ in range(100):
            puts = 0

            def cut(_shard: MemoryShard, _records: Sequence[EventRecord]) -> None:
                nonlocal puts
                puts += 1
                if puts > 2:
                    raise CutError

            sink = MemorySink(tokens=dict(tokens), on_put=cut)
            try:
                await stream.source(since, until).feed(sink)
                ended = True
            except* CutError:
                ended = False
            found += numbers(sink)
            tokens |= {shard.name: shard.tokens[-1] for shard in sink.shards.values() if shard.tokens}
            if ended:
                break
        assert sorted(found) == list(range(30))
        assert set(tokens.values()) <= {END, LATE}

    play(story, partitions=2)


def test_more_than_a_day_is_named(play: Callable[..., Any]) -> None:
    """What the stream has no longer is an event and in the preview; what is left is delivered."""

    async def story(stream: Stream) -> None:
        since = stream.put("a", 0)
        await anyio.sleep(20 * HOUR)
        stream.put("b", 1)
        await anyio.sleep(10 * HOUR)
        now = CLOCK.time()
        source = stream.source(since, now)
        preview = await source.preview()
        assert preview.records == 1
        assert preview.lost_before == pytest.approx(now - 24 * HOUR, abs=1)
        assert preview.skipped.lost_ranges == 1
        assert not stream.events
        sink = MemorySink()
        await source.feed(sink)
        assert numbers(sink) == [1]
        (event,) = stream.events
        assert isinstance(event, RecordsLost)
        assert event.before == pytest.approx(now - 24 * HOUR, abs=60)
        assert source.skipped.lost_ranges == 1

    play(story)


def test_a_young_stream_has_lost_nothing(play: Callable[..., Any]) -> None:
    """A window that begins before the stream did."""

    async def story(stream: Stream) -> None:
        stream.put("a", 0)
        source = stream.source(CLOCK.time() - 50 * HOUR, CLOCK.time() + 1)
        assert (await source.preview()).lost_before is None
        await source.feed(MemorySink())
        assert not stream.events

    play(story)


def test_trimmed_in_front_of_a_slow_function(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that takes hours: iterators are renewed, and records that are trimmed meanwhile are named."""
    monkeypatch.setattr("refire_async.sandbox.operations.stream_reads._PAGE_RECORDS", 1)

    async def story(stream: Stream) -> None:
        since = CLOCK.time()
        for number in range(30):
            stream.put("a", number)
            await anyio.sleep(HOUR / 2)
        sink = MemorySink()

        async def slow(number: int) -> None:
            await anyio.sleep(HOUR / 100 if number else 13 * HOUR)

        source = stream.source(since, CLOCK.time())
        put = MemoryShard.put

        async def slow_put(
            self: MemoryShard, records: Sequence[EventRecord], token: str, skipped: Skipped | None = None
        ) -> None:
            await put(self, records, token, skipped)
            await slow(numbers(sink)[-1])

        monkeypatch.setattr(MemoryShard, "put", slow_put)
        await source.feed(sink)
        found = numbers(sink)
        assert found[0] == 0
        assert found[-1] == 29
        assert len(found) < 30
        assert source.skipped.lost_ranges == len(stream.events) >= 1

    play(story, partitions=1)


def test_a_disabled_stream_is_read(play: Callable[..., Any]) -> None:
    """Its records stay for a day; all its shards are closed."""

    async def story(stream: Stream) -> None:
        since = stream.put("a", 0)
        stream.service("UpdateTable", TableName="orders", StreamSpecification={"StreamEnabled": False})
        await anyio.sleep(HOUR)
        sink = MemorySink()
        await stream.source(since, CLOCK.time()).feed(sink)
        assert numbers(sink) == [0]

    play(story)


def test_a_stream_that_is_gone(play: Callable[..., Any]) -> None:
    """One clear error."""

    async def story(stream: Stream) -> None:
        stream.arn += "0"
        with pytest.raises(AwsError):
            await stream.source(0, CLOCK.time()).feed(MemorySink())

    play(story)


FILTER = '{"dynamodb":{"NewImage":{"n":{"N":[{"anything-but":["3"]}]}}}}'


async def written(stream: Stream) -> tuple[float, float]:
    """Keys a and b with three records each in a window, and a again after it; gives the window."""
    stream.put("a", 0)
    await anyio.sleep(100)
    since = CLOCK.time()
    for number, key in enumerate("ababab", 1):
        stream.put(key, number)
        await anyio.sleep(10)
    until = CLOCK.time()
    await anyio.sleep(100)
    stream.put("a", 7)
    await anyio.sleep(100)
    return since, until


def test_preview(play: Callable[..., Any]) -> None:
    """Counts, times, kinds, batches, and the records that would set a consumer back."""

    async def story(stream: Stream) -> Preview:
        since, until = await written(stream)
        preview = await stream.source(since, until, DeliveryRules(filters=(FILTER,), batch_size=2)).preview()
        assert preview.first_at == pytest.approx(since, abs=1)
        assert preview.last_at == pytest.approx(until - 10, abs=1)
        return preview

    preview = play(story, partitions=1)
    assert preview.records == 5
    assert preview.batches == 3
    assert preview.by_kind == (("INSERT", 1), ("MODIFY", 4))
    assert preview.skipped.filtered == 1
    assert preview.stale == 2
    assert preview.stale_keys == ('{"pk":{"S":"a"}}',)
    assert len(preview.samples) == 3
    assert preview.size_bytes > sum(map(len, preview.samples))


def test_left_out_records_of_the_window_are_later_ones_too(play: Callable[..., Any]) -> None:
    """An INSERT that is replayed without the MODIFY that came after it sets a consumer back just so."""

    async def story(stream: Stream) -> None:
        since, until = await written(stream)
        source = stream.source(since, until, kinds=("INSERT",))
        preview = await source.preview()
        assert (preview.records, preview.stale, preview.skipped.unselected) == (1, 1, 5)
        source = stream.source(since, CLOCK.time(), keys={b'{"pk":{"S":"b"}}'})
        preview = await source.preview()
        assert (preview.records, preview.stale) == (3, 0)
        assert preview.skipped.unselected == 4

    play(story)


def test_latest_per_key(play: Callable[..., Any]) -> None:
    """The last one of b; none of a, which has a later one after the window."""

    async def story(stream: Stream) -> None:
        since, until = await written(stream)
        for prepared in (False, True):
            source = stream.source(since, until, latest_per_key=True)
            if prepared:
                preview = await source.preview()
                assert (preview.records, preview.stale, preview.skipped.unselected) == (1, 0, 5)
            sink = MemorySink()
            await source.feed(sink)
            assert numbers(sink) == [6]
            assert source.skipped.unselected == 5

    play(story)


async def test_on_both_judges(
    make_table: Any, backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real answers, real iterators: every record once, in order per key, with the images as written."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", backend.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    table = make_table(("pk", "S"), ("sk", "N"))
    # DynamoDB Local knows the minute of a record only.
    since = time.time() // 60 * 60
    for number in range(20):
        item = {"pk": {"S": f"k{number % 3}"}, "sk": {"N": "1"}, "n": {"N": str(number)}, "b": {"B": b"x"}}
        backend.dynamodb.put_item(TableName=table.name, Item=item)
    backend.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "k0"}, "sk": {"N": "1"}})
    arn = backend.dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    connection = Connection(region="eu-west-1", endpoint_url=backend.url)
    async with open_session(connection, 4) as session:
        source = StreamSource(
            session.streams,
            arn,
            Window(since, time.time() + 1),
            RecordSelection(Patterns(())),
            DeliveryRules(),
            emit=lambda _: None,
            folder=tmp_path,
        )
        preview = await source.preview()
        assert preview.records == 21
        assert dict(preview.by_kind) == {"INSERT": 3, "MODIFY": 17, "REMOVE": 1}
        sink = MemorySink()
        await source.feed(sink)
    per_key: dict[str, list[int]] = {}
    for body in sink.bodies:
        change = body["dynamodb"]
        if body["eventName"] != "REMOVE":
            per_key.setdefault(change["Keys"]["pk"]["S"], []).append(int(change["NewImage"]["n"]["N"]))
            assert change["NewImage"]["b"] == {"B": "eA=="}
        assert body["eventSourceARN"] == arn
    assert per_key == {f"k{key}": list(range(key, 20, 3)) for key in range(3)}
