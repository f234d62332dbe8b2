"""Objects in S3: read from beginning to end, across lost connections; listed, written and removed."""

from collections.abc import AsyncGenerator, Mapping
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

CHUNK_BYTES = 1 << 20
"""Bytes of an object, or of a file, in memory at a time."""

MAX_FAILURES = 6
"""Connections lost in a row, each before it delivered `_MIN_PROGRESS_BYTES`, after which the read fails."""

_MIN_PROGRESS_BYTES = 64 * 1024
"""Bytes that a working connection delivers in `CALL_S` seconds: 2 KB/s."""

_LOST = (aiohttp.ClientError, BotoCoreError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """Bucket and key of an object. As text: `s3://bucket/key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def parse_object_name(text: str) -> ObjectName:
    """Parse `s3://bucket/key`. Raises UsageError."""
    bucket, slash, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://") or not bucket or not slash:
        raise UsageError(f"{text} is not the name of an object in S3", "write s3://bucket/key")
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
                raise _misshapen(prefix)
            last = key.encode()
            if size or not key.endswith("/"):
                yield ListedObject(ObjectName(prefix.bucket, key), size)
        token = page.get("NextContinuationToken")
        if not page.get("IsTruncated"):
            return
        if not token or not page.get("Contents"):
            raise _misshapen(prefix)
        request["ContinuationToken"] = token


async def object_bytes(client: Any, name: ObjectName, limit: int) -> bytes:
    """A whole object. Raises what `object_chunks` does, and RefusedError for one of more than `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    async with aclosing(object_chunks(client, name)) as found:
        async for chunk in found:
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise RefusedError(
                    f"{name} has more than {limit} bytes", "check that the prefix is the right one"
                )
    return b"".join(chunks)


async def put_object(client: Any, name: ObjectName, content: bytes) -> None:
    """Write a whole object. Raises UsageError (no such bucket) or RefusedError."""
    request = {"Bucket": name.bucket, "Key": name.key, "Body": content}
    await _call(client.put_object, name, request, "allow s3:PutObject on it", "written")


async def delete_object(client: Any, name: ObjectName) -> None:
    """Remove an object, if it is there. Raises UsageError (no such bucket) or RefusedError."""
    request = {"Bucket": name.bucket, "Key": name.key}
    await _call(client.delete_object, name, request, "allow s3:DeleteObject on it", "removed")


async def object_chunks(client: Any, name: ObjectName) -> AsyncGenerator[bytes]:
    """The bytes of one version of the object, in chunks. `client` is an aioboto3 client of S3.

    After a lost connection, a new one continues at the same position with a range request for the same ETag.

    Raises:
        UsageError: there is no such object.
        RefusedError: no permission; the object was replaced meanwhile; the network fails repeatedly.
    """
    request = {"Bucket": name.bucket, "Key": name.key}
    offset, failures, size = 0, 0, None
    while size is None or offset < size:
        current = request if size is None else {**request, "Range": f"bytes={offset}-"}
        reply = await _call(client.get_object, name, current)
        with closing(reply["Body"]) as body:
            if size is None:
                size, version = _version(reply, name)
                request |= version
            elif not str(reply.get("ContentRange", "")).startswith(f"bytes {offset}-"):
                raise _misshapen(name)
            begun_at = offset
            try:
                async with aclosing(_read(body)) as chunks:
                    async for chunk in chunks:
                        offset += len(chunk)
                        if offset > size:
                            raise _misshapen(name)
                        yield chunk
            except _LOST as error:
                failures = 1 if offset - begun_at >= _MIN_PROGRESS_BYTES else failures + 1
                if failures == MAX_FAILURES:
                    raise RefusedError(f"{name} cannot be read: {_why(error)}", "try again") from error
                await anyio.sleep(0.2 * 2**failures)
            else:
                if begun_at == offset < size:
                    raise _misshapen(name)


def _version(reply: dict[str, Any], name: ObjectName) -> tuple[int, dict[str, str]]:
    """The size of the object in bytes, and the request parameters for this version. Raises RefusedError."""
    size, tag = reply.get("ContentLength"), reply.get("ETag")
    if size is None or tag is None:
        raise _misshapen(name)
    version = {"IfMatch": str(tag)}
    if "VersionId" in reply:
        version["VersionId"] = str(reply["VersionId"])
    return int(size), version


async def _read(body: Any) -> AsyncGenerator[bytes]:
    """The chunks of one connection.

    Raises:
        TimeoutError: `CALL_S` seconds of waiting delivered fewer than `_MIN_PROGRESS_BYTES`. A server that sends a byte
            from time to time counts as one that does not answer.
    """
    received, waited_s = 0, 0.0
    while True:
        asked_at = anyio.current_time()
        with anyio.fail_after(max(CALL_S - waited_s, 0)):
            chunk = await body.read(CHUNK_BYTES)
        if not chunk:
            return
        received, waited_s = received + len(chunk), waited_s + anyio.current_time() - asked_at
        if received >= _MIN_PROGRESS_BYTES:
            received, waited_s = 0, 0.0
        yield chunk


async def _call(
    operation: Any,
    name: ObjectName,
    request: Mapping[str, Any],
    if_denied: str = "allow s3:GetObject on it",
    done: str = "read",
) -> dict[str, Any]:
    """Call `operation`. The client retries by itself, so its error is final."""
    try:
        with anyio.fail_after(CALL_S):
            reply: dict[str, Any] = await operation(**request)
    except ClientError as error:
        raise _refusal(name, str(error.response.get("Error", {}).get("Code", "")), if_denied, done) from error
    except ResponseParserError as error:
        raise _misshapen(name) from error
    except _LOST as error:
        raise RefusedError(f"{name} cannot be {done}: {_why(error)}", "check the network") from error
    return reply


def _why(error: Exception) -> str:
    """The reason in a few words."""
    failed = failed_request(error)
    if failed is not None:
        return failed.message
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def _misshapen(name: ObjectName) -> RefusedError:
    return RefusedError(
        f"{name} cannot be read: the answer is not what S3 sends",
        "check AWS_ENDPOINT_URL_S3 and the proxy settings",
    )


def _refusal(name: ObjectName, code: str, if_denied: str, done: str) -> UsageError | RefusedError:
    match code:
        case "404" | "NoSuchKey" | "NoSuchBucket" | "NotFound":
            return UsageError(f"{name} does not exist", "check bucket and key")
        case "412" | "PreconditionFailed":
            return RefusedError(f"{name} was replaced while it was read", "try again when it is complete")
        case "403" | "AccessDenied":
            return RefusedError(f"no permission: {name} cannot be {done}", if_denied)
        case _:
            return RefusedError(
                f"{name} cannot be {done}: {code or 'refused'}", "check bucket, key and region"
            )
