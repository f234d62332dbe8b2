"""Immutable bytes under a name, in chunks that fit into items."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import anyio

from refire_async.checkpoint.dynamodb.places import EXPIRE_AFTER_S, partition, partitions
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Fields, number

CHUNK_BYTES = 380_000
"""Bytes of a blob in one item: an item ends at 400 KB with its names (DynamoDB Developer Guide: Quotas)."""

_PREFIX = "blob#"


class Blob(NamedTuple):
    """A blob with its name, and the attributes that were written with it."""

    name: str
    content: bytes
    fields: Fields


class Blobs:
    """The blobs of one run. A name is written once: writing it again with the same bytes does no harm."""

    def __init__(self, table: CheckpointTable, run_id: str, now: Callable[[], float]) -> None:
        """`now` is the time in seconds since the epoch."""
        self._table = table
        self._run_id = run_id
        self._now = now

    async def write(self, place: int, name: str, content: bytes, fields: Fields | None = None) -> None:
        """Write `content` under `name`, beside the segment (or other number) `place`, with `fields`."""
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)] or [b""]
        expires = number(round(self._now() + EXPIRE_AFTER_S))

        async def write_one(chunk: int, part: bytes) -> None:
            await self._table.put(
                partition(self._run_id, place),
                _name(name, chunk),
                {
                    "content": {"B": b64encode(part).decode()},
                    "chunks": number(len(chunks)),
                    "expires_at": expires,
                    **({} if chunk or fields is None else fields),
                },
            )

        if len(chunks) == 1:
            await write_one(0, chunks[0])
            return
        async with anyio.create_task_group() as tasks:
            for chunk, part in enumerate(chunks):
                tasks.start_soon(write_one, chunk, part)

    async def read(self, place: int, name: str) -> bytes | None:
        """The bytes under `name`; None if they are not all there."""
        parts: list[bytes] = []
        while True:
            item = await self._table.get(partition(self._run_id, place), _name(name, len(parts)))
            if item is None:
                return None
            parts.append(b64decode(item["content"]["B"]))
            if len(parts) == int(item["chunks"]["N"]):
                return b"".join(parts)

    async def all(self, prefix: str) -> AsyncIterator[Blob]:
        """The blobs whose names begin with `prefix`, one in memory at a time; those that are not whole are left out."""
        for place in partitions(self._run_id):
            name, parts, fields = "", list[bytes](), dict[str, Any]()
            async for item in self._table.query(place, _PREFIX + prefix):
                found, _, chunk = item["name"]["S"].removeprefix(_PREFIX).rpartition("#")
                if found != name:
                    name, parts, fields = found, [], dict(item)
                if int(chunk) == len(parts):
                    parts.append(b64decode(item["content"]["B"]))
                if len(parts) == int(item["chunks"]["N"]):
                    yield Blob(name, b"".join(parts), fields)


def _name(name: str, chunk: int) -> str:
    return f"{_PREFIX}{name}#{chunk:06}"
