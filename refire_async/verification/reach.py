"""Checks before the first write that the stream can be read, so that the run can be verified afterwards."""

import contextlib

from refire_async.aws.errors import AwsError
from refire_async.aws.streams import StreamReader
from refire_async.checkpoint.history import TableStream
from refire_async.errors import RefusedError

_GONE = ("TrimmedDataAccess", "ResourceNotFound", "ExpiredIterator")
"""Errors unrelated to permissions: the requested records are older than the stream keeps."""


async def check_readable(reader: StreamReader, stream: TableStream) -> None:
    """List the stream's shards and read from one. Raises RefusedError if that fails."""
    try:
        shards = await reader.shards(stream.arn)
        if shards:
            async with contextlib.aclosing(reader.records(stream.arn, shards[-1].id)) as pages:
                await anext(pages, None)
    except AwsError as error:
        if error.name in _GONE:
            return
        raise RefusedError(
            f"the table's stream cannot be read, so nothing could be verified: {error.message}",
            "allow dynamodb:DescribeStream, dynamodb:GetShardIterator and dynamodb:GetRecords on the stream, or run"
            " without --verify and --canary",
        ) from error
