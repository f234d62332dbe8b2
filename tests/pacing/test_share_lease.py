"""The lease of one member, on virtual time: the record is late, out of reach, or changed by others."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from refire_async.pacing.limiter import Limiter
from refire_async.pacing.share_lease import MemoryRecord, ShareLease
from refire_async.pacing.shares import Terms, decode
from tests.support.virtual_time import VIRTUAL_TIME

TERMS = Terms(lease_s=10.0, beat_s=2.0)


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class SlowRecord(MemoryRecord):
    """A record whose answers can be held back; `reached` counts the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.delay_s = 0.01
        self.reached = 0

    async def read(self) -> tuple[int, bytes]:
        self.reached += 1
        await anyio.sleep(self.delay_s)
        return await super().read()


def lease_of(record: MemoryRecord, name: str, applied: list[float], used: float = 1.0) -> ShareLease:
    """A lease of a member that uses `used` of the whole budget."""
    return ShareLease(
        record,
        name,
        TERMS,
        consumed=lambda: used * anyio.current_time(),
        apply=applied.append,
        clock=anyio.current_time,
    )


async def during(seconds: float, *work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` in the background for a while."""
    async with anyio.create_task_group() as tasks:
        for one in work:
            tasks.start_soon(one)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()


async def test_members_divide_the_budget() -> None:
    """Three members that could use everything have a third each after a few beats."""
    record = SlowRecord()
    applied: list[list[float]] = [[], [], []]
    leases = [lease_of(record, str(number), applied[number]) for number in range(3)]
    await during(20.0, *(lease.keep for lease in leases))
    assert [shares[-1] for shares in applied] == pytest.approx([1 / 3] * 3, rel=0.11)
    assert all(lease.in_force() for lease in leases)


async def test_a_record_out_of_reach_is_not_a_renewal() -> None:
    """The share is zero one lease after the last one, and comes back with the record."""
    record, applied = SlowRecord(), []
    lease = lease_of(record, "1", applied)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lease.keep)
        await anyio.sleep(5.0)
        assert lease.in_force()
        record.delay_s = 60.0
        await anyio.sleep(TERMS.lease_s + 0.01)
        assert not lease.in_force()
        reached = record.reached
        await anyio.sleep(60.0)
        assert record.reached > reached  # it goes on trying
        record.delay_s = 0.01
        await anyio.sleep(TERMS.lease_s)
        assert lease.in_force()
        tasks.cancel_scope.cancel()


async def test_a_member_that_leaves_frees_its_share_at_once() -> None:
    """The other one has the whole at its next beats, not after a lease."""
    record, applied = SlowRecord(), []
    first, second = lease_of(record, "1", []), lease_of(record, "2", applied)
    await during(10.0, first.keep, second.keep)
    assert applied[-1] < 0.6
    await first.leave()
    assert not first.in_force()
    assert list(decode(record.content)) == ["2"]
    await during(2.0 * TERMS.beat_s, second.keep)
    assert applied[-1] == pytest.approx(1.0, abs=0.01)


async def test_nothing_is_granted_after_the_lease_while_the_process_stood_still() -> None:
    """A grant that was waiting when the process was stopped waits for a new share when it wakes: the end of a lease is
    seen at the grant, and not by a timer."""
    awake = True
    limiter = Limiter(100.0)
    limiter.lease(lambda: awake)
    await limiter.acquire(5.0)  # the bucket is empty
    granted = anyio.Event()

    async def ask() -> None:
        await limiter.acquire(5.0)
        granted.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.01)
        awake = False  # stopped in the middle of the wait; the lease has ended at the wake-up
        await anyio.sleep(60.0)
        assert not granted.is_set()
        awake = True
        limiter.look_again()
        with anyio.fail_after(1.0):
            await granted.wait()


async def test_a_member_that_comes_later_has_its_share_soon() -> None:
    """At most a beat until the others have lowered theirs, and a look later it has its own."""
    record = SlowRecord()
    applied: list[list[float]] = [[], [], [], []]
    leases = [lease_of(record, str(number), applied[number]) for number in range(4)]

    async def later() -> None:
        await anyio.sleep(30.0)
        await leases[3].keep()

    await during(30.0 + 1.1 * TERMS.beat_s + 0.5, *(lease.keep for lease in leases[:3]), later)
    assert applied[3][-1] == pytest.approx(0.25, abs=0.001)


async def test_a_member_that_waits_for_nobody_reads_only_to_renew() -> None:
    record = SlowRecord()
    await during(40.5, lease_of(record, "1", []).keep)
    assert record.reached <= 40 / (0.9 * TERMS.beat_s) + 1
