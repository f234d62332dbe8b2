"""Objects in S3, read from their beginning to their end whatever happens to a connection on the way."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
from botocore.exceptions import BotoCoreError, ClientError

from refire_async.errors import RefusedError, UsageError

PIECE = 1 << 20
"""Bytes of an object, or of a file, that are in memory at a time."""

MOST_FAILURES = 6
"""Connections lost without a byte between them, after which reading is given up."""

_LOST = (aiohttp.ClientError, BotoCoreError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """Where an object is. As text: `s3://bucket/key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def parse_object_name(text: str) -> ObjectName:
    """`s3://bucket/key` as its parts. Raises UsageError."""
    bucket, slash, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://") or not bucket or not slash:
        raise UsageError(f"{text} names nothing in S3", "write s3://bucket/key")
    return ObjectName(bucket, key)


async def object_pieces(client: Any, name: ObjectName) -> AsyncIterator[bytes]:
    """The bytes of one version of the object. `client` is an aioboto3 client of S3.

    A lost connection is made again and goes on where it was, by a range of the same ETag.

    Raises:
        UsageError: there is no such object.
        RefusedError: no permission; replaced by another object meanwhile; the network fails for good.
    """
    where = {"Bucket": name.bucket, "Key": name.key}
    offset, failures = 0, 0
    reply = await _call(client.get_object, name, where)
    size = reply["ContentLength"]
    if "VersionId" in reply:
        where["VersionId"] = reply["VersionId"]
    where["IfMatch"] = reply["ETag"]
    while True:
        body = reply["Body"]
        try:
            while piece := await body.read(PIECE):
                offset += len(piece)
                failures = 0
                yield piece
        except _LOST as error:
            failures += 1
            if failures == MOST_FAILURES:
                raise RefusedError(f"{name} cannot be read: {type(error).__name__}", "try again") from error
            await anyio.sleep(0.2 * 2**failures)
        finally:
            body.close()
        if offset >= size:
            return
        reply = await _call(client.get_object, name, {**where, "Range": f"bytes={offset}-"})


async def _call(operation: Any, name: ObjectName, request: dict[str, str]) -> dict[str, Any]:
    """The client tries again by itself, so what comes back from it is final."""
    try:
        reply: dict[str, Any] = await operation(**request)
    except ClientError as error:
        raise _refusal(name, str(error.response.get("Error", {}).get("Code", ""))) from error
    except _LOST as error:
        raise RefusedError(f"{name} cannot be read: {type(error).__name__}", "check the network") from error
    return reply


def _refusal(name: ObjectName, code: str) -> UsageError | RefusedError:
    match code:
        case "404" | "NoSuchKey" | "NoSuchBucket" | "NotFound":
            return UsageError(f"{name} is not there", "check bucket and key")
        case "412" | "PreconditionFailed":
            return RefusedError(f"{name} was replaced while it was read", "try again when it is complete")
        case "403" | "AccessDenied":
            return RefusedError(f"no permission to read {name}", "allow s3:GetObject on it")
        case _:
            return RefusedError(f"{name} cannot be read: {code or 'refused'}", "check bucket, key and region")
