"""Queues: their names, and what SQS may answer."""

from collections import deque
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.other_services import UnansweredError
from refire_async.aws.queue_names import QueueName, is_queue, parse_queue
from refire_async.aws.queues import LONGEST_VISIBILITY_S, Message, Queue, open_queue, parse_attributes
from refire_async.aws.session import open_session
from refire_async.errors import RefusedError, UsageError
from refire_async.settings import Connection
from tests.aws.raw_server import Act, RawServer, reply

HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")
ARN = "arn:aws:sqs:eu-west-1:123456789012:failed"
QUEUE = parse_queue(ARN)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "account", "name", "region"),
    [
        (ARN, "123456789012", "failed", "eu-west-1"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/failed", "123456789012", "failed", "eu-west-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/a", "123456789012", "a", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/a", "123456789012", "a", "cn-north-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/a", "123456789012", "a", "eu-west-1"),
        ("http://127.0.0.1:4566/000000000000/a.fifo", "000000000000", "a.fifo", None),
        ("http://localhost:4566/queue/eu-west-1/000000000000/a", "000000000000", "a", None),
        (
            "http://sqs.eu-west-1.localhost.localstack.cloud:4566/000000000000/a",
            "000000000000",
            "a",
            "eu-west-1",
        ),
    ],
)
def test_names_of_queues(text: str, account: str, name: str, region: str | None) -> None:
    """ARNs, and URLs of AWS and of emulators."""
    assert is_queue(text)
    url = None if text == ARN else text
    assert parse_queue(text) == QueueName(account, name, region, url)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sns:eu-west-1:123456789012:topic",
        "arn:aws:sqs:eu-west-1:123456789012:*",
        "https://sqs.eu-west-1.amazonaws.com/failed",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/a?b",
        "https://[bad/123456789012/a",
        "https://user:PLANTED@sqs.eu-west-1.amazonaws.com/123456789012/a",
    ],
)
def test_what_is_no_queue(text: str) -> None:
    """Refused without showing what may be a password."""
    with pytest.raises(UsageError) as caught:
        parse_queue(text)
    assert "PLANTED" not in str(caught.value)
    assert caught.value.action


def test_files_are_no_queues() -> None:
    """Neither are objects."""
    assert not any(map(is_queue, ("failed.jsonl", "-", "s3://bucket/prefix")))


def json(value: Any, status: int = 200) -> Act:
    return reply(orjson.dumps(value), status)


async def with_queue(aws: pytest.MonkeyPatch, script: list[Act], use: Any) -> list[dict[str, Any]]:
    """What was sent while `use` had a queue whose service plays this script."""
    async with RawServer(script=deque(script)) as server:
        aws.setenv("AWS_ENDPOINT_URL_SQS", server.url)
        async with open_session(HERE, 1) as session, open_queue(session.services, QUEUE) as queue:
            await use(queue)
        assert queue.url == f"{server.url}/123456789012/failed"
        return [
            {"operation": sent.headers["x-amz-target"].partition(".")[2], **orjson.loads(sent.body)}
            for sent in server.received
        ]


def messages(number: int) -> list[Message]:
    return [Message(str(n), f"receipt-{n}", "{}") for n in range(number)]


async def test_what_is_not_deleted_is_named(aws: pytest.MonkeyPatch) -> None:
    """Refused entries, and those that the answer does not mention; ten in a call."""

    async def use(queue: Queue) -> None:
        left = await queue.delete(messages(12))
        assert [message.receipt for message in left] == ["receipt-1", "receipt-9", "receipt-10", "receipt-11"]
        assert await queue.extend(messages(1), 10**9) == []

    done = [{"Id": str(number)} for number in range(9) if number != 1]
    failed = [{"Id": "1", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}]
    sent = await with_queue(
        aws,
        [json({"Successful": done, "Failed": failed}), json({}), json({"Successful": [{"Id": "0"}]})],
        use,
    )
    assert [len(one["Entries"]) for one in sent] == [10, 2, 1]
    assert sent[0]["operation"] == "DeleteMessageBatch"
    assert sent[2]["Entries"][0]["VisibilityTimeout"] == LONGEST_VISIBILITY_S


MESSAGE = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}


async def test_receive(aws: pytest.MonkeyPatch) -> None:
    """Counts and times are texts; they may be missing, or be nonsense."""

    async def use(queue: Queue) -> None:
        first, second = await queue.receive(99, visibility_s=60)
        assert (first.received, first.sent_at) == (3, 1_764_556_800.5)
        assert (second.received, second.sent_at) == (1, None)
        assert "b" not in repr(first).partition("received")[0].removeprefix("Message")
        assert await queue.receive() == []

    attributes = {"ApproximateReceiveCount": "3", "SentTimestamp": "1764556800500"}
    odd = {"ApproximateReceiveCount": "-1", "SentTimestamp": "9" * 5000}
    page = {"Messages": [MESSAGE | {"Attributes": attributes}, MESSAGE | {"Attributes": odd}]}
    sent = await with_queue(aws, [json(page), json({})], use)
    assert (sent[0]["MaxNumberOfMessages"], sent[0]["VisibilityTimeout"]) == (10, 60)
    assert "VisibilityTimeout" not in sent[1]


@pytest.mark.parametrize(
    "answer",
    [
        json({"Messages": [{"MessageId": "m"}]}),
        json({"Messages": 7}),
        json({"Messages": [MESSAGE | {"Body": 7}]}),
        json({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "PLANTED"}, 400),
        reply(b"<html>"),
    ],
)
async def test_no_answer_is_said_in_one_line(aws: pytest.MonkeyPatch, answer: Act) -> None:
    """Misshapen or refused; the words of the service are not passed on."""

    async def use(queue: Queue) -> None:
        with pytest.raises(UnansweredError) as caught:
            await queue.receive()
        assert "\n" not in str(caught.value)
        assert "PLANTED" not in str(caught.value)

    await with_queue(aws, [answer], use)


async def test_errors_of_others_stay_what_they_are(aws: pytest.MonkeyPatch) -> None:
    """What happens while a queue is open is not taken for an answer of it."""

    async def use(queue: Queue) -> None:
        raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="of something else"):
        await with_queue(aws, [], use)


@given(st.dictionaries(st.sampled_from(["ApproximateNumberOfMessages", "VisibilityTimeout"]), st.text()))
def test_attributes_are_numbers(attributes: dict[str, str]) -> None:
    """Whatever is written there."""
    found = parse_attributes({"QueueArn": ARN, **attributes})
    assert found.messages >= 0
    assert found.visibility_s >= 0


@pytest.mark.parametrize(
    ("queue", "endpoint", "table", "says"),
    [
        (ARN, None, "http://127.0.0.1:9", "--endpoint-url names an emulator"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/a", "http://127.0.0.1:9", None, "is at AWS"),
        ("http://127.0.0.1:9/000000000000/a", None, None, "is in an emulator"),
        (ARN.replace("eu-west-1", "us-east-1"), None, None, "--region us-east-1"),
        (ARN, "http://sqs.eu-west-1.amazonaws.com", None, "without encryption"),
    ],
)
async def test_queues_that_requests_do_not_go_to(
    aws: pytest.MonkeyPatch, queue: str, endpoint: str | None, table: str | None, says: str
) -> None:
    """Found before anything is sent."""
    if endpoint is not None:
        aws.setenv("AWS_ENDPOINT_URL_SQS", endpoint)
    async with open_session(Connection(region="eu-west-1", endpoint_url=table), 1) as session:
        with pytest.raises(RefusedError) as caught:
            async with open_queue(session.services, parse_queue(queue)):
                pytest.fail("opened")
    assert says in str(caught.value)
    assert caught.value.action
