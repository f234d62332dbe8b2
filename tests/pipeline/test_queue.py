"""The work queue: whoever waits is woken when there is something to do, and only then told that there is nothing."""

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


async def test_one_page_gives_work_to_everybody_who_waits():
    """A worker that takes a batch and leaves some wakes the next one."""
    queue, begun = WorkQueue(lambda _: 10), []

    async def worker() -> None:
        while await queue.take() is not None:
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


async def test_a_batch_that_waits_is_taken_at_its_time_though_nothing_else_happens():
    queue = WorkQueue(lambda _: 10)
    queue.add_page(filled(1, 10))
    batch = await queue.take()
    assert batch is not None
    queue.put_back(batch, 5.0)
    queue.done()
    before = anyio.current_time()
    assert await queue.take() is batch
    assert anyio.current_time() - before == pytest.approx(5.0, abs=0.001)


async def test_somebody_watches_for_a_batch_that_waits_while_others_are_busy():
    """The one who knew its time is given other work; another one takes over the watch."""
    queue = WorkQueue(lambda _: 10)
    taken: dict[str, float] = {}
    begin = anyio.current_time()

    async def worker() -> None:
        while (batch := await queue.take()) is not None:
            taken[batch.items[0]["pk"]["S"]] = anyio.current_time() - begin
            await anyio.sleep(60.0 if batch.attempts == 0 else 0.0)
            queue.done()

    queue.add_page(filled(1, 10))
    first = await queue.take()
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


async def test_the_end_is_told_when_nothing_can_come_back_any_more():
    """Closed is not enough: what is handed out may be put back."""
    queue, ended = WorkQueue(lambda _: 10), []
    queue.add_page(filled(1, 10))
    batch = await queue.take()
    assert batch is not None

    async def wait() -> None:
        assert await queue.take() is batch
        queue.done()
        assert await queue.take() is None
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


async def test_a_stop_ends_every_wait_and_leaves_the_work_to_be_drained():
    queue, told = WorkQueue(lambda _: 4), []

    async def wait() -> None:
        told.append(await queue.take())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        await anyio.sleep(1.0)
        queue.stop()
    assert told == [None, None, None]
    one = filled(1, 10)
    queue.add_page(one)
    assert queue.stopped
    assert await queue.take() is None
    assert queue.drain() == {1: (one, one.items)}


@examples(20, 300)
@given(st.lists(st.integers(1, 30), max_size=6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 3))
def test_every_item_is_handed_out_until_it_is_settled(
    sizes: list[int], workers: int, size: int, repeats: int
):
    """With batches that fail a few times and wait in between; all workers end."""

    async def main() -> list[str]:
        queue, settled = WorkQueue(lambda _: size), []

        async def worker() -> None:
            while (batch := await queue.take()) is not None:
                await anyio.sleep(0.1)
                if batch.attempts < repeats:
                    batch.attempts += 1
                    queue.put_back(batch, 0.3 * batch.attempts)
                else:
                    settled.extend(one["pk"]["S"] for one in batch.items)
                queue.done()

        async with anyio.create_task_group() as tasks:
            for _ in range(workers):
                tasks.start_soon(worker)
            for number, items in enumerate(sizes):
                queue.add_page(filled(number, items, segment=number % 3))
                await anyio.sleep(0.05)
            queue.close()
        return settled

    expected = sorted(f"{number}-{n}" for number, items in enumerate(sizes) for n in range(items))
    assert sorted(run_virtual(main)) == expected
