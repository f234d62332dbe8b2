"""Readers: durable before the first write, bounded, stopped in order, and pages in doubt looked at again."""

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
from refire_async.pacing.outage import MOST_ATTEMPTS
from refire_async.pipeline.readers import PAGES_PER_READER
from refire_async.sources.base import SourcePage
from tests.pipeline.world import FakeSource, FakeWriter, Sitting, Weather, World, sit, world_of
from tests.support.checkpoints import crashed_copy, item, page, reopened


def saved_items(store: Store) -> set[str]:
    return {one["pk"]["S"] for p in store.progress(range(100)).pages for one in p.items}


async def test_no_write_is_sent_before_its_page_is_on_disk(store: Store):
    """Looked up in the file at every write."""
    async with world_of(60, 60, 60) as world:
        sent = 0

        class Watching(FakeWriter):
            async def write(self, items):
                nonlocal sent
                sent += len(items)
                assert {one["pk"]["S"] for one in items} <= saved_items(store)
                return await super().write(items)

        assert await sit(world, store, writer=Watching(world)).run() == "complete"
        assert sent == 180


async def test_the_pages_in_memory_are_bounded(store: Store):
    """Two for each reader, however slow the writes are."""
    async with world_of(300, 300, 300) as world:
        most = 0
        attempt = sit(world, store, wcu=40.0)

        def look() -> None:
            nonlocal most
            most = max(most, len(attempt.context.journal.ledger.pages))

        world.on_write = look
        assert await attempt.run() == "complete"
        assert 3 < most <= 3 * PAGES_PER_READER


async def test_progress_is_told_by_page_and_segment(store: Store):
    async with world_of(40, 0, 5) as world:
        attempt = sit(world, store)
        assert await attempt.run() == "complete"
    assert sum(event.items for event in attempt.of(PageRead)) == 45
    finished = attempt.of(SegmentFinished)
    assert {event.segment for event in finished} == {0, 1, 2}
    assert [(event.finished, event.total) for event in finished] == [(1, 3), (2, 3), (3, 3)]


async def stopped_at(attempt: Sitting, stop: StopRequest, after_s: float) -> float:
    """Run and ask for a stop; how long it takes to end from then on."""
    asked_at = 0.0

    async def ask() -> None:
        nonlocal asked_at
        await anyio.sleep(after_s)
        asked_at = anyio.current_time()
        stop.request("interrupted")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        assert await attempt.run() == "stopped"
        ended_at = anyio.current_time()
    return ended_at - asked_at


async def test_a_stop_begins_nothing_new_and_finishes_what_is_in_flight(store: Store):
    """What is saved then is exact: the items that were not sent, and no others."""
    async with world_of(200, 200) as world:
        stop = StopRequest()
        attempt = sit(world, store, stop=stop, wcu=500.0, rcu=400.0)

        def nothing_after_the_stop() -> None:
            assert stop.reason is None

        world.on_write = nothing_after_the_stop
        assert await stopped_at(attempt, stop, 0.3) < 0.2
        assert attempt.of(Stopping) == [Stopping("interrupted")]
        saved = store.load()
        assert 0 < saved.counts.touched == len(world.fired) < 400
        assert saved.counts.settled == saved.counts.scanned
        assert not saved_items(store) & set(world.fired)
        world.on_write = None
        assert await sit(world, store).run() == "complete"
        assert set(world.fired.values()) == {1}
    assert store.load().counts == Counts(scanned=400, touched=400)


async def test_a_stop_does_not_wait_for_the_budget(store: Store):
    """Batches whose turn is minutes away are not sent; neither are reads."""
    async with world_of(100, 100) as world:
        stop = StopRequest()
        attempt = sit(world, store, stop=stop, wcu=0.5, rcu=1.0, workers=8)
        assert await stopped_at(attempt, stop, 30.0) < 0.2
        assert await sit(world, store).run() == "complete"
        assert len(world.fired) == 200
        assert set(world.fired.values()) == {1}


async def test_a_stop_does_not_wait_for_an_outage_to_end(store: Store):
    """An item that another writer changed cannot be looked at again: it is left for the next sitting."""
    async with world_of(10) as world:

        def change_and_go_down() -> None:
            world.items["0-0003"] = 41
            world.by_others["0-0003"] += 1
            world.weather = Weather(read_error=1.0)

        world.on_write = change_and_go_down
        stop = StopRequest()
        assert await stopped_at(sit(world, store, stop=stop), stop, 10.0) < 30.0
        assert saved_items(store) == {"0-0003"}
        world.weather, world.on_write = Weather(), None
        assert await sit(world, store).run() == "complete"
    assert store.load().counts == Counts(scanned=10, touched=9, already=1)


async def test_a_stop_that_was_asked_for_before_the_beginning_sends_nothing(store: Store):
    async with world_of(10) as world:
        stop = StopRequest()
        stop.request("terminated")
        assert await sit(world, store, stop=stop).run() == "stopped"
        assert not world.fired


@pytest.mark.parametrize("limit", [1, 19, 20, 77, 119])
async def test_a_limit_on_items_is_met_exactly(store: Store, limit: int):
    """Shared by all readers; each sitting goes on where the last one ended."""
    async with world_of(50, 0, 70) as world:
        stop = StopRequest()
        assert await sit(world, store, stop=stop, max_items=limit).run() == "stopped"
        assert stop.reason == "limit"
        assert len(world.fired) == limit
        assert store.load().counts == Counts(scanned=limit, touched=limit)
        assert await sit(world, store, max_items=1_000).run() == "complete"
        assert len(world.fired) == 120
        assert set(world.fired.values()) == {1}


async def test_a_limit_above_the_number_of_items_changes_nothing(store: Store):
    async with world_of(5, 5) as world:
        assert await sit(world, store, max_items=11).run() == "complete"


async def test_a_source_that_is_bad_stops_the_run_and_keeps_what_was_done(store: Store):
    """A keys file with a bad line in the middle: the items before it are touched and saved."""

    class BadFile(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            if cursor is not None:
                raise UsageError("keys.jsonl line 20 is not JSON")
            return await super().read(segment, cursor, limit)

    async with world_of(40) as world:
        stop = StopRequest()
        assert await sit(world, store, source=BadFile(world), stop=stop).run() == "stopped"
        assert isinstance(stop.error, UsageError)
        assert store.load().counts.touched + len(saved_items(store)) == 19


async def test_reads_that_never_go_through_end_the_run(store: Store):
    async with world_of(40, weather=Weather(read_error=1.0)) as world:
        stop, before = StopRequest(), anyio.current_time()
        assert await sit(world, store, stop=stop, give_up_after_s=120.0).run() == "stopped"
        assert isinstance(stop.error, StoppedError)
        assert 120.0 <= anyio.current_time() - before < 180.0


async def test_a_page_that_can_never_be_read_ends_the_run_while_others_are(store: Store):
    """No read is tried for ever: after MOST_ATTEMPTS the run stops, and what was done is saved."""
    tries = 0

    class Unreadable(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            nonlocal tries
            if segment == 0:
                tries += 1
                raise AwsError("InternalServerError", "out of order", Disposition.UNKNOWN)
            return await super().read(segment, cursor, limit)

    async with world_of(40, 6_000) as world:
        stop = StopRequest()
        source = Unreadable(world)
        attempt = sit(world, store, source=source, stop=stop, wcu=20.0, give_up_after_s=10_000.0)
        assert await attempt.run() == "stopped"
        assert tries == MOST_ATTEMPTS
        assert "segment 0 failed" in str(stop.error)
        assert await sit(world, store).run() == "complete"
        assert set(world.fired.values()) == {1}
        assert len(world.fired) == 6_040


async def test_look_ups_that_leave_every_key_out_end_the_run(store: Store):
    """A table that gives nothing is not asked for ever, though each of its answers is a 200."""
    async with world_of(40, weather=Weather(unprocessed=1.0)) as world:
        stop, before = StopRequest(), anyio.current_time()
        source = FakeSource(world, carries_marker=False)
        assert await sit(world, store, source=source, stop=stop, give_up_after_s=120.0).run() == "stopped"
        assert isinstance(stop.error, StoppedError)
        assert 120.0 <= anyio.current_time() - before < 140.0


async def test_a_read_that_is_refused_for_good_ends_the_run_at_once(store: Store):
    class Forbidden(FakeSource):
        async def read(self, segment: int, cursor: Cursor | None, limit: int) -> SourcePage:
            del segment, cursor, limit
            raise AwsError("AccessDeniedException", "no permission", Disposition.FATAL)

    async with world_of(40) as world:
        stop, before = StopRequest(), anyio.current_time()
        assert await sit(world, store, source=Forbidden(world), stop=stop).run() == "stopped"
        assert str(stop.error) == "no permission"
        assert anyio.current_time() - before < 1.0


async def in_doubt(store: Store, world: World, tmp_path: Path) -> Store:
    """What a crash leaves after a page of 19 items was opened and before its first write."""
    attempt = sit(world, store, wcu=0.001)
    with anyio.move_on_after(5.0):
        await attempt.run()
    assert not world.fired
    assert len(saved_items(store)) >= 19
    return reopened(crashed_copy(store, tmp_path / "crashed.refire"))


async def test_a_page_in_doubt_is_read_again_and_only_what_is_still_as_it_was_is_written(
    store: Store, tmp_path: Path
):
    """Changed since it was read: it has fired. Gone: vanished. The same: touched now."""
    async with world_of(19) as world:
        crashed = await in_doubt(store, world, tmp_path)
        world.items["0-0001"] = (world.items["0-0001"] or 0) + 1
        del world.items["0-0002"]
        source = FakeSource(world)
        attempt = sit(world, crashed, source=source)
        assert await attempt.run() == "complete"
        assert crashed.load().counts == Counts(scanned=19, touched=17, already=1, vanished=1)
        assert source.reads == 1
        # One page again, and one consistent read of each item that it did not give or that has changed.
        assert attempt.context.journal.totals.rcu <= 0.5 + 2
        crashed.close()


async def test_a_replica_that_is_behind_does_not_count_as_a_change(store: Store, tmp_path: Path):
    """The page is read again eventually consistent: an older marker than the ledger's proves nothing."""
    async with world_of(19) as world:
        world.items["0-0003"] = 7
        crashed = await in_doubt(store, world, tmp_path)
        world.before["0-0003"] = 6
        world.weather = Weather(stale_read=1.0)
        assert await sit(world, crashed).run() == "complete"
        assert world.items["0-0003"] == 8
        assert crashed.load().counts == Counts(scanned=19, touched=19)
        crashed.close()


@pytest.mark.parametrize("later", [5, 8], ids=["the touch itself", "an application"])
async def test_a_resume_knows_what_was_touched_after_a_conflict(store: Store, tmp_path: Path, later: int):
    """The ledger has the marker that the touch was conditional on, not the one that the run read first.

    Read as 5, put back to 4 by an application, touched from 4: the touch makes it 5 again, as it was first. Killed
    then, or after the application has counted on to what was read first, a resume must not take it for untouched.
    """

    class Crashing(FakeWriter):
        async def write(self, items):
            if not world.fired:
                world.items["0-0000"] = 4 if later == 5 else 6
            reply = await super().write(items)
            if world.fired and not reply.errors:
                crashed_copy(store, tmp_path / "crashed.refire")
            return reply

    async with world_of(1) as world:
        world.items["0-0000"] = later if later == 8 else 5
        assert await sit(world, store, writer=Crashing(world)).run() == "complete"
        world.items["0-0000"] = later
        crashed = reopened(tmp_path / "crashed.refire")
        assert await sit(world, crashed).run() == "complete"
        assert world.fired["0-0000"] == 1
        assert world.items["0-0000"] == later
        crashed.close()


async def test_pages_of_several_sittings_are_settled_together(store: Store):
    """Each page in doubt has its own start; none is read twice as a new one."""
    with store.transaction():
        for number in range(3):
            names = [f"0-{n:04}" for n in range(number * 10, number * 10 + 10)]
            start = None if number == 0 else {"pk": {"S": f"0-{number * 10 - 1:04}"}}
            one = page(number, [item(name) for name in names], start=start, end={"pk": {"S": names[-1]}})
            store.open_page(one)
    async with world_of(45) as world:
        world.items = dict.fromkeys(world.items)
        world.first = dict(world.items)
        assert await sit(world, store).run() == "complete"
        world.check_promises(store.load().counts)
        assert world.fired.total() == 45
