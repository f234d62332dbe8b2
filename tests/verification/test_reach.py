"""Whether a proof will find its stream, tried before the first write."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.streams import Shard
from refire_async.checkpoint.history import TableStream
from refire_async.errors import ExitCode, RefusedError
from refire_async.verification.reach import check_readable
from tests.verification.records import FakeShard, FakeStream

STREAM = TableStream("arn", "NEW_AND_OLD_IMAGES")
DENIED = AwsError("AccessDeniedException", "access denied", Disposition.FATAL)


class DeniedStream(FakeStream):
    """Nobody may list it."""

    async def shards(self, _arn: str) -> list[Shard]:
        raise DENIED


class DeniedRecords(FakeStream):
    """It may be listed, not read."""

    async def records(
        self, _arn: str, shard_id: str, *, after: str | None = None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        raise DENIED
        yield [shard_id, after]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [DeniedStream, DeniedRecords])
async def test_a_stream_that_may_not_be_read_is_refused(kind: type[FakeStream]) -> None:
    """With the permissions to ask for, and the exit code that says that nothing was written."""
    with pytest.raises(RefusedError, match="dynamodb:GetRecords") as refused:
        await check_readable(kind({"s": FakeShard([])}), STREAM)  # type: ignore[arg-type] # the same methods
    assert refused.value.exit_code is ExitCode.REFUSED


@pytest.mark.anyio
async def test_an_empty_or_trimmed_stream_is_readable() -> None:
    """What is gone says nothing of who may read."""
    for stream in (
        FakeStream({}),
        FakeStream({"s": FakeShard([])}),
        FakeStream({"s": FakeShard([], trimmed=1)}),
    ):
        await check_readable(stream, STREAM)  # type: ignore[arg-type] # the same methods
