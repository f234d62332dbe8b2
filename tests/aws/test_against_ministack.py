"""Invocations, queues and objects against a service that this project did not write; boto3 is the judge."""

import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pytest

from refire_async.aws.errors import AwsError
from refire_async.aws.function_names import parse_function
from refire_async.aws.functions import ask_function, ask_reserved_concurrency
from refire_async.aws.invocations import Invocations, InvokeError, open_invocations
from refire_async.aws.objects import list_objects, object_bytes, parse_prefix
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.queue_names import parse_queue
from refire_async.aws.queues import open_queue
from refire_async.aws.session import Session, open_session
from refire_async.delivery.target import Fate
from refire_async.delivery.targets.fates import fate_of
from refire_async.errors import RefusedError
from refire_async.settings import Connection
from tests.support.backends import REGION
from tests.support.ministack import Ministack

HERE = Connection(region=REGION, endpoint_url="http://127.0.0.1:9")
NUMBERS = itertools.count(1)
HANDLER = """
import time

def handler(event, context):
    print("handles", context.function_version)
    if "raise" in event:
        raise ValueError(event["raise"])
    if "sleep" in event:
        time.sleep(event["sleep"])  # a function that runs longer than its caller waits
    return event
"""


@pytest.fixture
def anyio_backend() -> str:
    """One loop is enough: the contract of both is tested elsewhere."""
    return "asyncio"


@pytest.fixture
def function(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    """A function's name, with an environment that leads to it."""
    for name, value in ministack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SCENARIO")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "scenario")
    name = f"consumer-{next(NUMBERS)}"
    ministack.create_function(name, HANDLER, Timeout=20)
    return name


@pytest.fixture
def lambdas(ministack: Ministack) -> Iterator[Any]:
    """boto3's Lambda, for arranging and judging."""
    with contextlib.closing(ministack.client("lambda")) as client:
        yield client


@asynccontextmanager
async def session() -> AsyncIterator[Session]:
    async with open_session(HERE, 1) as opened:
        yield opened


async def refused(invocations: Invocations, function: str, qualifier: str | None = None) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await invocations.invoke(function, qualifier, b"{}")
    return caught.value


EVENTS = {
    "answer": {"Records": [{"eventID": "1", "text": "é"}]},
    "function error": {"raise": "broken\nconsumer"},
}


@pytest.mark.parametrize("case", EVENTS)
async def test_answers_are_those_that_boto3_gets(function: str, lambdas: Any, case: str) -> None:
    """Payload, error, log and version, by name and by ARN."""
    event = json.dumps(EVENTS[case]).encode()

    def judge() -> dict[str, Any]:
        answer: dict[str, Any] = lambdas.invoke(FunctionName=function, LogType="Tail", Payload=event)
        answer["Payload"] = answer["Payload"].read()
        return answer

    expected = await anyio.to_thread.run_sync(judge)
    async with session() as opened, open_invocations(opened, 2, 20) as invocations:
        described = await ask_function(opened.services, parse_function(function))
        for name in (function, described.arn):
            got = await invocations.invoke(name, None, event)
            payload, wanted = json.loads(got.payload), json.loads(expected["Payload"])
            if case == "answer":
                assert payload == wanted == EVENTS[case]
            else:
                # ministack calls every error `Runtime.HandlerError`.
                assert payload["errorType"] == wanted["errorType"]
                assert payload["errorMessage"] == "broken\nconsumer"
            assert got.function_error == expected.get("FunctionError")
            assert got.version == expected["ExecutedVersion"] == "$LATEST"
            assert "handles $LATEST" in base64.b64decode(expected["LogResult"]).decode()
            assert "handles $LATEST" in got.log_tail
    assert described.timeout_s == 20


async def test_alias_and_version(function: str, lambdas: Any) -> None:
    """The version behind an alias runs and is named."""
    version = lambdas.publish_version(FunctionName=function)["Version"]
    lambdas.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    async with session() as opened, open_invocations(opened, 2, 20) as invocations:
        for qualifier in ("live", version):
            assert (await invocations.invoke(function, qualifier, b"{}")).version == version
        described = await ask_function(opened.services, parse_function(f"{function}:live"))
        missing = await refused(invocations, function, "absent")
    assert described.version == version
    assert fate_of(missing) is Fate.STOP
    assert f"{function}:absent" in missing.message


async def test_function_that_is_not_there(function: str) -> None:
    """Said in one line, by the invocation and by the question before it."""
    async with session() as opened, open_invocations(opened, 1, 20) as invocations:
        error = await refused(invocations, "absent")
        with pytest.raises(RefusedError, match="there is no function absent"):
            await ask_function(opened.services, parse_function("absent"))
    assert fate_of(error) is Fate.STOP
    assert error.message == "there is no function absent"


async def test_no_concurrency_is_throttled_with_a_reason(function: str, lambdas: Any) -> None:
    """A reserved concurrency of 0 is how a function is switched off; it is known before."""
    lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    async with session() as opened, open_invocations(opened, 1, 20) as invocations:
        assert await ask_reserved_concurrency(opened.services, parse_function(function)) == 0
        error = await refused(invocations, function)
    assert isinstance(error, InvokeError)
    assert (error.status, fate_of(error)) == (429, Fate.THROTTLED)
    assert error.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert error.retry_after_s is not None


async def test_more_at_once_than_reserved(function: str, lambdas: Any) -> None:
    """Some run, the others are throttled; none is lost."""
    lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    outcomes: list[Fate | None] = []

    async def call(invocations: Invocations) -> None:
        try:
            await invocations.invoke(function, None, b'{"sleep":1}')
        except AwsError as error:
            outcomes.append(fate_of(error))
        else:
            outcomes.append(None)

    async with session() as opened, open_invocations(opened, 4, 20) as invocations:
        assert await ask_reserved_concurrency(opened.services, parse_function(function)) == 1
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(call, invocations)
    assert set(outcomes) == {None, Fate.THROTTLED}


async def test_function_that_runs_out_of_time(ministack: Ministack, function: str) -> None:
    """Lambda ends it: a function error, and not a lost answer."""
    ministack.create_function(f"{function}-slow", HANDLER, Timeout=1)
    async with session() as opened, open_invocations(opened, 1, 1) as invocations:
        answer = await invocations.invoke(f"{function}-slow", None, b'{"sleep":20}')
    assert answer.function_error == "Unhandled"
    assert b"imed out" in answer.payload


async def test_queue(ministack: Ministack, function: str) -> None:
    """25 messages: counted, received, kept, given back, deleted."""
    with contextlib.closing(ministack.client("sqs")) as sqs:
        url = sqs.create_queue(QueueName=f"failed-{function}", Attributes={"VisibilityTimeout": "600"})[
            "QueueUrl"
        ]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for number in range(25):
            sqs.send_message(QueueUrl=url, MessageBody=f"message {number}")
        async with session() as opened, open_queue(opened.services, parse_queue(arn)) as queue:
            attributes = await queue.attributes()
            assert (attributes.arn, attributes.messages, attributes.visibility_s) == (arn, 25, 600)
            found = []
            while page := await queue.receive(visibility_s=300):
                found += page
            assert sorted(message.body for message in found) == sorted(f"message {n}" for n in range(25))
            assert {message.received for message in found} == {1}
            assert all(message.sent_at and message.sent_at > 1_700_000_000 for message in found)
            assert (await queue.attributes()).in_flight == 25
            assert await queue.extend(found, 600) == []
            assert await queue.delete(found[:24]) == []
            assert await queue.extend(found[24:], 0) == []
            (again,) = await queue.receive()
            assert (again.body, again.received) == (found[24].body, 2)
            assert await queue.delete([again]) == []
            assert (await queue.attributes()).messages == 0


async def test_queue_that_is_not_there(function: str) -> None:
    """SQS says so by a code."""
    name = parse_queue(f"arn:aws:sqs:{REGION}:000000000000:absent")
    async with session() as opened, open_queue(opened.services, name) as queue:
        with pytest.raises(UnansweredError, match=r"NonExistentQueue|QueueDoesNotExist"):
            await queue.attributes()


async def test_objects_in_order(ministack: Ministack, function: str) -> None:
    """Those of the prefix only, ascending, over several pages; folders are left out."""
    bucket = f"failed-{function}"
    prefix = "aws/lambda/u-1/"
    keys = [f"{prefix}shardId-{shard}/2026/11/30/{n:04}" for shard in range(2) for n in range(20)]
    with contextlib.closing(ministack.client("s3")) as s3:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in (*reversed(keys), "aws/lambda/u-2/x", f"{prefix}a b+é"):
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        s3.put_object(Bucket=bucket, Key=prefix, Body=b"")
    async with session() as opened, opened.services.open("s3", 60.0) as client:
        found = [one async for one in list_objects(client, parse_prefix(f"s3://{bucket}/{prefix}"))]
        assert [one.name.key for one in found] == [f"{prefix}a b+é", *keys]
        assert await object_bytes(client, found[0].name, 100) == f"{prefix}a b+é".encode()
        assert found[0].size == len(f"{prefix}a b+é".encode())
        with pytest.raises(RefusedError, match="more than 3 bytes"):
            await object_bytes(client, found[0].name, 3)
