"""The virtual-time loop that the pacing and pipeline tests use."""

import time

import anyio
import pytest
from aiolimiter import AsyncLimiter
from anyio import to_thread

from tests.support.virtual_time import START_S, THREAD_S, VIRTUAL_TIME, StuckError, run_virtual


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


async def test_a_sleep_advances_the_clock_by_its_length_at_once():
    before, real = anyio.current_time(), time.perf_counter()
    await anyio.sleep(30 * 86_400)
    assert anyio.current_time() - before == pytest.approx(30 * 86_400)
    assert time.perf_counter() - real < 60


async def test_sleepers_wake_in_the_order_of_their_deadlines():
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (5.0, 1.0, 300.0, 0.0):
            tasks.start_soon(sleep, seconds)
    assert woken == [0.0, 1.0, 5.0, 300.0]


async def test_work_for_a_thread_runs_here_and_ends_before_a_cancellation():
    """As with real threads, the task waits for work that has begun."""
    done: list[int] = []
    before = anyio.current_time()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                await to_thread.run_sync(done.append, 1)
                await anyio.sleep(1)
                done.append(2)

            tasks.start_soon(work)
            await anyio.sleep(THREAD_S / 2)
            scope.cancel()
    assert done == [1]
    assert anyio.current_time() - before == pytest.approx(THREAD_S, abs=1e-5)


async def test_rounding_errors_do_not_stop_the_clock():
    """A timer that is closer than the clock's own resolution must still be reached."""
    bucket = AsyncLimiter(0.05, 0.05)
    before = anyio.current_time()
    for _ in range(1_000):
        await bucket.acquire(0.05 / 3)
    assert anyio.current_time() - before == pytest.approx(1_000 * 0.05 / 3 - 0.05, abs=0.001)


def test_a_wait_without_end_is_an_error_and_not_a_hang():
    async def main() -> None:
        await anyio.Event().wait()

    with pytest.raises(StuckError):
        run_virtual(main)


def test_every_loop_begins_at_the_same_time_with_real_threads_restored_after_it():
    real = to_thread.run_sync

    async def main() -> float:
        assert to_thread.run_sync is not real
        return anyio.current_time()

    assert run_virtual(main) == pytest.approx(START_S)
    assert to_thread.run_sync is real
