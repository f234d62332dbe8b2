"""Objects in S3, read from their beginning to their end whatever happens to a connection on the way."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from refire_async.aws.botocore_errors import failed_request
from refire_async.aws.http_backend import CALL_S
from refire_async.errors import RefusedError, UsageError

PIECE = 1 << 20
"""Bytes of an object, or of a file, that are in memory at a time."""

MOST_FAILURES = 6
"""Connections lost one after the other, each before it gave `_LEAST` bytes, after which reading is given up."""

_LEAST = 64 * 1024
"""Bytes that a connection which works gives in `CALL_S` seconds: 2 KB a second."""

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


def parse_prefix(text: str) -> ObjectName:
    """`s3://bucket/prefix` or `s3://bucket` as bucket and the beginning of keys. Raises UsageError."""
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://") or not bucket:
        raise UsageError(f"{text} names no bucket of S3", "write s3://bucket/prefix")
    return ObjectName(bucket, key)


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in a list: `size` in bytes."""

    name: ObjectName
    size: int


async def list_objects(client: Any, prefix: ObjectName) -> AsyncGenerator[ListedObject]:
    """The objects whose keys begin with `prefix.key`, in ascending order of keys (UTF-8).

    `client` is an aioboto3 client of S3. Folders that the console makes (empty objects that end with `/`) are left out.

    Raises:
        UsageError: there is no such bucket.
        RefusedError: no permission; the network fails for good; an answer that is not S3's.
    """
    request = {"Bucket": prefix.bucket, "Prefix": prefix.key}
    last = b""
    while True:
        page = await _call(client.list_objects_v2, prefix, request, "allow s3:ListBucket on the bucket")
        for entry in page.get("Contents") or ():
            key, size = entry.get("Key"), entry.get("Size")
            # Without an end, or in another order, this would not be a list.
            if key is None or size is None or not key.startswith(prefix.key) or key.encode() <= last:
                raise _nonsense(prefix)
            last = key.encode()
            if size or not key.endswith("/"):
                yield ListedObject(ObjectName(prefix.bucket, key), size)
        token = page.get("NextContinuationToken")
        if not page.get("IsTruncated"):
            return
        if not token or not page.get("Contents"):
            raise _nonsense(prefix)
        request["ContinuationToken"] = token


async def object_bytes(client: Any, name: ObjectName, limit: int) -> bytes:
    """A whole object. Raises what `object_pieces` does, and RefusedError for one of more than `limit` bytes."""
    pieces: list[bytes] = []
    size = 0
    async with aclosing(object_pieces(client, name)) as found:
        async for piece in found:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise RefusedError(
                    f"{name} has more than {limit} bytes", "check that the prefix is the right one"
                )
    return b"".join(pieces)


async def object_pieces(client: Any, name: ObjectName) -> AsyncGenerator[bytes]:
    """The bytes of one version of the object. `client` is an aioboto3 client of S3.

    A lost connection is made again and goes on where it was, by a range of the same ETag.

    Raises:
        UsageError: there is no such object.
        RefusedError: no permission; replaced by another object meanwhile; the network fails for good.
    """
    request = {"Bucket": name.bucket, "Key": name.key}
    offset, failures, size = 0, 0, None
    while size is None or offset < size:
        asked = request if size is None else {**request, "Range": f"bytes={offset}-"}
        reply = await _call(client.get_object, name, asked)
        with closing(reply["Body"]) as body:
            if size is None:
                size, version = _version(reply, name)
                request |= version
            elif not str(reply.get("ContentRange", "")).startswith(f"bytes {offset}-"):
                raise _nonsense(name)
            begun_at = offset
            try:
                async with aclosing(_read(body)) as pieces:
                    async for piece in pieces:
                        offset += len(piece)
                        if offset > size:
                            raise _nonsense(name)
                        yield piece
            except _LOST as error:
                failures = 1 if offset - begun_at >= _LEAST else failures + 1
                if failures == MOST_FAILURES:
                    raise RefusedError(f"{name} cannot be read: {_why(error)}", "try again") from error
                await anyio.sleep(0.2 * 2**failures)
            else:
                if begun_at == offset < size:
                    raise _nonsense(name)


def _version(reply: dict[str, Any], name: ObjectName) -> tuple[int, dict[str, str]]:
    """The size of the object in bytes, and what in a request names this version of it. Raises RefusedError."""
    size, tag = reply.get("ContentLength"), reply.get("ETag")
    if size is None or tag is None:
        raise _nonsense(name)
    version = {"IfMatch": str(tag)}
    if "VersionId" in reply:
        version["VersionId"] = str(reply["VersionId"])
    return int(size), version


async def _read(body: Any) -> AsyncGenerator[bytes]:
    """What comes over one connection.

    Raises TimeoutError where `CALL_S` seconds of waiting bring less than `_LEAST` bytes: a server that sends a byte now
    and then is as good as one that sends none.
    """
    received, waited_s = 0, 0.0
    while True:
        asked_at = anyio.current_time()
        with anyio.fail_after(max(CALL_S - waited_s, 0)):
            piece = await body.read(PIECE)
        if not piece:
            return
        received, waited_s = received + len(piece), waited_s + anyio.current_time() - asked_at
        if received >= _LEAST:
            received, waited_s = 0, 0.0
        yield piece


async def _call(
    operation: Any,
    name: ObjectName,
    request: dict[str, str],
    if_denied: str = "allow s3:GetObject on it",
) -> dict[str, Any]:
    """The client tries again by itself, so what comes back from it is final."""
    try:
        with anyio.fail_after(CALL_S):
            reply: dict[str, Any] = await operation(**request)
    except ClientError as error:
        raise _refusal(name, str(error.response.get("Error", {}).get("Code", "")), if_denied) from error
    except ResponseParserError as error:
        raise _nonsense(name) from error
    except _LOST as error:
        raise RefusedError(f"{name} cannot be read: {_why(error)}", "check the network") from error
    return reply


def _why(error: Exception) -> str:
    """Why in a few words: those of our HTTP where it was that."""
    failed = failed_request(error)
    if failed is not None:
        return failed.message
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def _nonsense(name: ObjectName) -> RefusedError:
    return RefusedError(
        f"{name} cannot be read: the answer is not what S3 sends",
        "check AWS_ENDPOINT_URL_S3 and the proxy settings",
    )


def _refusal(name: ObjectName, code: str, if_denied: str) -> UsageError | RefusedError:
    match code:
        case "404" | "NoSuchKey" | "NoSuchBucket" | "NotFound":
            return UsageError(f"{name} is not there", "check bucket and key")
        case "412" | "PreconditionFailed":
            return RefusedError(f"{name} was replaced while it was read", "try again when it is complete")
        case "403" | "AccessDenied":
            return RefusedError(f"no permission to read {name}", if_denied)
        case _:
            return RefusedError(f"{name} cannot be read: {code or 'refused'}", "check bucket, key and region")
