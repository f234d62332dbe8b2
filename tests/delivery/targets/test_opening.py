"""The options choose the target."""

from collections import deque
from pathlib import Path

import pytest

from refire_async.aws.function_names import parse_function
from refire_async.aws.session import open_session
from refire_async.delivery.target import Fate, InvocationError
from refire_async.delivery.targets.opening import open_target
from refire_async.errors import RefusedError, UsageError
from refire_async.settings import Connection, DeliverySettings
from tests.aws.raw_server import RawServer, reply

EVENT = b'{"Records":[{"eventID":"1"}]}'
HERE = Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with credentials and nothing of this machine's configuration."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    return monkeypatch


async def test_file_and_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No session is needed for them."""
    path = tmp_path / "events.jsonl"
    async with open_target(
        DeliverySettings(to=str(path), whole_events=True), None, wants_array=True
    ) as target:
        await target.invoke(EVENT)
        assert target.wants_array
    assert path.read_bytes() == EVENT + b"\n"
    monkeypatch.syspath_prepend(str(tmp_path))
    async with open_target(DeliverySettings(to="python:json.dumps"), None) as target:
        assert target.name == "python:json.dumps"
    with pytest.raises(UsageError, match="no target"):
        async with open_target(DeliverySettings(), None):
            pytest.fail("opened")


async def test_function(aws: pytest.MonkeyPatch) -> None:
    """At its qualifier; refusals carry their fate."""
    refusal = reply(b'{"message":"too large"}', 413, X_Amzn_ErrorType="RequestTooLargeException")
    done = reply(b'{"batchItemFailures":[]}', X_Amz_Executed_Version="3")
    async with RawServer(script=deque([done, refusal])) as server:
        aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        settings = DeliverySettings(function=f"{ARN}:live")
        async with (
            open_session(HERE, 1) as session,
            open_target(settings, session, timeout_s=3) as target,
        ):
            assert target.name == f"{ARN}:live"
            answer = await target.invoke(EVENT)
            with pytest.raises(InvocationError) as caught:
                await target.invoke(EVENT)
    assert (answer.payload, answer.version) == (b'{"batchItemFailures":[]}', "3")
    assert caught.value.fate is Fate.TOO_LARGE
    assert "PLANTED" not in str(caught.value)


async def test_function_of_another_region(aws: pytest.MonkeyPatch) -> None:
    """Lambda would look for it in the session's."""
    name = parse_function(ARN.replace("eu-west-1", "us-east-1"))
    async with open_session(HERE, 1) as session:
        with pytest.raises(RefusedError, match="us-east-1") as caught:
            async with open_target(DeliverySettings(), session, function=name):
                pytest.fail("opened")
    assert caught.value.action == "give --region us-east-1"
