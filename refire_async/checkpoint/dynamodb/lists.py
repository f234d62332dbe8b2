"""A run's list of keys in a checkpoint table: the bytes of the file in chunks, read by ranges.

It is written once, by the process that creates the run, before the run is there. Each task reads its own part.
"""

from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from refire_async.checkpoint.dynamodb.places import EXPIRE_AFTER_S, partition
from refire_async.checkpoint.dynamodb.table import CheckpointTable, number
from refire_async.checkpoint.run_store import StoredKeys
from refire_async.errors import CheckpointRefusedError

CHUNK_BYTES = 64_000
"""Bytes of a chunk: some pages of keys, so that a read takes little more than its page."""

CACHED = 128
"""Chunks in memory: 8 MB."""

AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class SavedList:
    """The list of a run: the name of its chunks, its number of items, size in bytes and CRC."""

    name: str
    items: int
    size: int
    crc32: int


async def write_list(
    table: CheckpointTable, run_id: str, path: Path, saved: SavedList, now: Callable[[], float]
) -> None:
    """Write the file at `path` as the chunks of `saved`. Raises what the table raises."""
    expires = number(round(now() + EXPIRE_AFTER_S))
    limiter = anyio.Semaphore(AT_ONCE)

    async def write(chunk: int, part: bytes) -> None:
        try:
            fields = {"content": {"B": b64encode(part).decode()}, "expires_at": expires}
            await table.put(*_place(run_id, saved.name, chunk), fields)
        finally:
            limiter.release()

    async with anyio.create_task_group() as tasks, await anyio.open_file(path, "rb") as file:
        chunk = 0
        while part := await file.read(CHUNK_BYTES):
            await limiter.acquire()
            tasks.start_soon(write, chunk, part)
            chunk += 1


def stored_keys(table: CheckpointTable, run_id: str, saved: SavedList) -> StoredKeys:
    """The list for a source. Raises CheckpointRefusedError where a chunk is missing."""
    cache: OrderedDict[int, bytes] = OrderedDict()

    async def chunk_of(chunk: int) -> bytes:
        if chunk in cache:
            cache.move_to_end(chunk)
            return cache[chunk]
        item = await table.get(*_place(run_id, saved.name, chunk))
        if item is None:
            raise CheckpointRefusedError(
                f"a part of the list of keys of run {run_id} is missing in table {table.name}",
                "begin a new run",
            )
        cache[chunk] = b64decode(item["content"]["B"])
        if len(cache) > CACHED:
            cache.popitem(last=False)
        return cache[chunk]

    async def read(offset: int, length: int) -> bytes:
        first, last = offset // CHUNK_BYTES, (offset + length - 1) // CHUNK_BYTES
        text = b"".join([await chunk_of(chunk) for chunk in range(first, last + 1)])
        begin = offset - first * CHUNK_BYTES
        return text[begin : begin + length]

    return StoredKeys(saved.items, saved.size, saved.crc32, read)


def _place(run_id: str, name: str, chunk: int) -> tuple[str, str]:
    return partition(run_id, chunk), f"keys#{name}#{chunk:06}"
