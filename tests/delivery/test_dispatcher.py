"""The dispatcher as a source and a target see it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable

import anyio
import pytest

from refire_async.delivery.buffers import LANE_BYTES
from refire_async.delivery.lanes import lane_of
from refire_async.delivery.target import Answer, Fate, InvocationError
from refire_async.events import (
    BatchDelivered,
    BatchFailed,
    Event,
    InvocationRetried,
    InvocationThrottled,
    Recovered,
    Suspended,
    Waiting,
)
from refire_async.model.stop import StopRequest
from tests.support.delivery import (
    START_S,
    FakeSource,
    FakeTarget,
    accept,
    deliver,
    failures_answer,
    function_error,
    memory_ledger,
    record,
    records,
    sequences_in,
)


def flat(calls: Iterable[list[int]]) -> list[int]:
    return [one for call in calls for one in call]


def only(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


async def test_every_record_is_delivered_once_in_order() -> None:
    target = FakeTarget(accept)
    source = FakeSource({"s1": records(range(1_000))}, filtered_per_page=3)
    done = await deliver(memory_ledger(batch_size=30), source, target)
    assert done.status == "complete"
    assert flat(target.calls) == list(range(1_000))
    counts = done.counts
    assert (counts.selected, counts.delivered, counts.failed, counts.filtered) == (1_000, 1_000, 0, 30)
    assert (counts.invocations, counts.repeated, counts.retries) == (len(target.calls), 0, 0)
    assert max(map(len, target.calls)) == 30
    assert sum(event.records for event in only(done.events, BatchDelivered)) == 1_000  # type: ignore[attr-defined]


async def test_lanes_run_side_by_side_and_a_key_stays_in_its_lane() -> None:
    running: Counter[int] = Counter()
    most = 0

    async def behave(sequences: list[int]) -> Answer:
        nonlocal most
        lanes = {lane_of(record(0, f"k{one % 200}").key, 10) for one in sequences}
        assert len(lanes) == 1
        (lane,) = lanes
        running[lane] += 1
        assert running[lane] == 1, "one invocation of a lane at a time"
        most = max(most, running.total())
        await anyio.sleep(0.1)
        running[lane] -= 1
        return Answer()

    target = FakeTarget(behave)
    source = FakeSource({"s1": records(range(2_000), keys=200)}, page=1_000)
    done = await deliver(memory_ledger(parallelization=10, batch_size=20), source, target, concurrency=8)
    assert done.counts.delivered == 2_000
    assert most == 8
    per_key: dict[int, list[int]] = defaultdict(list)
    for one in flat(target.calls):
        per_key[one % 200].append(one)
    assert all(found == sorted(found) for found in per_key.values())


async def test_a_child_shard_begins_when_its_parent_is_settled() -> None:
    async def behave(_sequences: list[int]) -> Answer:
        await anyio.sleep(1.0)
        return Answer()

    target = FakeTarget(behave)
    shards = {
        "child": records(range(100, 150)),
        "parent": records(range(50)),
        "other": records(range(200, 210)),
    }
    source = FakeSource(shards, parents={"child": "parent"})
    await deliver(memory_ledger(batch_size=10), source, target)
    assert sorted(flat(target.calls)[:60]) == sorted([*range(50), *range(200, 210)])
    assert source.drained == {"child": 0, "parent": 0, "other": 0}


async def test_shards_take_turns() -> None:
    target = FakeTarget(accept)
    shards = {name: records(range(n * 1_000, n * 1_000 + 400)) for n, name in enumerate("abcd")}
    await deliver(memory_ledger(batch_size=100), FakeSource(shards, page=400), target, concurrency=1)
    first_of_each = [call[0] // 1_000 for call in target.calls]
    assert [sorted(first_of_each[place : place + 4]) for place in (0, 4, 8, 12)] == [[0, 1, 2, 3]] * 4


async def test_records_that_fail_are_tried_again_and_given_up() -> None:
    async def behave(sequences: list[int]) -> Answer:
        return failures_answer(f"{sequences[2]:021d}") if len(sequences) > 2 else function_error()

    target = FakeTarget(behave)
    ledger = memory_ledger(batch_size=5, retries=2, partial_failures=True)
    source = FakeSource({"s1": records(range(5))})
    done = await deliver(ledger, source, target)
    assert target.calls == [[0, 1, 2, 3, 4], [2, 3, 4], [4]]
    counts = done.counts
    assert (counts.delivered, counts.failed, counts.invocations) == (4, 1, 3)
    assert (counts.retries, counts.repeated) == (2, 4)
    (failed,) = only(done.events, BatchFailed)
    assert failed == BatchFailed("s1", 0, 1, "RetryAttemptsExhausted", "function error Unhandled")
    assert len(only(done.events, InvocationRetried)) == 2
    assert source.drained == {"s1": 1}
    assert done.status == "complete"


async def test_bisecting_finds_the_record_that_fails() -> None:
    async def behave(sequences: list[int]) -> Answer:
        return function_error() if 37 in sequences else Answer()

    target = FakeTarget(behave)
    ledger = memory_ledger(batch_size=100, retries=1, bisect=True)
    done = await deliver(ledger, FakeSource({"s1": records(range(100))}), target)
    assert (done.counts.delivered, done.counts.failed) == (99, 1)
    firsts = list(dict.fromkeys(flat(target.calls)))
    assert firsts == list(range(100))


async def test_a_record_that_always_fails_stops_an_unlimited_delivery_in_the_end() -> None:
    async def behave(sequences: list[int]) -> Answer:
        return function_error() if 5 in sequences else Answer()

    shards = {"a": records(range(10)), "b": records(range(100, 120))}
    done = await deliver(memory_ledger(batch_size=1), FakeSource(shards), FakeTarget(behave))
    assert done.status == "stopped"
    assert str(done.stop.error).startswith("nothing went through for 6")
    assert "function error Unhandled" in str(done.stop.error)
    assert (done.counts.delivered, done.counts.failed) == (25, 0)
    assert done.counts.selected == 30


async def test_records_beyond_the_age_limit_are_not_delivered() -> None:
    """The first are too old at once, the next by the time that the function has taken."""
    now = START_S + 19.5
    began = anyio.current_time()

    async def behave(_sequences: list[int]) -> Answer:
        await anyio.sleep(8.0)
        return Answer()

    target = FakeTarget(behave)
    ledger = memory_ledger(batch_size=5, max_record_age_s=10.0)
    source = FakeSource({"s1": records(range(30))})
    done = await deliver(ledger, source, target, clock=lambda: now + anyio.current_time() - began)
    too_old = only(done.events, BatchFailed)
    assert {event.condition for event in too_old} == {"RecordAgeExceeded"}  # type: ignore[attr-defined]
    assert flat(target.calls)[:5] == [10, 11, 12, 13, 14]
    assert done.counts.delivered + done.counts.failed == 30
    assert done.counts.failed > 10


async def test_an_event_that_the_service_finds_too_large_is_split() -> None:
    async def behave(sequences: list[int]) -> Answer:
        if len(sequences) > 3 or 7 in sequences:
            raise InvocationError("RequestTooLarge", "too large", Fate.TOO_LARGE)
        return Answer()

    target = FakeTarget(behave)
    done = await deliver(memory_ledger(batch_size=10), FakeSource({"s1": records(range(10))}), target)
    assert (done.counts.delivered, done.counts.failed, done.counts.repeated) == (9, 1, 0)
    (failed,) = only(done.events, BatchFailed)
    assert failed.condition == "RecordTooLarge"  # type: ignore[attr-defined]


async def test_refused_invocations_use_up_no_retry() -> None:
    refusals = iter([Fate.THROTTLED, Fate.WAIT] * 10)

    async def behave(_sequences: list[int]) -> Answer:
        fate = next(refusals, None)
        if fate is not None:
            raise InvocationError("Some", "refused", fate, reason="", retry_after_s=None)
        return Answer()

    target = FakeTarget(behave)
    ledger = memory_ledger(batch_size=10, retries=0)
    done = await deliver(ledger, FakeSource({"s1": records(range(50))}), target)
    assert done.status == "complete"
    counts = done.counts
    assert (counts.delivered, counts.failed, counts.throttled, counts.invocations) == (50, 0, 20, 5)
    assert (counts.repeated, counts.retries) == (0, 0)
    assert len(only(done.events, InvocationThrottled)) == 20


async def test_an_answer_that_is_lost_names_its_batch_and_repeats_it() -> None:
    lost = iter([True])

    async def behave(_sequences: list[int]) -> Answer:
        if next(lost, False):
            raise InvocationError("ConnectionClosed", "connection lost", Fate.UNKNOWN)
        return Answer()

    target = FakeTarget(behave)
    done = await deliver(memory_ledger(batch_size=10), FakeSource({"s1": records(range(20))}), target)
    assert target.calls[0] == target.calls[1] == list(range(10))
    assert (done.counts.delivered, done.counts.repeated, done.counts.retries) == (20, 10, 1)
    (doubtful,) = done.doubtful
    assert str(doubtful) == (
        "s1, records 0 to 9 (10 of lane 0, attempt 1): the answer was lost (ConnectionClosed)"
    )


async def test_a_fault_of_the_service_ends_the_delivery_and_loses_nothing() -> None:
    calls = 0

    async def behave(_sequences: list[int]) -> Answer:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise InvocationError("ResourceNotFoundException", "gone", Fate.STOP)
        return Answer()

    ledger = memory_ledger(batch_size=10)
    shards = {"s1": records(range(100))}
    done = await deliver(ledger, FakeSource(shards), FakeTarget(behave), concurrency=1)
    assert done.status == "stopped"
    assert done.stop.error is not None
    assert done.stop.error.exit_code == 10
    assert done.counts.delivered == 30
    again = FakeTarget(accept)
    done = await deliver(ledger, FakeSource(shards), again)
    assert (done.status, done.counts.delivered, done.doubtful) == ("complete", 100, [])
    assert flat(again.calls) == list(range(30, 100))


async def test_a_stop_lets_invocations_end_and_begins_none() -> None:
    stop = StopRequest()

    async def behave(sequences: list[int]) -> Answer:
        if 50 in sequences:
            stop.request("interrupted")
        await anyio.sleep(2.0)
        return Answer()

    ledger = memory_ledger(batch_size=10, parallelization=4)
    shards = {"s1": records(range(400), keys=40)}
    target = FakeTarget(behave)
    done = await deliver(ledger, FakeSource(shards), target, stop=stop)
    assert done.status == "stopped"
    assert done.counts.delivered == len(flat(target.calls)) < 400
    again = FakeTarget(accept)
    done = await deliver(ledger, FakeSource(shards), again)
    assert done.doubtful == []
    assert sorted(flat(target.calls) + flat(again.calls)) == list(range(400))
    assert done.counts.selected == done.counts.delivered == 400


async def test_nothing_goes_through_for_too_long() -> None:
    async def behave(_sequences: list[int]) -> Answer:
        raise InvocationError("EndpointUnreachable", "no route", Fate.WAIT)

    source = FakeSource({"s1": records(range(10))})
    done = await deliver(memory_ledger(), source, FakeTarget(behave), give_up_after_s=60.0)
    assert done.status == "stopped"
    assert "no route (EndpointUnreachable)" in str(done.stop.error)
    assert only(done.events, Waiting)


async def test_an_outage_that_ends_is_over_at_once() -> None:
    began = anyio.current_time()

    async def behave(_sequences: list[int]) -> Answer:
        if anyio.current_time() < began + 100.0:
            raise InvocationError("EndpointUnreachable", "no route", Fate.WAIT)
        return Answer()

    shards = {name: records(range(n * 100, n * 100 + 10)) for n, name in enumerate("abcdef")}
    done = await deliver(memory_ledger(), FakeSource(shards), FakeTarget(behave))
    assert done.status == "complete"
    assert anyio.current_time() - began < 103.0
    assert only(done.events, Recovered)


async def test_a_window_waits_for_a_batch_to_fill() -> None:
    """The source puts 10 records every second: batches fill, and the last one waits for nothing."""

    class SlowSource(FakeSource):
        async def _feed_shard(self, sink, name, ended):  # type: ignore[no-untyped-def] # noqa: ARG002
            shard = await sink.open_shard(name)
            for start in range(0, 100, 10):
                await shard.put(self.shards[name][start : start + 10], str(start))
                await anyio.sleep(1.0)
            await shard.drain()

    shards = {"s1": records(range(100))}
    target = FakeTarget(accept)
    await deliver(memory_ledger(batch_size=40, window_s=60.0), SlowSource(shards), target)
    assert [len(call) for call in target.calls] == [40, 40, 20]
    target = FakeTarget(accept)
    await deliver(memory_ledger(batch_size=40, window_s=2.5), SlowSource(shards), target)
    assert [len(call) for call in target.calls] == [30, 30, 30, 10]
    target = FakeTarget(accept)
    await deliver(memory_ledger(batch_size=40), SlowSource(shards), target)
    assert [len(call) for call in target.calls] == [10] * 10


@pytest.mark.parametrize("window_s", [0.0, 300.0])
async def test_buffers_are_bounded_by_bytes_whatever_the_speed_of_the_function(window_s: float) -> None:
    """Batches that wait for their window are sent when a source waits for room: else it would wait for the window."""
    began = anyio.current_time()
    most = 0
    source = FakeSource(
        {name: records(range(n * 1_000, n * 1_000 + 200), padding=2_000) for n, name in enumerate("abcd")},
        page=50,
    )
    size = len(source.shards["a"][0].body) + 300

    async def behave(_sequences: list[int]) -> Answer:
        nonlocal most
        most = max(most, fed())
        await anyio.sleep(1.0)
        return Answer()

    delivered = 0

    def listen(event: Event) -> None:
        nonlocal delivered
        if isinstance(event, BatchDelivered):
            delivered += event.records

    def fed() -> int:
        return source.put_records - delivered

    ledger = memory_ledger(batch_size=1_000, window_s=window_s)
    target = FakeTarget(behave)
    done = await deliver(ledger, source, target, buffer_bytes=size * 250, listen=listen)
    assert done.counts.delivered == 800
    # What is on its way, and a page that each of the four shards is about to put.
    assert most <= 250 + 4 * 50
    assert anyio.current_time() - began < 60.0


async def test_a_stuck_shard_leaves_room_for_the_others() -> None:
    async def behave(sequences: list[int]) -> Answer:
        return function_error() if sequences[0] < 1_000 else Answer()

    shards = {
        name: records(range(n * 1_000, n * 1_000 + 900), padding=1_000) for n, name in enumerate("abcd")
    }
    size = len(shards["a"][0].body) + 300
    done = await deliver(
        memory_ledger(), FakeSource(shards), FakeTarget(behave), buffer_bytes=size * 500, give_up_after_s=60.0
    )
    assert done.counts.delivered == 2_700
    assert done.status == "stopped"


async def test_a_lane_holds_two_of_the_largest_events() -> None:
    shards = {"s1": records(range(40), padding=1 << 20)}
    most = 0

    async def behave(_sequences: list[int]) -> Answer:
        nonlocal most
        most = max(most, source.put_records - sum(map(len, target.calls[:-1])))
        return Answer()

    source, target = FakeSource(shards, page=1), FakeTarget(behave)
    done = await deliver(memory_ledger(batch_size=100), source, target)
    assert done.counts.delivered == 40
    assert max(map(len, target.calls)) == 5, "6 MB hold five records of 1 MB and their envelope"
    assert most <= LANE_BYTES // (1 << 20) + 5 + 2


async def test_throttling_lowers_concurrency_and_recovers() -> None:
    running, began = 0, anyio.current_time()
    seen: list[tuple[float, int]] = []

    async def behave(_sequences: list[int]) -> Answer:
        nonlocal running
        limit = 5 if anyio.current_time() - began < 30.0 else 100
        if running >= limit:
            raise InvocationError(
                "TooManyRequestsException",
                "Rate exceeded",
                Fate.THROTTLED,
                reason="ReservedFunctionConcurrentInvocationLimitExceeded",
            )
        running += 1
        await anyio.sleep(0.1)
        seen.append((anyio.current_time() - began, running))
        running -= 1
        return Answer()

    shards = {str(n): records(range(n * 100_000, n * 100_000 + 250)) for n in range(20)}
    done = await deliver(memory_ledger(batch_size=1), FakeSource(shards), FakeTarget(behave), concurrency=20)
    assert done.counts.delivered == 5_000
    limited = sum(1 for at, _ in seen if at < 30.0)
    assert limited > 0.6 * 5 * 10 * 30, "most of what the limit allows is used"
    assert done.counts.throttled < limited, "and it is not found by running into it"
    assert max(count for at, count in seen if at > 32.0) == 20


async def test_max_rate_bounds_records_per_second() -> None:
    began = anyio.current_time()
    target = FakeTarget(accept)
    source = FakeSource({"a": records(range(1_000)), "b": records(range(2_000, 3_000))})
    await deliver(memory_ledger(batch_size=50), source, target, max_rate=100.0)
    assert 19.0 <= anyio.current_time() - began <= 21.5


async def test_events_are_what_the_target_wants() -> None:
    events: list[bytes] = []

    class Pipe(FakeTarget):
        wants_array = True

        async def invoke(self, event: bytes) -> Answer:
            events.append(event)
            return Answer()

    await deliver(memory_ledger(), FakeSource({"s1": records(range(3))}), Pipe(accept))
    assert [sequences_in(event) for event in events] == [[0, 1, 2]]
    assert events[0].startswith(b"[")


async def test_a_suspended_process_has_had_no_outage() -> None:
    """The clock jumps by an hour while an invocation that cannot connect is repeated."""
    loop = asyncio.get_running_loop()
    began = anyio.current_time()
    jumped = False

    async def behave(_sequences: list[int]) -> Answer:
        nonlocal jumped
        if anyio.current_time() > began + 30.0 and not jumped:
            jumped = True
            loop._jumping.now += 3_600.0  # type: ignore[attr-defined]
            await anyio.sleep(2.0)
        if anyio.current_time() < began + 3_660.0:
            raise InvocationError("EndpointUnreachable", "no route", Fate.WAIT)
        return Answer()

    ledger = memory_ledger()
    done = await deliver(
        ledger, FakeSource({"s1": records(range(10))}), FakeTarget(behave), give_up_after_s=60.0
    )
    assert done.status == "complete"
    (suspended,) = only(done.events, Suspended)
    assert suspended.seconds == pytest.approx(3_600.0, abs=1.0)  # type: ignore[attr-defined]
    assert ledger.load().seconds < 120.0
