"""An attempt whose rate limits change while it runs: pauses, their end, another budget."""

import anyio
import pytest

from refire_async.checkpoint.store import Store
from refire_async.events import BatchWritten, PageRead, Waiting
from refire_async.model.capacity import TABLE
from refire_async.model.counts import Counts
from refire_async.model.stop import StopRequest
from refire_async.pacing.capacity import Ceilings
from refire_async.pacing.governor import RateLimits
from tests.pipeline.fake_dynamodb import FaultProfile
from tests.pipeline.harness import Harness, fake_table, new_attempt

HOURS = 7_200.0


def rate_limits(
    wcu: float, share: float = 1.0, max_rate: float | None = None, rcu: float = 24.0
) -> RateLimits:
    return RateLimits(Ceilings({TABLE: wcu, "g": wcu}, rcu, "a test"), share, max_rate)


def progress(attempt: Harness) -> int:
    return len(attempt.of(BatchWritten)) + len(attempt.of(PageRead))


@pytest.mark.parametrize("faults", [FaultProfile(), FaultProfile(throttled=0.2, retry=0.2, read_error=0.2)])
async def test_a_pause_of_hours_is_not_an_outage(store: Store, faults: FaultProfile):
    """No read or write is sent meanwhile; failures before and after the pause do not count as one outage."""
    async with fake_table(400, 400, faults=faults) as table, anyio.create_task_group() as tasks:
        attempt = new_attempt(table, store, wcu=200.0)
        tasks.start_soon(attempt.run)
        await anyio.sleep(1.0)
        attempt.context.follow(rate_limits(200.0, share=0.0))
        await anyio.sleep(5.0)  # requests in flight complete
        before = progress(attempt)
        await anyio.sleep(HOURS)
        assert progress(attempt) == before > 0
        attempt.context.follow(rate_limits(200.0))
    counts = store.load().counts
    assert counts.scanned == counts.settled == 800
    table.check_promises(counts)
    assert attempt.of(Waiting) == []
    assert attempt.context.stop.error is None


async def test_the_end_of_a_pause_ends_waits_for_a_next_attempt(store: Store):
    """An outage began before the pause and ended during it: every delayed request is retried at once."""
    async with fake_table(400, faults=FaultProfile(retry=1.0)) as table, anyio.create_task_group() as tasks:
        attempt = new_attempt(table, store, wcu=2_000.0)
        tasks.start_soon(attempt.run)
        await anyio.sleep(60.0)
        attempt.context.follow(rate_limits(2_000.0, share=0.0))
        table.faults = FaultProfile()
        await anyio.sleep(0.5)
        begun = anyio.current_time()
        attempt.context.follow(rate_limits(2_000.0))
    assert anyio.current_time() - begun < 1.5, "the time that reading the rest takes at 24 RCU/s"
    assert store.load().counts == Counts(scanned=400, touched=400)


async def test_a_stop_ends_a_pause_at_once_for_every_wait(store: Store):
    """Writes, reads and look-ups wait for the end of the pause. Other writers change all items that are in flight."""
    stop = StopRequest()
    async with fake_table(400, 400) as table:
        attempt = new_attempt(table, store, wcu=200.0, stop=stop)

        def pause_and_change() -> None:
            attempt.context.follow(rate_limits(200.0, share=0.0))
            table.items.update(dict.fromkeys(table.items, 8))

        async def stop_later() -> None:
            await anyio.sleep(HOURS)
            stop.request("interrupted")

        table.on_write = pause_and_change
        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_later)
            assert await attempt.run() == "stopped"
        assert anyio.current_time() - begun == pytest.approx(HOURS, abs=0.1)
    assert attempt.of(PageRead)
    assert not table.fired
    assert stop.error is None
    assert store.load().open_pages


async def test_another_budget_applies_at_once(store: Store):
    async with fake_table(1_000) as table:
        attempt = new_attempt(table, store, wcu=50.0, rcu=1_000.0)
        begun = anyio.current_time()

        async def faster() -> None:
            await anyio.sleep(10.0)
            attempt.context.follow(rate_limits(500.0, rcu=1_000.0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(faster)
            assert await attempt.run() == "complete"
        # 500 items in 10 s, 500 in one.
        assert anyio.current_time() - begun == pytest.approx(11.0, abs=0.3)


async def test_a_rate_of_items_can_be_set_and_lifted(store: Store):
    async with fake_table(400) as table:
        attempt = new_attempt(table, store, wcu=10_000.0, rcu=1_000.0)
        attempt.context.follow(rate_limits(10_000.0, max_rate=10.0, rcu=1_000.0))
        begun = anyio.current_time()

        async def lift() -> None:
            await anyio.sleep(20.0)
            attempt.context.follow(rate_limits(10_000.0, rcu=1_000.0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lift)
            assert await attempt.run() == "complete"
        assert 20.0 <= anyio.current_time() - begun <= 21.0


async def test_the_budget_follows_added_and_removed_indexes(store: Store):
    """Reservations that were made before the change are corrected after it."""
    async with fake_table(600) as table:
        attempt = new_attempt(table, store, wcu=10_000.0, rcu=1_000.0)
        attempt.context.follow(RateLimits(Ceilings({TABLE: 10_000.0, "slow": 1.0}, 1_000.0, "index slow")))
        begun = anyio.current_time()

        async def change() -> None:
            await anyio.sleep(60.0)
            attempt.context.follow(RateLimits(Ceilings({TABLE: 10_000.0, "new": 100.0}, 1_000.0, "a test")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(change)
            assert await attempt.run() == "complete"
        assert anyio.current_time() - begun == pytest.approx(60.0, abs=7.0)
    assert attempt.context.write_budget.rates().keys() == {TABLE, "new"}
