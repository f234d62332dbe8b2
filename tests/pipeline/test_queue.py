"""The work queue: it wakes a waiting worker for every batch, and ends when no batch can come any more."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pipeline.queue import WorkQueue
from tests.support.checkpoints import item, page
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual


def filled(number: int, items: int, segment: int = 0):
    return page(number, [item(f"{number}-{n}") for n in range(items)], segment=segment)


async def test_one_page_wakes_all_waiting_workers():
    """A worker that gets a batch while others are left wakes the next worker."""
    queue, begun = WorkQueue(lambda _: 10), []

    async def worker() -> None:
        while await queue.get() is not None:
            begun.append(anyio.current_time())
            await anyio.sleep(1.0)
            queue.done()

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(worker)
        await anyio.sleep(0.5)
        queue.add_page(filled(1, 80))
        before = anyio.current_time()
        await anyio.sleep(0.5)
        queue.close()
    assert len(begun) == 8
    assert max(begun) - before < 0.001


async def test_a_delayed_batch_is_handed_out_at_its_time_without_another_event():
    queue = WorkQueue(lambda _: 10)
    queue.add_page(filled(1, 10))
    batch = await queue.get()
    assert batch is not None
    queue.put_back(batch, 5.0)
    queue.done()
    before = anyio.current_time()
    assert await queue.get() is batch
    assert anyio.current_time() - before == pytest.approx(5.0, abs=0.001)


async def test_an_idle_worker_waits_for_a_delayed_batch_while_others_are_busy():
    """The worker that waited for it gets another batch first; the other worker waits instead."""
    queue = WorkQueue(lambda _: 10)
    taken: dict[str, float] = {}
    begin = anyio.current_time()

    async def worker() -> None:
        while (batch := await queue.get()) is not None:
            taken[batch.items[0]["pk"]["S"]] = anyio.current_time() - begin
            await anyio.sleep(60.0 if batch.attempts == 0 else 0.0)
            queue.done()

    queue.add_page(filled(1, 10))
    first = await queue.get()
    assert first is not None
    first.attempts = 1
    queue.put_back(first, 5.0)
    queue.done()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker)
        tasks.start_soon(worker)
        await anyio.sleep(1.0)
        queue.add_page(filled(2, 10, segment=1))
        queue.close()
    assert taken == {"2-0": pytest.approx(1.0, abs=0.01), "1-0": pytest.approx(5.0, abs=0.01)}


async def test_the_queue_ends_when_no_batch_can_come_back():
    """A closed queue does not end while a batch is handed out, because it may be put back."""
    queue, ended = WorkQueue(lambda _: 10), []
    queue.add_page(filled(1, 10))
    batch = await queue.get()
    assert batch is not None

    async def wait() -> None:
        assert await queue.get() is batch
        queue.done()
        assert await queue.get() is None
        ended.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        queue.close()
        await anyio.sleep(3.0)
        assert not ended
        queue.put_back(batch)
        queue.done()
        await anyio.sleep(0.1)
        assert ended


async def test_a_stop_ends_every_wait_and_keeps_the_work_for_drain():
    queue, results = WorkQueue(lambda _: 4), []

    async def wait() -> None:
        results.append(await queue.get())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        await anyio.sleep(1.0)
        queue.stop()
    assert results == [None, None, None]
    one = filled(1, 10)
    queue.add_page(one)
    assert queue.stopped
    assert await queue.get() is None
    assert queue.drain() == {1: (one, one.items)}


@examples(20, 300)
@given(st.lists(st.integers(1, 30), max_size=6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 3))
def test_every_item_is_handed_out_until_it_is_written(
    sizes: list[int], workers: int, size: int, repeats: int
):
    """Batches fail several times with delays in between; all workers end."""

    async def main() -> list[str]:
        queue, written = WorkQueue(lambda _: size), []

        async def worker() -> None:
            while (batch := await queue.get()) is not None:
                await anyio.sleep(0.1)
                if batch.attempts < repeats:
                    batch.attempts += 1
                    queue.put_back(batch, 0.3 * batch.attempts)
                else:
                    written.extend(one["pk"]["S"] for one in batch.items)
                queue.done()

        async with anyio.create_task_group() as tasks:
            for _ in range(workers):
                tasks.start_soon(worker)
            for number, items in enumerate(sizes):
                queue.add_page(filled(number, items, segment=number % 3))
                await anyio.sleep(0.05)
            queue.close()
        return written

    expected = sorted(f"{number}-{n}" for number, items in enumerate(sizes) for n in range(items))
    assert sorted(run_virtual(main)) == expected
