"""Immutable bytes under a name, which a run only adds: in chunks in the checkpoint table, or as objects in S3."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, Protocol

import anyio
import orjson

from refire_async.aws.objects import (
    ObjectName,
    delete_object,
    list_objects,
    object_bytes,
    parse_prefix,
    put_object,
)
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.checkpoint.dynamodb.places import EXPIRE_AFTER_S, partition, partitions
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Fields, for_each, number
from refire_async.errors import RefusedError, StoppedError, UsageError

CHUNK_BYTES = 380_000
"""Bytes of a blob in one item: an item ends at 400 KB with its names (DynamoDB Developer Guide: Quotas)."""

MAX_BYTES = 64 << 20
"""Most bytes of an object: no page has more."""

_PREFIX = "blob#"


class Blob(NamedTuple):
    """A blob with its name, and the attributes that were written with it."""

    name: str
    content: bytes
    fields: Fields


class Blobs(Protocol):
    """The blobs of one run. A name is written once: writing it again with the same bytes does no harm."""

    async def write(self, place: int, name: str, content: bytes, fields: Fields | None = None) -> None:
        """Write `content` under `name`, beside the segment (or other number) `place`, with `fields`.

        Raises StoppedError.
        """

    async def read(self, place: int, name: str) -> bytes | None:
        """The bytes under `name`; None if they are not all there. Raises CheckpointRefusedError or StoppedError."""

    def all(self, prefix: str) -> AsyncIterator[Blob]:
        """The blobs whose names begin with `prefix`, one in memory at a time; those that are not whole are left out.

        Raises CheckpointRefusedError or StoppedError.
        """

    async def remove(self) -> int:
        """Remove all blobs that are not in the checkpoint table; how many there were. Raises StoppedError."""


@asynccontextmanager
async def open_blobs(
    table: CheckpointTable, run_id: str, archive: str | None, services: Services, now: Callable[[], float]
) -> AsyncIterator[Blobs]:
    """The blobs of a run: below `archive` (`s3://bucket/prefix`), or in the table if there is none.

    `now` is the time in seconds since the epoch. Raises RefusedError if S3 cannot be used.
    """
    if archive is None:
        yield TableBlobs(table, run_id, now)
        return
    try:
        async with services.connect("s3") as client:
            yield ObjectBlobs(client, folder_of(archive, run_id))
    except UnansweredError as error:
        raise RefusedError(str(error), "check the endpoint of S3, or leave out --archive") from error


def folder_of(archive: str, run_id: str) -> ObjectName:
    """Bucket and prefix of the objects of a run. Raises UsageError if `archive` is no prefix."""
    found = parse_prefix(archive)
    return ObjectName(found.bucket, f"{found.key.rstrip('/')}/{run_id}/".lstrip("/"))


class TableBlobs:
    """Blobs in the checkpoint table. See `Blobs`."""

    def __init__(self, table: CheckpointTable, run_id: str, now: Callable[[], float]) -> None:
        self._table = table
        self._run_id = run_id
        self._now = now

    async def write(self, place: int, name: str, content: bytes, fields: Fields | None = None) -> None:
        """See `Blobs.write`."""
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
        """See `Blobs.read`."""
        parts: list[bytes] = []
        while True:
            item = await self._table.get(partition(self._run_id, place), _name(name, len(parts)))
            if item is None:
                return None
            parts.append(b64decode(item["content"]["B"]))
            if len(parts) == int(item["chunks"]["N"]):
                return b"".join(parts)

    async def all(self, prefix: str) -> AsyncIterator[Blob]:
        """See `Blobs.all`."""
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

    async def remove(self) -> int:
        """See `Blobs.remove`."""
        return 0


def _name(name: str, chunk: int) -> str:
    return f"{_PREFIX}{name}#{chunk:06}"


class ObjectBlobs:
    """Blobs as objects of S3: a line with their fields as JSON, then the content. See `Blobs`."""

    def __init__(self, client: Any, folder: ObjectName) -> None:
        """`client` is an aioboto3 client of S3."""
        self._client = client
        self._folder = folder

    def _name(self, place: int, name: str) -> ObjectName:
        return ObjectName(self._folder.bucket, f"{partition(self._folder.key.rstrip('/'), place)}/{name}")

    async def write(self, place: int, name: str, content: bytes, fields: Fields | None = None) -> None:
        """See `Blobs.write`."""
        header = orjson.dumps(fields or {}, option=orjson.OPT_APPEND_NEWLINE)
        with _stopping():
            await put_object(self._client, self._name(place, name), header + content)

    async def read(self, place: int, name: str) -> bytes | None:
        """See `Blobs.read`."""
        with _stopping():
            try:
                whole = await object_bytes(self._client, self._name(place, name), MAX_BYTES)
            except UsageError:
                return None
        return whole.partition(b"\n")[2]

    async def all(self, prefix: str) -> AsyncIterator[Blob]:
        """See `Blobs.all`."""
        for place in partitions(self._folder.key.rstrip("/")):
            beginning = ObjectName(self._folder.bucket, f"{place}/{prefix}")
            with _stopping():
                async for found in list_objects(self._client, beginning):
                    whole = await object_bytes(self._client, found.name, MAX_BYTES)
                    header, _, content = whole.partition(b"\n")
                    fields = orjson.loads(header)
                    if not isinstance(fields, Mapping):
                        raise TypeError(f"{found.name} has no fields")
                    yield Blob(found.name.key.removeprefix(f"{place}/"), content, fields)

    async def remove(self) -> int:
        """See `Blobs.remove`."""
        with _stopping():
            return await for_each(
                list_objects(self._client, self._folder),
                lambda found: delete_object(self._client, found.name),
            )


@contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    except (RefusedError, UsageError) as error:
        raise StoppedError(f"the archive of the run: {error.message}", error.action) from error
