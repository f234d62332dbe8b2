"""Before the first write, a run checks that its stream can be read."""

from collections.abc import AsyncGenerator

import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.streams import Shard
from refire_async.checkpoint.history import TableStream
from refire_async.errors import ExitCode, RefusedError
from refire_async.verification.verify import check_readable
from tests.verification.records import FakeShard, FakeStream

STREAM = TableStream("arn", "NEW_AND_OLD_IMAGES")
DENIED = AwsError("AccessDeniedException", "access denied", Disposition.FATAL)


class DeniedStream(FakeStream):
    """A stream whose shards the caller may not list."""

    async def shards(self, _arn: str) -> list[Shard]:
        raise DENIED


class DeniedRecords(FakeStream):
    """A stream whose shards the caller may list, but not read."""

    async def answers(
        self, _arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        raise DENIED
        yield f"{shard_id} {after}".encode()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [DeniedStream, DeniedRecords])
async def test_a_stream_without_read_permission_is_refused(kind: type[FakeStream]) -> None:
    """The message names the permissions, and the exit code says that nothing was written."""
    with pytest.raises(RefusedError, match="dynamodb:GetRecords") as refused:
        await check_readable(kind({"s": FakeShard([])}), STREAM)  # type: ignore[arg-type] # the same methods
    assert refused.value.exit_code is ExitCode.REFUSED


@pytest.mark.anyio
async def test_an_empty_or_trimmed_stream_is_readable() -> None:
    """Records that were trimmed are not a lack of permission."""
    for stream in (
        FakeStream({}),
        FakeStream({"s": FakeShard([])}),
        FakeStream({"s": FakeShard([], trimmed=1)}),
    ):
        await check_readable(stream, STREAM)  # type: ignore[arg-type] # the same methods
