"""Objects in S3: read completely, in one version, across lost connections."""

import io
from typing import Any

import aioboto3
import aiohttp
import pytest
from botocore.exceptions import ClientError

from refire_async.aws.objects import (
    CHUNK_BYTES,
    MAX_FAILURES,
    ObjectName,
    list_objects,
    object_chunks,
    parse_object_name,
    parse_prefix,
)
from refire_async.errors import RefireError, RefusedError, UsageError
from tests.support.backends import REGION
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture
from tests.support.virtual_time import run_virtual

NAME = ObjectName("bucket", "folder/keys.jsonl")


@pytest.mark.parametrize("text", ["s3://", "s3://bucket", "bucket/key", "s3:///key"])
def test_an_invalid_object_name_is_refused(text: str):
    with pytest.raises(UsageError, match="is not the name of an object in S3"):
        parse_object_name(text)


def test_a_name_and_its_text():
    assert parse_object_name("s3://bucket/folder/keys.jsonl") == NAME
    assert str(NAME) == "s3://bucket/folder/keys.jsonl"


class Body:
    """A streaming body that fails after some bytes."""

    def __init__(self, data: bytes, breaks_after: int | None) -> None:
        self._data = io.BytesIO(data)
        self._left = breaks_after

    def close(self) -> None:
        self._data.close()

    async def read(self, amount: int) -> bytes:
        if self._left is not None:
            if self._left <= 0:
                raise aiohttp.ClientPayloadError("connection lost")
            amount = min(amount, self._left)
            self._left -= amount
        return self._data.read(amount)


class Bucket:
    """An S3 client with one object. `breaks` are the bytes that each answer delivers before it fails."""

    def __init__(self, data: bytes, *breaks: int | None) -> None:
        self.data, self.etag = data, '"1"'
        self._breaks = list(breaks)
        self.asked: list[dict[str, Any]] = []

    async def get_object(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if request.get("IfMatch", self.etag) != self.etag:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "GetObject")
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        breaks = self._breaks.pop(0) if self._breaks else None
        rest = self.data[start:]
        answer = {"Body": Body(rest, breaks), "ETag": self.etag, "ContentLength": len(rest)}
        if "Range" in request:
            answer["ContentRange"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        return {**answer, "VersionId": "v1"}


async def read(client: Any, name: ObjectName = NAME) -> bytes:
    return b"".join([piece async for piece in object_chunks(client, name)])


def test_a_lost_connection_is_continued_at_its_position():
    """With a range of the same version; no byte twice, none missing."""
    data = bytes(range(256)) * 10_000
    bucket = Bucket(data, 1000, 0, CHUNK_BYTES + 5, None)
    assert run_virtual(read, bucket) == data
    assert [request.get("Range") for request in bucket.asked] == [
        None,
        "bytes=1000-",
        "bytes=1000-",
        f"bytes={CHUNK_BYTES + 1005}-",
    ]
    assert {request["VersionId"] for request in bucket.asked[1:]} == {"v1"}


def test_a_connection_that_is_always_lost_ends_the_read():
    bucket = Bucket(b"x" * 100, *[0] * 50)
    with pytest.raises(RefusedError, match="cannot be read: ClientPayloadError"):
        run_virtual(read, bucket)
    assert len(bucket.asked) == MAX_FAILURES


def test_an_object_that_is_replaced_meanwhile_is_refused():
    """Two halves of different versions are not an object."""
    bucket = Bucket(b"x" * 100, 10)

    async def replace() -> None:
        async for _ in object_chunks(bucket, NAME):
            bucket.etag = '"2"'

    with pytest.raises(RefusedError, match="was replaced while it was read"):
        run_virtual(replace)


def test_an_empty_object_has_no_chunks():
    bucket = Bucket(b"")
    assert run_virtual(read, bucket) == b""


@pytest.mark.parametrize(
    ("code", "kind", "what"),
    [
        ("404", UsageError, "does not exist; check bucket and key"),
        ("NoSuchBucket", UsageError, "does not exist"),
        ("403", RefusedError, "no permission: .* cannot be read; allow s3:GetObject"),
        ("SlowDown", RefusedError, "cannot be read: SlowDown"),
    ],
)
def test_refusals_say_what_to_do(code: str, kind: type[RefireError], what: str):
    class Refusing:
        async def get_object(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code}}, "GetObject")

    with pytest.raises(kind, match=what):
        run_virtual(read, Refusing())


async def test_objects_are_read_as_they_were_put(moto: Moto):  # noqa: F811 - the fixture
    """With the real client, in several chunks; a missing object is an error."""
    data = bytes(range(251)) * 12_000
    with_client = moto.client("s3")
    with_client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    with_client.put_object(Bucket="bucket", Key=NAME.key, Body=data)
    session = aioboto3.Session("SCENARIO", "scenario", region_name=REGION)
    async with session.client("s3", endpoint_url=moto.url) as client:
        assert await read(client) == data
        with pytest.raises(UsageError, match="does not exist"):
            await read(client, ObjectName("bucket", "nothing"))
    with_client.close()


class Listing:
    """A bucket that answers with these pages; a ClientError is raised."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    async def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request.copy())
        page = self.pages.pop(0)
        if isinstance(page, ClientError):
            raise page
        return page


def page(*keys: str, token: str | None = None) -> dict[str, Any]:
    more = {} if token is None else {"IsTruncated": True, "NextContinuationToken": token}
    return {"Contents": [{"Key": key, "Size": 1} for key in keys], **more}


def listed(*pages: Any) -> tuple[list[str], Listing]:
    bucket = Listing(*pages)

    async def read() -> list[str]:
        return [one.name.key async for one in list_objects(bucket, ObjectName("bucket", "p/"))]

    return run_virtual(read), bucket


def test_pages_of_a_list():
    """One after the other, each asked for with the token of the last."""
    keys, bucket = listed(page("p/a", "p/b", token="t"), page("p/c"))
    assert keys == ["p/a", "p/b", "p/c"]
    assert [asked.get("ContinuationToken") for asked in bucket.asked] == [None, "t"]
    assert listed({})[0] == []


@pytest.mark.parametrize(
    "pages",
    [
        (page("p/b", "p/a"),),
        (page("p/a", "p/a"),),
        (page("q/a"),),
        (page("p/a", token="t"), page("p/a", token="t")),
        (page(token="t"),),
        ({"Contents": [{"Key": "p/a", "Size": 1}], "IsTruncated": True},),
        ({"Contents": [{"Size": 1}]},),
    ],
)
def test_lists_that_are_none(pages: tuple[Any, ...]):
    """In another order, without an end, of another prefix."""
    with pytest.raises(RefusedError, match="is not what S3 sends"):
        listed(*pages)


def test_list_that_is_denied_or_not_there():
    denied, missing = (
        ClientError({"Error": {"Code": code}}, "ListObjectsV2") for code in ("AccessDenied", "NoSuchBucket")
    )
    with pytest.raises(RefusedError, match="no permission") as caught:
        listed(denied)
    assert "s3:ListBucket" in caught.value.action
    with pytest.raises(UsageError, match="does not exist"):
        listed(missing)


@pytest.mark.parametrize("text", ["s3://", "bucket/prefix", "s3:///prefix"])
def test_what_names_no_bucket(text: str):
    with pytest.raises(UsageError, match="names no bucket"):
        parse_prefix(text)
    assert parse_prefix("s3://bucket") == ObjectName("bucket", "")
    assert parse_prefix("s3://bucket/a/b") == ObjectName("bucket", "a/b")
