"""Records that were given up: a file of invocation records, as an on-failure destination in S3 gets them.

A line is what Lambda writes to S3 for a batch that it discards (Lambda Developer Guide: Retain discarded records for a
DynamoDB data source in Lambda), with the records themselves in `payload`. `refire redrive FILE` reads it.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from refire_async.delivery.batches import EVENT, Batch
from refire_async.delivery.failed_batch import OF_SHARD
from refire_async.delivery.target import Answer
from refire_async.errors import CheckpointRefusedError, RefusedError, StoppedError
from refire_async.model.units import utc_iso
from refire_async.private import NOFOLLOW, why_foreign

FAILED_RECORDS = ".failed-records.jsonl"
"""End of the name of the file beside a checkpoint."""


def failures_path(checkpoint: Path) -> Path:
    """The file of the records that the delivery with this checkpoint has given up."""
    return checkpoint.with_name(checkpoint.name + FAILED_RECORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A batch that was given up: of which shard (or range of one), why, at what time (seconds since the epoch).

    `answer` is that of its last invocation, None if it was never invoked or the answer was lost.
    """

    shard: str
    batch: Batch
    condition: str
    at: float
    function: str
    stream_arn: str | None = None
    answer: Answer | None = None


def to_line(given_up: GivenUp) -> bytes:
    """The invocation record as a line of JSON. The bodies of the records are not decoded."""
    batch, answer = given_up.batch, given_up.answer
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": str(uuid4()),
            "functionArn": given_up.function,
            "condition": given_up.condition,
            "approximateInvokeCount": batch.invocations,
        }
    }
    if answer is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": answer.version,
            "functionError": answer.function_error,
        }
    record |= {
        "version": "1.0",
        "timestamp": utc_iso(given_up.at),
        "DDBStreamBatchInfo": {
            "shardId": given_up.shard.partition(OF_SHARD)[0],
            "startSequenceNumber": str(batch.first),
            "endSequenceNumber": str(batch.last),
            "approximateArrivalOfFirstRecord": utc_iso(batch.records[0].created_at),
            "approximateArrivalOfLastRecord": utc_iso(batch.records[-1].created_at),
            "batchSize": len(batch.records),
            "streamArn": _stream_arn(batch) or given_up.stream_arn,
        },
    }
    return orjson.dumps(record)[:-1] + b',"payload":' + EVENT.join(batch.records) + b"}\n"


def _stream_arn(batch: Batch) -> str | None:
    """The stream that the first record names as its source: a redrive can have batches of several."""
    arn = orjson.loads(batch.records[0].body).get("eventSourceARN")
    return arn if isinstance(arn, str) else None


class FailuresFile:
    """The failed-records file, mode 0600, opened for appending when the first batch is given up. Synchronous."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes of the lines that are in the file."""
        self._descriptor: int | None = None

    def restore(self, size: int) -> None:
        """Go back to the first `size` bytes, all that the ledger counts: what follows was written as the program ended.

        Raises CheckpointRefusedError if the file cannot be opened or is shorter: records that failed would be lost.
        """
        try:
            descriptor = self._open(create=False)
        except FileNotFoundError:
            descriptor = None
        except OSError as error:
            raise CheckpointRefusedError(
                f"{self.path} cannot be opened: {error.strerror}", "move it away or check its permissions"
            ) from None
        length = 0 if descriptor is None else os.fstat(descriptor).st_size
        if length < size:
            if descriptor is not None:
                os.close(descriptor)
            raise CheckpointRefusedError(
                f"{self.path} does not have all records that the delivery has given up", "put the file back"
            )
        if descriptor is not None:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        self._descriptor, self.size = descriptor, size

    def append(self, line: bytes) -> None:
        """Add a line; it is on disk when this returns. Raises StoppedError."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open(create=True)
            written = memoryview(line)
            while written:
                written = written[os.write(self._descriptor, written) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise StoppedError(
                f"failed records cannot be written to {self.path}: {error.strerror}",
                "free space or repair the disk, then run 'refire resume'",
            ) from error
        self.size += len(line)

    def close(self) -> None:
        """Close the file if it is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def check(self) -> None:
        """Check before the first invocation of a new delivery that the name is free. Raises RefusedError."""
        if os.path.lexists(self.path):
            raise RefusedError(
                f"{self.path} exists, but records that fail go to a file of this name",
                "move it away, or name another file with --checkpoint",
            )

    def _open(self, *, create: bool) -> int:
        how = os.O_CREAT | os.O_EXCL if create else 0
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | NOFOLLOW | how, 0o600)
        status = os.fstat(descriptor)
        why = why_foreign(status)
        if why is None and not stat.S_ISREG(status.st_mode):
            why = "is not a regular file"
        if why is not None:
            os.close(descriptor)
            raise CheckpointRefusedError(f"{self.path} {why}", "move it away")
        return descriptor
