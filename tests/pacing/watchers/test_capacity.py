"""The table is described during the run: periodically, and soon after throttling."""

import random
from dataclasses import replace

import anyio
import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.events import BatchWritten, Throttled
from refire_async.model.capacity import Consumed
from refire_async.model.table import Table, Throughput
from refire_async.pacing.governor import Governor
from refire_async.pacing.on_demand_growth import DOUBLING_S
from refire_async.pacing.watchers.capacity import JITTER, POLL_EVERY_S, SOON_S, CapacityWatch
from refire_async.settings import Budget
from tests.pacing.test_governor import PLAIN, capacity
from tests.support.virtual_time import VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class Described:
    """A table, and the times at which it was described."""

    def __init__(self, table: Table = PLAIN) -> None:
        self.table = table
        self.error: AwsError | None = None
        self.times: list[float] = []
        self.governor = Governor(table, "revision", Budget(wcu_percent=100.0))
        self.watch = CapacityWatch(self.governor, self._describe, random.Random(4))

    async def _describe(self, name: str) -> Table:
        assert name == "orders"
        self.times.append(anyio.current_time())
        if self.error is not None:
            raise self.error
        return self.table


async def test_a_change_is_followed_within_half_a_minute():
    found = Described()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watch.poll)
        for write in (500.0, 2_000.0, 1.0):
            found.table = capacity(write)
            await anyio.sleep(POLL_EVERY_S * (1 + JITTER) + 1.0)
            assert found.governor.rate_limits.wcu == write
        tasks.cancel_scope.cancel()
    gaps = [after - before for before, after in zip(found.times, found.times[1:], strict=False)]
    assert all(POLL_EVERY_S * (1 - JITTER) <= gap <= POLL_EVERY_S * (1 + JITTER) for gap in gaps)


async def test_throttling_for_lack_of_capacity_causes_an_early_but_not_a_frequent_description():
    """A hot key range does not, because the table's description does not show it."""
    found = Described()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watch.poll)
        begun = anyio.current_time()
        for _ in range(100):
            found.watch.handle(
                Throttled(0, 25, "TableWriteProvisionedThroughputExceeded", "", lane_only=False)
            )
            await anyio.sleep(0.1)
        assert found.times[0] - begun <= SOON_S + 0.1
        assert 4 <= len(found.times) <= 10.0 / SOON_S
        before = len(found.times)
        await anyio.sleep(SOON_S)
        for _ in range(100):
            found.watch.handle(Throttled(0, 25, "TableWriteKeyRangeThroughputExceeded", "", lane_only=True))
            await anyio.sleep(0.1)
        assert len(found.times) <= before + 1
        tasks.cancel_scope.cancel()


async def test_a_failed_description_and_a_recreated_table_change_nothing():
    found = Described()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watch.poll)
        found.error = AwsError("AccessDeniedException", "no", Disposition.FATAL)
        await anyio.sleep(100.0)
        assert found.governor.rate_limits.wcu == 1_000.0
        found.error, found.table = None, replace(capacity(5.0), table_id="another")
        await anyio.sleep(100.0)
        assert found.governor.rate_limits.wcu == 1_000.0
        found.table = capacity(600.0)
        await anyio.sleep(100.0)
        assert found.governor.rate_limits.wcu == 600.0
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("reported", [True, False])
async def test_unknown_on_demand_capacity_grows_with_its_use(reported: bool):
    """It doubles in half an hour at the full budget, and does not grow while writes are throttled."""
    table = replace(PLAIN, billing="PAY_PER_REQUEST", throughput=Throughput())
    found = Described(table)

    async def use(seconds: float) -> None:
        for _ in range(int(seconds)):
            wcu = found.governor.rate_limits.wcu
            found.watch.handle(BatchWritten(0, 25, wcu, 0.01, Consumed(wcu) if reported else None))
            await anyio.sleep(1.0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watch.grow)
        await use(DOUBLING_S + 5.0)
        grown = found.governor.rate_limits.wcu
        assert grown == pytest.approx(8_000.0, rel=0.01)
        found.watch.handle(Throttled(0, 25, "ThrottlingException", "", lane_only=True))
        await use(60.0)
        assert found.governor.rate_limits.wcu == grown
        await anyio.sleep(DOUBLING_S)
        assert found.governor.rate_limits.wcu == grown
        tasks.cancel_scope.cancel()


async def test_known_capacity_does_not_grow():
    table = replace(PLAIN, billing="PAY_PER_REQUEST", throughput=Throughput(warm_write=4_000.0))
    found = Described(table)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watch.grow)
        for _ in range(100):
            found.watch.handle(BatchWritten(0, 25, 40_000.0, 0.01, Consumed(40_000.0)))
            await anyio.sleep(10.0)
        assert found.governor.rate_limits.wcu == 4_000.0
        tasks.cancel_scope.cancel()
