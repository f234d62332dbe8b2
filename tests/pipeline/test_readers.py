"""Readers: durable pages before the first write, bounded memory, orderly stops, resolved pages in doubt."""

from pathlib import Path

import anyio
import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.checkpoint.store import Store
from refire_async.errors import StoppedError, UsageError
from refire_async.events import PageRead, SegmentFinished, Stopping
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor
from refire_async.model.stop import StopRequest
from refire_async.pacing.outage import MAX_ATTEMPTS
from refire_async.pipeline.readers import PAGES_PER_READER
from refire_async.sources.base import SourcePage
from tests.pipeline.fake_dynamodb import FakeSource, FakeTable, FakeWriter, FaultProfile
from tests.pipeline.harness import Harness, fake_table, new_attempt
from tests.support.checkpoints import crashed_copy, item, page, reopened


def saved_items(store: Store) -> set[str]:
    return {one["pk"]["S"] for p in store.progress(range(100)).pages for one in p.items}


async def test_no_write_is_sent_before_its_page_is_on_disk(store: Store):
    """Every write looks its items up in the checkpoint file."""
    async with fake_table(60, 60, 60) as table:
        sent = 0

        class Watching(FakeWriter):
            async def write(self, items):
                nonlocal sent
                sent += len(items)
                assert {one["pk"]["S"] for one in items} <= saved_items(store)
                return await super().write(items)

        assert await new_attempt(table, store, writer=Watching(table)).run() == "complete"
        assert sent == 180


async def test_the_pages_in_memory_are_bounded(store: Store):
    """At most two per reader, however slow the writes are."""
    async with fake_table(300, 300, 300) as table:
        most = 0
        attempt = new_attempt(table, store, wcu=40.0)

        def count_pages() -> None:
            nonlocal most
            most = max(most, len(attempt.context.journal.ledger.pages))

        table.on_write = count_pages
        assert await attempt.run() == "complete"
        assert 3 < most <= 3 * PAGES_PER_READER


async def test_progress_is_reported_by_page_and_segment(store: Store):
    async with fake_table(40, 0, 5) as table:
        attempt = new_attempt(table, store)
        assert await attempt.run() == "complete"
    assert sum(event.items for event in attempt.of(PageRead)) == 45
    finished = attempt.of(SegmentFinished)
    assert {event.segment for event in finished} == {0, 1, 2}
    assert [(event.finished, event.total) for event in finished] == [(1, 3), (2, 3), (3, 3)]


async def seconds_to_stop(attempt: Harness, stop: StopRequest, after_s: float) -> float:
    """Run, request a stop after `after_s` seconds, and return the seconds until the attempt ends."""
    requested_at = 0.0

    async def request_stop() -> None:
        nonlocal requested_at
        await anyio.sleep(after_s)
        requested_at = anyio.current_time()
        stop.request("interrupted")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(request_stop)
        assert await attempt.run() == "stopped"
        ended_at = anyio.current_time()
    return ended_at - requested_at


async def test_a_stop_sends_nothing_new_and_completes_requests_in_flight(store: Store):
    """The checkpoint then holds exactly the items that were not sent."""
    async with fake_table(200, 200) as table:
        stop = StopRequest()
        attempt = new_attempt(table, store, stop=stop, wcu=500.0, rcu=400.0)

        def nothing_after_the_stop() -> None:
            assert stop.reason is None

        table.on_write = nothing_after_the_stop
        assert await seconds_to_stop(attempt, stop, 0.3) < 0.2
        assert attempt.of(Stopping) == [Stopping("interrupted")]
        saved = store.load()
        assert 0 < saved.counts.touched == len(table.fired) < 400
        assert saved.counts.settled == saved.counts.scanned
        assert not saved_items(store) & set(table.fired)
        table.on_write = None
        assert await new_attempt(table, store).run() == "complete"
        assert set(table.fired.values()) == {1}
    assert store.load().counts == Counts(scanned=400, touched=400)


async def test_a_stop_does_not_wait_for_the_budget(store: Store):
    """Batches and reads that would wait for minutes are not sent."""
    async with fake_table(100, 100) as table:
        stop = StopRequest()
        attempt = new_attempt(table, store, stop=stop, wcu=0.5, rcu=1.0, workers=8)
        assert await seconds_to_stop(attempt, stop, 30.0) < 0.2
        assert await new_attempt(table, store).run() == "complete"
        assert len(table.fired) == 200
        assert set(table.fired.values()) == {1}


async def test_a_stop_does_not_wait_for_an_outage_to_end(store: Store):
    """An item that another writer changed cannot be read again: it remains for the next attempt."""
    async with fake_table(10) as table:

        def change_and_go_down() -> None:
            table.items["0-0003"] = 41
            table.other_changes["0-0003"] += 1
            table.faults = FaultProfile(read_error=1.0)

        table.on_write = change_and_go_down
        stop = StopRequest()
        assert await seconds_to_stop(new_attempt(table, store, stop=stop), stop, 10.0) < 30.0
        assert saved_items(store) == {"0-0003"}
        table.faults, table.on_write = FaultProfile(), None
        assert await new_attempt(table, store).run() == "complete"
    assert store.load().counts == Counts(scanned=10, touched=9, already=1)


async def test_a_stop_requested_before_the_start_sends_nothing(store: Store):
    async with fake_table(10) as table:
        stop = StopRequest()
        stop.request("terminated")
        assert await new_attempt(table, store, stop=stop).run() == "stopped"
        assert not table.fired


@pytest.mark.parametrize("limit", [1, 19, 20, 77, 119])
async def test_a_limit_on_items_is_met_exactly(store: Store, limit: int):
    """All readers share it; each attempt continues where the last one ended."""
    async with fake_table(50, 0, 70) as table:
        stop = StopRequest()
        assert await new_attempt(table, store, stop=stop, max_items=limit).run() == "stopped"
        assert stop.reason == "limit"
        assert len(table.fired) == limit
        assert store.load().counts == Counts(scanned=limit, touched=limit)
        assert await new_attempt(table, store, max_items=1_000).run() == "complete"
        assert len(table.fired) == 120
        assert set(table.fired.values()) == {1}


async def test_a_limit_above_the_number_of_items_changes_nothing(store: Store):
    async with fake_table(5, 5) as table:
        assert await new_attempt(table, store, max_items=11).run() == "complete"


async def test_an_invalid_source_stops_the_run_and_keeps_the_progress(store: Store):
    """A keys file with an invalid line in the middle: the items before it are touched and saved."""

    class BadFile(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            if cursor is not None:
                raise UsageError("keys.jsonl line 20 is not JSON")
            return await super().read(segment, cursor, limit)

    async with fake_table(40) as table:
        stop = StopRequest()
        assert await new_attempt(table, store, source=BadFile(table), stop=stop).run() == "stopped"
        assert isinstance(stop.error, UsageError)
        assert store.load().counts.touched + len(saved_items(store)) == 19


async def test_reads_that_never_succeed_end_the_run(store: Store):
    async with fake_table(40, faults=FaultProfile(read_error=1.0)) as table:
        stop, before = StopRequest(), anyio.current_time()
        assert await new_attempt(table, store, stop=stop, give_up_after_s=120.0).run() == "stopped"
        assert isinstance(stop.error, StoppedError)
        assert 120.0 <= anyio.current_time() - before < 180.0


async def test_a_page_that_can_never_be_read_ends_the_run_while_others_succeed(store: Store):
    """No read is retried without end: after MAX_ATTEMPTS the run stops, and its progress is saved."""
    tries = 0

    class Unreadable(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            nonlocal tries
            if segment == 0:
                tries += 1
                raise AwsError("InternalServerError", "out of order", Disposition.UNKNOWN)
            return await super().read(segment, cursor, limit)

    async with fake_table(40, 1_200) as table:
        stop = StopRequest()
        source = Unreadable(table)
        attempt = new_attempt(table, store, source=source, stop=stop, wcu=4.0, give_up_after_s=10_000.0)
        assert await attempt.run() == "stopped"
        assert tries == MAX_ATTEMPTS
        assert "segment 0 failed" in str(stop.error)
        assert await new_attempt(table, store).run() == "complete"
        assert set(table.fired.values()) == {1}
        assert len(table.fired) == 1_240


async def test_look_ups_that_process_no_key_end_the_run(store: Store):
    """Look-ups that return only unprocessed keys are not retried without end, though each answer is a 200."""
    async with fake_table(40, faults=FaultProfile(unprocessed=1.0)) as table:
        stop, before = StopRequest(), anyio.current_time()
        source = FakeSource(table, carries_marker=False)
        assert (
            await new_attempt(table, store, source=source, stop=stop, give_up_after_s=120.0).run()
            == "stopped"
        )
        assert isinstance(stop.error, StoppedError)
        assert 120.0 <= anyio.current_time() - before < 140.0


async def test_a_read_that_fails_permanently_ends_the_run_at_once(store: Store):
    class Forbidden(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            del segment, cursor, limit
            raise AwsError("AccessDeniedException", "no permission", Disposition.FATAL)

    async with fake_table(40) as table:
        stop, before = StopRequest(), anyio.current_time()
        assert await new_attempt(table, store, source=Forbidden(table), stop=stop).run() == "stopped"
        assert str(stop.error) == "no permission"
        assert anyio.current_time() - before < 1.0


async def in_doubt(store: Store, table: FakeTable, tmp_path: Path) -> Store:
    """The checkpoint after a crash between the opening of a page of 19 items and its first write."""
    attempt = new_attempt(table, store, wcu=0.001)
    with anyio.move_on_after(5.0):
        await attempt.run()
    assert not table.fired
    assert len(saved_items(store)) >= 19
    return reopened(crashed_copy(store, tmp_path / "crashed.refire"))


async def test_a_page_in_doubt_is_read_again_and_only_its_unchanged_items_are_written(
    store: Store, tmp_path: Path
):
    """Changed since it was read: it has fired. Gone: vanished. Unchanged: touched now."""
    async with fake_table(19) as table:
        crashed = await in_doubt(store, table, tmp_path)
        table.items["0-0001"] = (table.items["0-0001"] or 0) + 1
        del table.items["0-0002"]
        source = FakeSource(table)
        attempt = new_attempt(table, crashed, source=source)
        assert await attempt.run() == "complete"
        assert crashed.load().counts == Counts(scanned=19, touched=17, already=1, vanished=1)
        assert source.reads == 1
        # One read of the page, and one consistent read of each item that it did not return or that has changed.
        assert attempt.context.journal.totals.rcu <= 0.5 + 2
        crashed.close()


async def test_a_stale_read_does_not_count_as_a_change(store: Store, tmp_path: Path):
    """The page is read again with eventual consistency: a marker older than the ledger's proves nothing."""
    async with fake_table(19) as table:
        table.items["0-0003"] = 7
        crashed = await in_doubt(store, table, tmp_path)
        table.before["0-0003"] = 6
        table.faults = FaultProfile(stale_read=1.0)
        assert await new_attempt(table, crashed).run() == "complete"
        assert table.items["0-0003"] == 8
        assert crashed.load().counts == Counts(scanned=19, touched=19)
        crashed.close()


@pytest.mark.parametrize("later", [5, 8], ids=["the touch itself", "an application"])
async def test_a_resume_knows_what_was_touched_after_a_conflict(store: Store, tmp_path: Path, later: int):
    """The ledger has the marker that the touch was conditional on, not the one that the run read first.

    Read as 5, restored to 4 by an application, touched from 4: the touch makes it 5 again, as it was first. Killed
    then, or after the application has incremented it to the value read first, a resume must not treat it as untouched.
    """

    class Crashing(FakeWriter):
        async def write(self, items):
            if not table.fired:
                table.items["0-0000"] = 4 if later == 5 else 6
            reply = await super().write(items)
            if table.fired and not reply.errors:
                crashed_copy(store, tmp_path / "crashed.refire")
            return reply

    async with fake_table(1) as table:
        table.items["0-0000"] = later if later == 8 else 5
        assert await new_attempt(table, store, writer=Crashing(table)).run() == "complete"
        table.items["0-0000"] = later
        crashed = reopened(tmp_path / "crashed.refire")
        assert await new_attempt(table, crashed).run() == "complete"
        assert table.fired["0-0000"] == 1
        assert table.items["0-0000"] == later
        crashed.close()


async def test_pages_of_several_attempts_are_resolved_together(store: Store):
    """Each page in doubt has its own start; none is read twice as a new one."""
    with store.transaction():
        for number in range(3):
            names = [f"0-{n:04}" for n in range(number * 10, number * 10 + 10)]
            start = None if number == 0 else {"pk": {"S": f"0-{number * 10 - 1:04}"}}
            one = page(number, [item(name) for name in names], start=start, end={"pk": {"S": names[-1]}})
            store.open_page(one)
    async with fake_table(45) as table:
        table.items = dict.fromkeys(table.items)
        table.first = dict(table.items)
        assert await new_attempt(table, store).run() == "complete"
        table.check_promises(store.load().counts)
        assert table.fired.total() == 45
