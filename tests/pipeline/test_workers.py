"""The outcome of each kind of answer: retried, read again, counted, failed, or a reason to stop."""

from collections.abc import Callable, Sequence

import anyio
import pytest

from refire_async.aws.errors import AwsError, Disposition, ThrottlingReason, member_disposition
from refire_async.checkpoint.store import Store
from refire_async.errors import ExitCode, RefusedError, StoppedError
from refire_async.events import ItemFailed, PageAcknowledged, RateChanged, Retried, Throttled, Waiting
from refire_async.model.capacity import TABLE
from refire_async.model.counts import Counts
from refire_async.model.keys import Item
from refire_async.model.stop import StopRequest
from refire_async.pacing.outage import MAX_ATTEMPTS
from refire_async.pipeline.workers import MAX_CONFLICTS
from refire_async.pipeline.writers.base import MemberError, WriteReply
from tests.pipeline.fake_dynamodb import ARN, FakeSource, FakeTable, FakeWriter
from tests.pipeline.harness import fake_table, new_attempt


class Scripted(FakeWriter):
    """Calls `script` before each write: it raises, returns a reply, or returns None to let the write through."""

    def __init__(
        self, table: FakeTable, script: Callable[[Sequence[Item]], WriteReply | None], largest: int = 25
    ) -> None:
        super().__init__(table, largest)
        self._script = script
        self.batches: list[list[str]] = []
        self.times: list[float] = []

    async def write(self, items: Sequence[Item]) -> WriteReply:
        """See `Writer.write`."""
        self.batches.append([one["pk"]["S"] for one in items])
        self.times.append(anyio.current_time())
        await anyio.sleep(0.005)
        reply = self._script(items)
        return await super().write(items) if reply is None else reply


def named(items: Sequence[Item], name: str) -> bool:
    return any(one["pk"]["S"] == name for one in items)


def refuse(disposition: Disposition, *, reasons: tuple[ThrottlingReason, ...] = ()) -> AwsError:
    return AwsError("SomeException", "refused", disposition, reasons=reasons, detail="words")


def counts_of(store: Store) -> Counts:
    return store.load().counts


async def test_an_item_that_another_writer_has_changed_is_touched_on_top_of_that(store: Store):
    """Neither update is lost, and the item has a record from after the run read it."""
    async with fake_table(10) as table:
        table.on_write = lambda: table.items.update({"0-0003": 41})
        attempt = new_attempt(table, store)

        def change_once() -> None:
            table.items["0-0003"] = 41
            table.on_write = None

        table.on_write = change_once
        assert await attempt.run() == "complete"
        assert table.items["0-0003"] == 42
    assert counts_of(store) == Counts(scanned=10, touched=10, conflicts=1)


async def test_an_item_that_was_deleted_meanwhile_stays_deleted(store: Store):
    async with fake_table(10) as table:
        table.on_write = lambda: table.items.pop("0-0003", None)
        assert await new_attempt(table, store).run() == "complete"
        assert "0-0003" not in table.items
    assert counts_of(store) == Counts(scanned=10, touched=9, vanished=1)


async def test_an_item_that_changes_at_every_try_counts_as_fired(store: Store):
    """Each change by another writer has emitted a record since it was read; and the run must end."""
    async with fake_table(3) as table:

        def change() -> None:
            table.items["0-0001"] = (table.items["0-0001"] or 0) + 1

        table.on_write = change
        writer = Scripted(table, lambda _: None)
        assert await new_attempt(table, store, writer=writer).run() == "complete"
    assert sum("0-0001" in batch for batch in writer.batches) == MAX_CONFLICTS + 1
    assert counts_of(store) == Counts(scanned=3, touched=2, already=1)


async def test_a_marker_that_became_untouchable_is_a_failure_with_its_reason(store: Store):
    """Another writer replaced it by a string, which the run finds when it reads the item again."""
    async with fake_table(2) as table:
        seen = table.seen
        table.seen = lambda name: (  # type: ignore[method-assign]
            {**seen(name), "revision": {"S": "x"}} if table.items[name] == 999 else seen(name)
        )
        table.on_write = lambda: table.items.update({"0-0001": 999})
        assert await new_attempt(table, store).run() == "complete"
    assert counts_of(store) == Counts(scanned=2, touched=1, failed=1)
    assert [failure.reason for failure in store.failures()] == ["marker is of type S, not a number"]


@pytest.mark.parametrize(("applied", "touched", "already"), [(True, 0, 10), (False, 10, 0)])
async def test_a_lost_answer_is_sent_again_under_the_same_condition(
    store: Store, applied: bool, touched: int, already: int
):
    """If it was applied, its condition fails now, which proves that: no item fires twice."""
    async with fake_table(10) as table:
        lost = 0

        def lose_the_first(items: Sequence[Item]) -> WriteReply | None:
            nonlocal lost
            lost += 1
            if lost > 1:
                return None
            if applied:
                for one in items:
                    table.touch(one)
            raise refuse(Disposition.UNKNOWN)

        writer = Scripted(table, lose_the_first)
        attempt = new_attempt(table, store, writer=writer)
        assert await attempt.run() == "complete"
        assert set(table.fired.values()) == {1}
    assert counts_of(store) == Counts(scanned=10, touched=touched, already=already)
    assert writer.batches[0] == writer.batches[1]
    assert store.load().totals.retries == len(attempt.of(Retried)) == 1


async def test_one_invalid_item_does_not_fail_the_others_in_its_request(store: Store):
    """Found by halving: a few requests, not one for every item."""
    async with fake_table(25) as table:
        table.poison = {"0-0017"}
        writer = Scripted(table, lambda _: None)
        attempt = new_attempt(table, store, writer=writer, rcu=10_000.0)
        assert await attempt.run() == "complete"
    assert counts_of(store) == Counts(scanned=25, touched=24, failed=1)
    assert len(writer.batches) <= 11
    assert [(f.key, f.code, f.reason) for f in store.failures()] == [
        ({"pk": {"S": "0-0017"}}, "ValidationException", "invalid")
    ]
    assert attempt.of(ItemFailed) == [ItemFailed(0, 1, "ValidationException")]


@pytest.mark.parametrize("disposition", [Disposition.RETRY, Disposition.UNKNOWN])
async def test_a_batch_that_always_fails_is_given_up_while_others_continue(
    store: Store, disposition: Disposition
):
    """After MAX_ATTEMPTS tries, with the service's message; it does not stop the run."""

    def stubborn(items: Sequence[Item]) -> None:
        if named(items, "0-0000"):
            raise refuse(disposition)

    async with fake_table(1, 800) as table:
        writer = Scripted(table, stubborn)
        attempt = new_attempt(table, store, writer=writer, wcu=4.0)
        assert await attempt.run() == "complete"
    assert sum("0-0000" in batch for batch in writer.batches) == MAX_ATTEMPTS
    assert counts_of(store) == Counts(scanned=801, touched=800, failed=1)
    assert [(f.code, f.reason) for f in store.failures()] == [("SomeException", "words")]


async def test_when_no_request_succeeds_the_run_stops_and_no_item_fails(store: Store):
    """The items are not the cause of an outage: it is reported at intervals, and the run can be resumed."""

    def out_of_order(_: Sequence[Item]) -> None:
        raise refuse(Disposition.UNKNOWN)

    async with fake_table(100, 100) as table:
        stop = StopRequest()
        attempt = new_attempt(
            table, store, writer=Scripted(table, out_of_order), stop=stop, give_up_after_s=300.0
        )
        before = anyio.current_time()
        assert await attempt.run() == "stopped"
        assert 300.0 <= anyio.current_time() - before <= 330.0
        assert isinstance(stop.error, StoppedError)
        assert "nothing went through" in str(stop.error)
        assert len(attempt.of(Waiting)) >= 5
        assert counts_of(store).failed == 0
        assert await new_attempt(table, store).run() == "complete"
        assert set(table.fired.values()) == {1}
        assert len(table.fired) == 200


@pytest.mark.parametrize("code", ["ThrottlingError", "InternalServerError"])
async def test_members_that_never_succeed_end_the_run_too(store: Store, code: str):
    """Answers arrive, but each rejects every member of its batch: that counts as no success."""

    class Refusing(FakeWriter):
        async def write(self, items: Sequence[Item]) -> WriteReply:
            await anyio.sleep(0.01)
            error = MemberError(code, member_disposition(code), "words")
            return WriteReply(None, dict.fromkeys(range(len(items)), error))

    async with fake_table(100, 100) as table:
        stop, before = StopRequest(), anyio.current_time()
        attempt = new_attempt(table, store, writer=Refusing(table), stop=stop, give_up_after_s=300.0)
        assert await attempt.run() == "stopped"
        assert 300.0 <= anyio.current_time() - before <= 330.0
        assert isinstance(stop.error, StoppedError)
        assert counts_of(store).failed == 0
        assert await new_attempt(table, store).run() == "complete"
        assert set(table.fired.values()) == {1}


async def test_an_outage_that_ends_costs_no_item(store: Store):
    """Tries that failed while no request succeeded do not count against a batch."""
    async with fake_table(60, 60) as table:
        begin = anyio.current_time()
        waiting: set[str] = set()
        glitches = 0

        def outage(items: Sequence[Item]) -> None:
            nonlocal glitches
            first = items[0]["pk"]["S"]
            if anyio.current_time() < begin + 500.0:
                waiting.add(first)
                raise refuse(Disposition.UNKNOWN)
            if first in waiting and table.fired:
                waiting.discard(first)
                glitches += 1
                raise refuse(Disposition.RETRY)

        assert (
            await new_attempt(table, store, writer=Scripted(table, outage), give_up_after_s=600.0).run()
            == "complete"
        )
    assert glitches >= 2
    assert counts_of(store) == Counts(scanned=120, touched=120)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_permanent_error_stops_the_run_in_order(store: Store, whole: bool):
    """The permission was revoked, or the table deleted: nothing is lost, and the next attempt continues."""
    async with fake_table(60, 60) as table:
        calls = 0

        def forbid(items: Sequence[Item]) -> WriteReply | None:
            nonlocal calls
            calls += 1
            if calls < 3:
                return None
            if whole:
                raise refuse(Disposition.FATAL)
            denied = MemberError("AccessDenied", Disposition.FATAL, "words")
            return WriteReply(None, dict.fromkeys(range(len(items)), denied))

        stop = StopRequest()
        assert await new_attempt(table, store, writer=Scripted(table, forbid), stop=stop).run() == "stopped"
        assert stop.reason == "error"
        assert stop.error is not None
        assert stop.error.exit_code is ExitCode.REFUSED
        assert whole or isinstance(stop.error, RefusedError)
        assert await new_attempt(table, store).run() == "complete"
        assert len(table.fired) == 120
        assert set(table.fired.values()) == {1}
    assert counts_of(store).settled == counts_of(store).scanned == 120


@pytest.mark.parametrize(
    "reason",
    [
        ThrottlingReason("TableWriteProvisionedThroughputExceeded", ARN),
        ThrottlingReason("TableWriteAccountLimitExceeded", ARN),
        ThrottlingReason("TableWriteMaxOnDemandThroughputExceeded", ARN),
        ThrottlingReason("IndexWriteProvisionedThroughputExceeded", f"{ARN}/index/g"),
        ThrottlingReason("IndexWriteProvisionedThroughputExceeded", f"{ARN}/index/unknown"),
    ],
)
async def test_throttling_lowers_the_shared_rate_and_it_comes_back(store: Store, reason: ThrottlingReason):
    """Events report both, with the reason and the scarce resource."""
    async with fake_table(3_000) as table:
        calls = 0

        def throttle_for_a_while(_: Sequence[Item]) -> None:
            nonlocal calls
            calls += 1
            if calls in range(5, 9):
                raise refuse(Disposition.THROTTLED, reasons=(reason,))

        writer = Scripted(table, throttle_for_a_while)
        attempt = new_attempt(table, store, writer=writer, wcu=100.0)
        assert await attempt.run() == "complete"
    changes = attempt.of(RateChanged)
    assert changes[0] == RateChanged(70.0, 100.0, reason.reason)
    assert changes[-1] == RateChanged(100.0, 100.0, "recovered")
    throttled = attempt.of(Throttled)
    assert len(throttled) == 4
    assert {(event.reason, event.resource, event.lane_only) for event in throttled} == {
        (reason.reason, reason.resource, False)
    }
    assert attempt.context.write_budget.rates() == {TABLE: (100.0, 100.0), "g": (100.0, 100.0)}
    assert store.load().totals.throttled == sum(event.items for event in throttled)


@pytest.mark.parametrize("member", [True, False])
async def test_throttling_by_an_account_limit_lowers_the_shared_rate_at_once(store: Store, member: bool):
    """It comes without a reason, as an error or as the code of a member; no key range is the cause."""
    async with fake_table(300) as table:
        calls = 0

        def refuse_once(items: Sequence[Item]) -> WriteReply | None:
            nonlocal calls
            calls += 1
            if calls != 2:
                return None
            if member:
                error = MemberError("RequestLimitExceeded", Disposition.THROTTLED, "")
                return WriteReply(None, dict.fromkeys(range(len(items)), error))
            raise AwsError("RequestLimitExceeded", "refused", Disposition.THROTTLED)

        attempt = new_attempt(table, store, writer=Scripted(table, refuse_once), wcu=100.0)
        assert await attempt.run() == "complete"
    assert attempt.of(RateChanged)[0] == RateChanged(70.0, 100.0, "RequestLimitExceeded")
    assert [(event.reason, event.resource, event.lane_only) for event in attempt.of(Throttled)] == [
        ("RequestLimitExceeded", "", False)
    ]


async def test_a_hot_key_range_does_not_delay_other_lanes(store: Store):
    """One lane is throttled for a minute; the others complete long before, at an unchanged shared rate."""
    reason = ThrottlingReason("TableWriteKeyRangeThroughputExceeded", ARN)
    async with fake_table(50, 200, 200, 200) as table:
        begin = anyio.current_time()
        done_at: dict[str, float] = {}

        def throttle_the_first(items: Sequence[Item]) -> None:
            if items[0]["pk"]["S"].startswith("0-") and anyio.current_time() < begin + 60.0:
                raise refuse(Disposition.THROTTLED, reasons=(reason,))
            for one in items:
                done_at[one["pk"]["S"]] = anyio.current_time() - begin

        writer = Scripted(table, throttle_the_first)
        attempt = new_attempt(table, store, writer=writer, workers=2, rcu=10_000.0)
        assert await attempt.run() == "complete"
        others = max(at for name, at in done_at.items() if not name.startswith("0-"))
        assert others < 2.0
        assert 60.0 <= max(done_at.values()) < 75.0
    assert attempt.of(RateChanged) == []
    assert {event.lane_only for event in attempt.of(Throttled)} == {True}
    assert counts_of(store).touched == 650


async def test_consumed_units_are_counted_and_stay_within_the_budget(store: Store):
    """End to end: 50 units/s, and at most 55 in any second."""
    async with fake_table(300, 300) as table:
        spent: list[tuple[float, int]] = []

        def note(items: Sequence[Item]) -> None:
            spent.append((anyio.current_time(), len(items)))

        attempt = new_attempt(table, store, writer=Scripted(table, note), wcu=50.0, rcu=10_000.0)
        before = anyio.current_time()
        assert await attempt.run() == "complete"
        assert anyio.current_time() - before == pytest.approx(12.0, rel=0.1)
    for first, (begin, _) in enumerate(spent):
        assert sum(units for at, units in spent[first:] if at < begin + 1.0) <= 55
    assert store.load().totals.wcu == 600.0


async def test_every_acknowledged_page_is_reported_and_its_counts_add_up(store: Store):
    async with fake_table(100, 3, 0) as table:
        table.unwritable = {"0-0005"}
        attempt = new_attempt(table, store, source=FakeSource(table))
        assert await attempt.run() == "complete"
    total = Counts()
    for page in attempt.of(PageAcknowledged):
        assert page.counts.scanned == page.counts.settled
        total.add(page.counts)
    assert total == counts_of(store) == Counts(scanned=103, touched=102, failed=1)


@pytest.mark.parametrize("workers", [1, 3, 8])
async def test_no_more_requests_at_once_than_workers(store: Store, workers: int):
    async with fake_table(200, 200, 200) as table:
        writer = FakeWriter(table, largest=5)
        assert (
            await new_attempt(table, store, writer=writer, workers=workers, rcu=10_000.0).run() == "complete"
        )
    assert writer.most_at_once == workers
