"""The failed-records file: an invocation record per batch, durable before the ledger counts it."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from refire_async.delivery.answers import EXHAUSTED, TOO_OLD
from refire_async.delivery.batches import Batch, body_bytes
from refire_async.delivery.failures import FailuresFile, GivenUp, failures_path, to_line
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.target import Answer
from refire_async.errors import CheckpointRefusedError, RefusedError, StoppedError
from refire_async.settings import Connection
from tests.support.delivery import (
    START_S,
    FakeSource,
    FakeTarget,
    deliver,
    function_error,
    make_spec,
    records,
)

FAILED = records(range(7, 9))


def given_up(answer: Answer | None = None, condition: str = EXHAUSTED) -> GivenUp:
    return GivenUp(
        shard="shardId-00000001",
        batch=Batch(FAILED, body_bytes(FAILED), attempts=3, invocations=4),
        condition=condition,
        at=START_S + 60.25,
        function=FakeTarget.name,
        stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-30T00:00:00.000",
        answer=answer,
    )


def test_a_line_is_what_an_on_failure_destination_in_s3_gets() -> None:
    line = to_line(given_up(Answer(b"", "Unhandled", version="7")))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found = json.loads(line)
    request_id = found["requestContext"].pop("requestId")
    assert len(request_id) == 36
    assert found == {
        "requestContext": {
            "functionArn": FakeTarget.name,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "7", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-30T00:54:20.250Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001",
            "startSequenceNumber": "7",
            "endSequenceNumber": "8",
            "approximateArrivalOfFirstRecord": "2026-11-30T00:53:27.000Z",
            "approximateArrivalOfLastRecord": "2026-11-30T00:53:28.000Z",
            "batchSize": 2,
            "streamArn": given_up().stream_arn,
        },
        "payload": {"Records": [json.loads(one.body) for one in FAILED]},
    }


def test_records_that_were_not_invoked_have_no_response() -> None:
    assert "responseContext" not in json.loads(to_line(given_up(condition=TOO_OLD)))


def test_a_range_of_a_redrive_is_of_its_shard() -> None:
    one = replace(given_up(), shard="shardId-00000001#7-8")
    assert json.loads(to_line(one))["DDBStreamBatchInfo"]["shardId"] == "shardId-00000001"


def test_the_stream_is_the_one_that_the_records_name() -> None:
    body = FAILED[0].body[:-1] + b',"eventSourceARN":"arn:aws:dynamodb:x:1:table/other/stream/1"}'
    one = given_up()
    named = Batch([FAILED[0]._replace(body=body)], len(body))
    line = to_line(replace(one, batch=named))
    assert json.loads(line)["DDBStreamBatchInfo"]["streamArn"] == "arn:aws:dynamodb:x:1:table/other/stream/1"


def test_the_file_is_private_and_follows_no_link(tmp_path: Path) -> None:
    path = tmp_path / "failed"
    file = FailuresFile(path)
    file.check()
    file.append(b"one\n")
    file.append(b"two\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert (stat.S_IMODE(path.stat().st_mode), file.size) == (0o600, 8)
    with pytest.raises(RefusedError, match="exists"):
        FailuresFile(path).check()
    target = tmp_path / "target"
    target.write_bytes(b"")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(StoppedError, match="cannot be written"):
        FailuresFile(link).append(b"one\n")
    with pytest.raises(CheckpointRefusedError):
        FailuresFile(link).restore(0)
    assert target.read_bytes() == b""


def test_a_resume_cuts_off_what_the_ledger_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "failed"
    path.write_bytes(b"one\ntwo\nhal")
    path.chmod(0o600)
    file = FailuresFile(path)
    file.restore(4)
    file.append(b"three\n")
    file.close()
    assert path.read_bytes() == b"one\nthree\n"


@pytest.mark.parametrize("content", [None, b"on"], ids=["missing", "shorter"])
def test_records_that_failed_are_not_lost_in_silence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "failed"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointRefusedError, match="does not have all records"):
        FailuresFile(path).restore(4)


def test_a_pipe_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "failed"
    os.mkfifo(path)
    with pytest.raises(CheckpointRefusedError):
        FailuresFile(path).restore(0)


async def test_what_a_delivery_gives_up_is_in_the_file_and_no_more(tmp_path: Path) -> None:
    async def behave(sequences: list[int]) -> Answer:
        return function_error() if sequences[0] in (10, 30) else Answer()

    path = tmp_path / "a.refire"
    ledger = Ledger.create(path, make_spec(batch_size=5, retries=1), Connection())
    done = await deliver(ledger, FakeSource({"s1": records(range(50))}), FakeTarget(behave))
    ledger.close()
    lines = failures_path(path).read_bytes().splitlines()
    found = [
        int(one["dynamodb"]["SequenceNumber"])
        for line in lines
        for one in json.loads(line)["payload"]["Records"]
    ]
    assert found == [*range(10, 15), *range(30, 35)]
    assert (done.counts.failed, done.counts.delivered) == (10, 40)
    assert [json.loads(line)["requestContext"]["approximateInvokeCount"] for line in lines] == [2, 2]


async def test_records_that_cannot_be_written_stop_the_delivery_and_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.refire"
    in_the_way = failures_path(path)

    async def behave(_sequences: list[int]) -> Answer:
        in_the_way.touch()
        return function_error()

    ledger = Ledger.create(path, make_spec(batch_size=5, retries=0), Connection())
    source = FakeSource({"s1": records(range(5))})
    done = await deliver(ledger, source, FakeTarget(behave))
    assert done.status == "stopped"
    assert "failed records cannot be written" in str(done.stop.error)
    assert (done.counts.failed, done.counts.delivered) == (0, 0)
    (doubtful,) = ledger.load().in_flight
    assert (doubtful.flight.first, doubtful.flight.last) == (0, 4)
    ledger.close()
