"""The shape of the usual script: scanners fill a bounded queue, workers empty it. What a worker does is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

QUEUE_ITEMS = 1_000

Item = dict[str, Any]


async def drain(
    pages: list[AsyncIterator[list[Item]]],
    workers: int,
    handle: Callable[[list[Item]], Awaitable[None]],
    size: int,
) -> None:
    """Read all `pages` at once and hand their items to `workers` tasks, `size` at a time."""
    queue: asyncio.Queue[list[Item] | None] = asyncio.Queue(max(1, QUEUE_ITEMS // size))

    async def scan(source: AsyncIterator[list[Item]]) -> None:
        async for items in source:
            for start in range(0, len(items), size):
                await queue.put(items[start : start + size])

    async def work() -> None:
        while (items := await queue.get()) is not None:
            await handle(items)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(work())
        await asyncio.gather(*(scan(source) for source in pages))
        for _ in range(workers):
            await queue.put(None)
