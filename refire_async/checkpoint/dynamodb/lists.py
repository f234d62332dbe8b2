"""A run's list of keys in its blobs: the bytes of the file in chunks, read by ranges.

It is written once, by the process that creates the run, before the run is there. Each task reads its own part.
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import anyio

from refire_async.checkpoint.dynamodb.blobs import Blobs
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


async def write_list(blobs: Blobs, path: Path, saved: SavedList) -> None:
    """Write the file at `path` as the chunks of `saved`. Raises StoppedError."""
    limiter = anyio.Semaphore(AT_ONCE)

    async def write(chunk: int, part: bytes) -> None:
        try:
            await blobs.write(chunk, _name(saved.name, chunk), part)
        finally:
            limiter.release()

    async with anyio.create_task_group() as tasks, await anyio.open_file(path, "rb") as file:
        chunk = 0
        while part := await file.read(CHUNK_BYTES):
            await limiter.acquire()
            tasks.start_soon(write, chunk, part)
            chunk += 1


def stored_keys(blobs: Blobs, saved: SavedList) -> StoredKeys:
    """The list for a source. Raises CheckpointRefusedError where a chunk is missing."""
    cache: OrderedDict[int, bytes] = OrderedDict()

    async def chunk_of(chunk: int) -> bytes:
        if chunk in cache:
            cache.move_to_end(chunk)
            return cache[chunk]
        content = await blobs.read(chunk, _name(saved.name, chunk))
        if content is None:
            raise CheckpointRefusedError("a part of the run's list of keys is missing", "begin a new run")
        cache[chunk] = content
        if len(cache) > CACHED:
            cache.popitem(last=False)
        return content

    async def read(offset: int, length: int) -> bytes:
        first, last = offset // CHUNK_BYTES, (offset + length - 1) // CHUNK_BYTES
        text = b"".join([await chunk_of(chunk) for chunk in range(first, last + 1)])
        begin = offset - first * CHUNK_BYTES
        return text[begin : begin + length]

    return StoredKeys(saved.items, saved.size, saved.crc32, read)


def _name(name: str, chunk: int) -> str:
    return f"keys#{name}#{chunk:06}"
