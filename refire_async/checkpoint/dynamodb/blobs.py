"""Immutable bytes under a name, in chunks that fit into items."""

from base64 import b64decode, b64encode
from collections.abc import Callable

import anyio

from refire_async.checkpoint.dynamodb.places import EXPIRE_AFTER_S, SHARDS
from refire_async.checkpoint.dynamodb.table import CheckpointTable, number

CHUNK_BYTES = 380_000
"""Bytes of a blob in one item: an item ends at 400 KB with its names (DynamoDB Developer Guide: Quotas)."""


class Blobs:
    """The blobs of one run. A name is written once: writing it again with the same bytes does no harm."""

    def __init__(self, table: CheckpointTable, run_id: str, now: Callable[[], float]) -> None:
        """`now` is the time in seconds since the epoch."""
        self._table = table
        self._run_id = run_id
        self._now = now

    async def write(self, place: int, name: str, content: bytes) -> None:
        """Write `content` under `name`, beside the segment (or other number) `place`."""
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)] or [b""]
        expires = number(round(self._now() + EXPIRE_AFTER_S))

        async def write_one(chunk: int, part: bytes) -> None:
            await self._table.put(
                self._partition(place),
                _name(name, chunk),
                {
                    "content": {"B": b64encode(part).decode()},
                    "chunks": number(len(chunks)),
                    "expires_at": expires,
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
            item = await self._table.get(self._partition(place), _name(name, len(parts)))
            if item is None:
                return None
            parts.append(b64decode(item["content"]["B"]))
            if len(parts) == int(item["chunks"]["N"]):
                return b"".join(parts)

    def _partition(self, place: int) -> str:
        return f"{self._run_id}/{place % SHARDS:02}"


def _name(name: str, chunk: int) -> str:
    return f"blob#{name}#{chunk:06}"
