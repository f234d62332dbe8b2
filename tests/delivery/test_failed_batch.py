"""Records of failed batches: every shape that the services write, and what is refused; ranges merged per shard."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.failed_batch import FailedBatch, merge, parse_failures
from refire_async.errors import UsageError
from tests.delivery.failure_shapes import (
    FUNCTION,
    SHARD,
    STREAM,
    invocation_record,
    pipe_record,
    stream_record,
    through_sns,
)


def parse(value: Any) -> list[FailedBatch]:
    return parse_failures(json.dumps(value), "here")


def test_invocation_record() -> None:
    """What SQS gets has the range and no records."""
    (batch,) = parse(invocation_record(5, 9, 4))
    assert (batch.stream_arn, batch.shard_id, batch.first, batch.last) == (STREAM, SHARD, 5, 9)
    assert (batch.batch_size, batch.function, batch.condition) == (4, FUNCTION, "RetryAttemptsExhausted")
    assert batch.load is None
    assert (batch.first_arrival, batch.last_arrival) == (1796036400.0, 1796036405.0)


def test_too_old_has_no_response_context() -> None:
    """A batch whose records were too old was not sent at all."""
    record = invocation_record(1, 2)
    del record["responseContext"]
    record["requestContext"]["condition"] = "RecordAgeExceeded"
    assert parse(record)[0].condition == "RecordAgeExceeded"


@pytest.mark.parametrize("escaped", [False, True])
def test_payload(escaped: bool) -> None:
    """S3 has the event too: an object in what the service writes, an escaped text in the documentation."""
    payload: Any = {"Records": [stream_record(5), stream_record(7)]}
    (batch,) = parse(invocation_record(5, 7, 2, payload=json.dumps(payload) if escaped else payload))
    assert batch.load is not None
    assert [one["dynamodb"]["SequenceNumber"][-1] for one in batch.load()] == ["5", "7"]


def test_pipe() -> None:
    """A Pipe says who it is and why in `context`. It names no function."""
    (batch,) = parse(pipe_record(1, 3))
    assert (batch.from_pipe, batch.function, batch.condition) == (True, None, "RetryAttemptsExhausted")


@pytest.mark.parametrize(
    "wrap",
    [
        through_sns,
        lambda record: {"Body": json.dumps(record)},
        lambda record: {"Messages": [{"Body": json.dumps(through_sns(record)), "MessageId": "1"}]},
        lambda record: [record],
    ],
)
def test_wrapped(wrap: Any) -> None:
    """Notifications of SNS, messages and answers of SQS, and lists are opened."""
    (batch,) = parse(wrap(invocation_record(1, 3)))
    assert (batch.first, batch.last) == (1, 3)


def changed(**info: Any) -> dict[str, Any]:
    """A record whose DDBStreamBatchInfo has other members; None: it lacks them."""
    record = invocation_record(1, 3)
    merged = {**record["DDBStreamBatchInfo"], **info}
    record["DDBStreamBatchInfo"] = {name: value for name, value in merged.items() if value is not None}
    return record


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({}, "is not the record of a failed batch"),
        (7, "is not the record of a failed batch"),
        ({"KinesisBatchInfo": {}}, "Kinesis"),
        ({"Body": "{"}, "is not JSON"),
        (changed(shardId=None), "has no shardId"),
        (changed(streamArn="arn:aws:kinesis:eu-west-1:1:stream/x"), "does not name a DynamoDB stream"),
        (changed(startSequenceNumber="-1"), "has no startSequenceNumber"),
        (changed(startSequenceNumber="٣"), "has no startSequenceNumber"),
        (changed(startSequenceNumber="9" * 41), "has no startSequenceNumber"),
        (changed(startSequenceNumber="4"), "ends before it begins"),
        (changed(batchSize=0), "has no batchSize"),
        (changed(batchSize=True), "has no batchSize"),
        (invocation_record(1, 3, payload="{"), "is not JSON"),
        (invocation_record(1, 3, payload={"Records": []}), "has a payload without records"),
        (invocation_record(1, 3, payload={"Records": [{"body": "x"}]}), "something else than stream records"),
        (invocation_record(1, 3, payload={"Records": [stream_record(9)]}), "from outside its range"),
        ([[[[[[[invocation_record(1, 3)]]]]]]], "is wrapped more often"),
    ],
)
def test_refused(value: Any, why: str) -> None:
    """What is no such record is refused in one line that says where it is."""
    with pytest.raises(UsageError, match="^(the payload of )?here.*" + why) as refused:
        parse(value)
    assert "\n" not in str(refused.value)


RANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 60), st.integers(0, 12)), min_size=1, max_size=30
)


@given(RANGES)
def test_merge(ranges: list[tuple[str, int, int]]) -> None:
    """Per shard: ascending, apart from each other, the same sequence numbers as before, every batch once."""
    batches = [
        parse_failures(
            json.dumps(
                changed(shardId=shard, startSequenceNumber=str(first), endSequenceNumber=str(first + more))
            ),
            "x",
        )[0]
        for shard, first, more in ranges
    ]
    merged = merge(batches)
    assert sorted(id(one) for shard in merged.values() for found in shard for one in found.batches) == sorted(
        map(id, batches)
    )
    for (_, shard), of_shard in merged.items():
        wanted = {n for name, first, more in ranges if name == shard for n in range(first, first + more + 1)}
        assert {n for one in of_shard for n in range(one.first, one.last + 1)} == wanted
        assert all(one.last < other.first for one, other in pairwise(of_shard))
