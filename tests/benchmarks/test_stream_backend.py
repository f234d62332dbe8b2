"""The null backend with a stream: what its pages say, and what it counts."""

from typing import Any

import orjson
import pytest

from benchmarks.framework.null_backend import NOW
from benchmarks.replay.profile import sum_up
from benchmarks.replay.stream_backend import Pages, StreamBackend
from refire_async.delivery.sources.slicing import decode_answer, slice_answer

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/hash-present-1000/stream/label"


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def ask(backend: StreamBackend, operation: str, request: dict[str, Any]) -> bytes:
    return body_of(backend.answer(operation.encode(), orjson.dumps(request)))


@pytest.mark.parametrize("attributes", [1, 10])
def test_every_record_of_the_stream_comes_once_and_in_order(attributes: int) -> None:
    """All shards, page after page: 1,000 keys, ascending numbers, no page above 1 MB, images of about 1 KB."""
    backend = StreamBackend(2, attributes)
    shards = orjson.loads(ask(backend, "DescribeStream", {"StreamArn": ARN}))["StreamDescription"]["Shards"]
    keys = []
    for shard in shards:
        request = {"StreamArn": ARN, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = orjson.loads(ask(backend, "GetShardIterator", request))["ShardIterator"]
        numbers: list[int] = []
        while iterator is not None:
            page = ask(backend, "GetRecords", {"ShardIterator": iterator})
            assert len(page) <= 1 << 20
            sliced = slice_answer(page, ARN)
            assert sliced == decode_answer(page, ARN)
            assert all(record.created_at < NOW for record in sliced.records)
            keys += [record.key for record in sliced.records]
            numbers += [record.sequence for record in sliced.records]
            iterator = orjson.loads(page).get("NextShardIterator")
        assert numbers == sorted(set(numbers))
    assert len(keys) == len(set(keys)) == 1_000


def test_images_are_of_1_kb() -> None:
    """The items of the record are what other benchmarks touch; the record has both and its frame."""
    for attributes in (1, 10):
        record = Pages(attributes, NOW).record(0)
        assert 900 < len(orjson.dumps(record["dynamodb"]["NewImage"])) <= 1_024
        assert 2_100 < len(orjson.dumps(record)) < 2_500


@pytest.mark.parametrize(
    "event", [b'{"SequenceNumber":"1"},{"SequenceNumber":"2"}', b'{"SequenceNumber": "1"} ' * 2]
)
def test_records_of_an_event_are_counted(event: bytes) -> None:
    """In the spacing of either JSON writer."""
    backend = StreamBackend(1, 10)
    backend.invoked(event)
    assert backend.written == 2


def test_samples_are_summed_up_by_module() -> None:
    """The innermost frame of the package counts; the loop and the start-up are no module."""
    lines = [
        "a:f:1;refire_async.engine.event_loop:run_loop:1;uvloop:run:1 2",
        "a:f:1;refire_async.delivery.sources.choice:look_ahead:1;refire_async.delivery.keys:canonical_key:3;json:x:1 6",
        "a:f:1;importlib._bootstrap:load:1 90",
    ]
    found = sum_up(lines)
    assert found["samples"] == 8
    assert found["modules"] == {"delivery.keys": 0.75, "event loop": 0.25}
