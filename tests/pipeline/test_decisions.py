"""Pure decisions of the pipeline: order of segments, quota, outages, triage, stop requests."""

import itertools
from collections import Counter

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.ledger import Failure
from refire_async.errors import StoppedError, UsageError
from refire_async.events import Event, Recovered, Waiting
from refire_async.model.keys import KeySchema
from refire_async.model.marker import Marker
from refire_async.model.run import RunSpec
from refire_async.model.selection import Selection
from refire_async.model.stop import StopRequest
from refire_async.pacing.outage import WARN_AFTER_S, WARN_EVERY_S, Outage
from refire_async.pipeline.readers import Quota
from refire_async.pipeline.sizing import segment_order, segments_of
from refire_async.pipeline.triage import FIVE_YEARS_S, is_expired, resolve_in_doubt, triage
from tests.support.checkpoints import item, page
from tests.support.virtual_time import run_virtual

NOW = 1_800_000_000.0


@given(st.integers(1, 5_000))
def test_the_order_of_segments_has_each_once(total: int):
    assert sorted(segment_order(total)) == list(range(total))


@given(st.integers(32, 5_000), st.data())
def test_segments_at_work_lie_all_over_the_table(total: int, data: st.DataObject):
    """Any 8 consecutive segments reach every quarter of the hash range: no rolling hot partition."""
    order = list(segment_order(total))
    start = data.draw(st.integers(0, total - 8))
    assert {segment * 4 // total for segment in order[start : start + 8]} == {0, 1, 2, 3}


def test_the_order_of_a_million_segments_is_lazy():
    order = segment_order(1_000_000)
    assert [next(order) for _ in range(4)] == [0, 524_288, 262_144, 786_432]


@given(st.integers(1, 2_000), st.integers(1, 70))
def test_tasks_share_the_segments(total: int, tasks: int):
    """Each segment has one task, numbers of segments are equal but for one, and the first ones of all lie apart."""
    shares = [list(segments_of(total, task, tasks)) for task in range(tasks)]
    assert sorted(itertools.chain(*shares)) == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for rounds in range(min(map(len, shares)) + 1):
        first = {segment for share in shares for segment in share[:rounds]}
        assert first == set(itertools.islice(segment_order(total), rounds * tasks))


@given(st.integers(1, 64), st.integers(0, 5))
def test_a_task_that_is_left_alone_uses_the_whole_table(tasks: int, more: int):
    """Its segments lie all over the hash range, in 8 of 8 partitions if 2, 4, 8... tasks share, else in 7."""
    total = 1 << (16 * tasks - 1).bit_length() + more
    for task in range(tasks):
        zones = Counter(segment * 8 // total for segment in segments_of(total, task, tasks))
        assert len(zones) == 8 or (len(zones) == 7 and tasks & (tasks - 1)), (total, tasks, task)
        assert max(zones.values()) <= 2.5 * total / tasks / 8


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=6))
def test_a_quota_is_used_up_and_never_exceeded(limit: int, readers: list[tuple[int, int]]):
    """Readers that find fewer items than granted return the rest, and waiting readers get it."""

    async def main() -> tuple[int, int]:
        quota, used, most = Quota(limit), 0, 0

        async def reader(wanted: int, finds: int) -> None:
            nonlocal used, most
            while granted := await quota.acquire(wanted):
                assert granted <= wanted
                await anyio.sleep(0.1 * wanted)
                found = min(granted, max(1, finds))
                used += found
                most = max(most, used)
                quota.return_unused(granted, found)

        async with anyio.create_task_group() as tasks:
            for wanted, finds in readers:
                tasks.start_soon(reader, wanted, finds)
        return used, most

    assert run_virtual(main) == (limit, limit)


async def test_without_a_limit_every_reader_gets_all_it_wants():
    quota = Quota(None)
    assert [await quota.acquire(500) for _ in range(3)] == [500, 500, 500]
    quota.return_unused(500, 0)
    assert await quota.acquire(500) == 500


def test_an_outage_is_reported_and_ends_the_run():
    """First after 5 s, then every 30 s; after the limit the run stops and can be resumed."""
    events: list[Event] = []
    outage = Outage(100.0, events.append)
    for second in range(101):
        outage.failed("NetworkUnreachable", NOW + second)
    assert events == [
        Waiting("NetworkUnreachable", since)
        for since in (WARN_AFTER_S, WARN_AFTER_S + WARN_EVERY_S, WARN_AFTER_S + 2 * WARN_EVERY_S, 95.0)
    ]
    with pytest.raises(StoppedError, match="nothing went through for 101 s: NetworkUnreachable; find"):
        outage.failed("NetworkUnreachable", NOW + 101)
    with pytest.raises(StoppedError, match=r"for 102 s: no way to db \(NetworkUnreachable\); find"):
        outage.failed("NetworkUnreachable", NOW + 102, "no way to db")


def test_one_success_ends_an_outage():
    events: list[Event] = []
    outage = Outage(10.0, events.append)
    outage.failed("x", NOW)
    assert outage.failing_for(NOW + 4) == 4
    outage.succeeded()
    assert outage.failing_for(NOW + 9) == 0
    outage.failed("x", NOW + 9)
    outage.failed("x", NOW + 13)
    assert events == []


def test_recovery_is_reported_once_and_only_after_a_report_of_the_outage():
    """The log shows when an outage ended. A short one is not reported."""
    events: list[Event] = []
    outage = Outage(100.0, events.append)
    outage.succeeded()
    outage.failed("x", NOW)
    outage.succeeded()
    assert events == []
    outage.failed("x", NOW)
    outage.failed("x", NOW + 20)
    outage.succeeded()
    outage.succeeded()
    assert events == [Waiting("x", 20), Recovered(20)]
    outage.failed("x", NOW + 30)
    outage.succeeded()
    assert len(events) == 2


def spec(marker: Marker | None = None, ttl: str | None = None) -> RunSpec:
    marker = marker or Marker("revision", "revision", "run-1")
    return RunSpec(
        run_id="run-1",
        table="t",
        table_id="id",
        keys=KeySchema("pk", "S"),
        selection=Selection("scan"),
        marker=marker,
        total_segments=1,
        ttl_attribute=ttl,
    )


@pytest.mark.parametrize(
    ("value", "expired"),
    [
        (None, False),
        ({"N": str(NOW)}, True),
        ({"N": str(NOW - 1)}, True),
        ({"N": str(NOW + 1)}, False),
        ({"N": str(NOW - FIVE_YEARS_S + 1)}, True),
        ({"N": str(NOW - FIVE_YEARS_S)}, False),  # DynamoDB does not delete these
        ({"N": "0"}, False),
        ({"N": "1E+125"}, False),
        ({"N": "-1"}, False),
        ({"S": str(NOW)}, False),
    ],
)
def test_what_ttl_may_delete(value: dict[str, str] | None, expired: bool):
    assert is_expired(value, NOW) is expired


def test_triage_counts_items_that_need_no_write():
    """Expired items are left to TTL, untouchable ones are failures with a reason, the rest is written."""
    items = [
        item("new"),
        item("old", 7),
        {**item("expired"), "ttl": {"N": str(NOW - 1)}},
        {**item("expires later"), "ttl": {"N": str(NOW + 1)}},
        {**item("text"), "revision": {"S": "7"}},
        {**item("full"), "revision": {"N": "9" * 38 + "0"}},
    ]
    one = page(1, items)
    triage(spec(ttl="ttl"), one, NOW)
    assert [i["pk"]["S"] for i in one.items] == ["new", "old", "expires later"]
    assert (one.counts.expired, one.counts.failed, one.open_items) == (1, 2, 3)
    assert [(f.key, f.code) for f in one.failures] == [
        ({"pk": {"S": "text"}}, "UntouchableMarker"),
        ({"pk": {"S": "full"}}, "UntouchableMarker"),
    ]
    assert one.failures[0].reason == "marker is of type S, not a number"


def test_a_page_without_markers_and_ttl_stays_unchanged():
    one = page(1, [item("a"), item("b")])
    items = one.items
    triage(spec(), one, NOW)
    assert one.items is items


def test_items_with_this_runs_stamp_have_fired():
    marker = Marker("stamp", "stamp", "run-1")
    stamped = [{**item(n), "stamp": {"S": stamp}} for n, stamp in enumerate(("run-1", "run-0", "run-1"))]
    one = page(1, [*stamped, item("new")])
    triage(spec(marker), one, NOW)
    assert [i["pk"]["S"] for i in one.items] == ["1", "new"]
    assert (one.counts.already, one.open_items) == (2, 2)


def test_a_page_in_doubt_is_compared_with_the_table():
    """Changed: it has fired. The same: it is written with its first condition. Gone: vanished."""
    one = page(1, [item("fired", 1), item("new fired"), item("same", 3), item("new same"), item("gone", 4)])
    now = [item("fired", 2), item("new fired", 1), item("same", 3), item("new same")]
    resolve_in_doubt(spec(), one, {(("S", i["pk"]["S"]),): i for i in now})
    assert one.items == [item("same", 3), item("new same")]
    assert (one.counts.already, one.counts.vanished, one.open_items) == (2, 1, 2)


def test_the_first_request_to_stop_counts():
    stop, called = StopRequest(), []
    stop.subscribe(lambda: called.append("early"))
    error = UsageError("bad line")
    stop.request("error", error)
    stop.request("interrupted")
    stop.subscribe(lambda: called.append("late"))
    assert (stop.reason, stop.error) == ("error", error)
    assert called == ["early", "late"]


def test_failures_keep_only_the_key():
    """The failed-keys file holds only the key of an item."""
    one = page(1, [{**item("a"), "revision": {"S": "x"}, "ttl": {"N": "1"}}])
    triage(spec(ttl="ttl"), one, NOW)
    assert one.failures == [
        Failure({"pk": {"S": "a"}}, "UntouchableMarker", "marker is of type S, not a number")
    ]
