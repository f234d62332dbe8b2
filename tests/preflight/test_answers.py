"""What becomes of services that are silent or refuse, and of what they say in forms that moto does not know."""

from collections import deque
from typing import Any

import anyio
import pytest

from refire_async.aws.config import AwsSession
from refire_async.aws.endpoint import Endpoint
from refire_async.aws.event_source_mappings import parse_mapping
from refire_async.aws.other_services import Services
from refire_async.preflight import collect
from refire_async.sandbox.errors import ServiceError
from refire_async.settings import Connection
from tests.aws.raw_server import RawServer, reply, say_nothing
from tests.preflight.world import World


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials, and patience for tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    monkeypatch.setattr(collect, "TIMEOUT_S", 1.0)
    return monkeypatch


async def notes_with(aws: pytest.MonkeyPatch, server: RawServer) -> list[str]:
    """What is said where that server stands for Lambda, and nobody for CloudWatch."""
    aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    world = World(None)
    world.fill()
    world.db.services = Services(
        AwsSession(Connection(region="eu-west-1")), Endpoint("http://sandbox/", "sandbox")
    )
    found = await world.check()
    assert {finding.level for finding in found} == {"info"}
    assert "consumer-effects" in {finding.id for finding in found}
    return [finding.message for finding in found if finding.id == "not-asked"]


async def test_silence_is_a_note_and_takes_its_bound(aws: pytest.MonkeyPatch) -> None:
    """All else that was asked at the same time is there."""
    async with RawServer(script=deque([say_nothing])) as server:
        with anyio.fail_after(20):
            notes = await notes_with(aws, server)
    assert "consumers: no answer within 1 s" in notes


async def test_a_refusal_is_a_note(aws: pytest.MonkeyPatch) -> None:
    """With its code; CloudWatch is asked all the same, which nobody set an endpoint for."""
    body = b'{"Message":"no","Code":"AccessDeniedException"}'
    async with RawServer(script=deque([reply(body, status=403)])) as server:
        notes = await notes_with(aws, server)
    assert "lambda refused to answer: AccessDeniedException" in notes
    assert "cloudwatch was not asked: --endpoint-url names an emulator" in notes


async def test_a_sample_that_cannot_be_taken_is_a_note() -> None:
    """The rest of the check stands."""
    world = World(None)
    world.fill()

    def refuse(operation: str, _request: dict[str, Any]) -> None:
        if operation == "Scan":
            raise ServiceError("InternalServerError", "again", status=500)

    world.db.watch = refuse
    found = {finding.id: finding for finding in await world.check()}
    assert "InternalServerError" in found["not-sampled"].message


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:f:live"},
            {"function": "f:live", "enabled": True},
        ),
        ({"State": "Disabling"}, {"enabled": False}),
        ({"State": "Creating"}, {"enabled": True}),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}, {}]}}, {"filters": ("{}",)}),
        ({"FilterCriteria": None}, {"filters": ()}),
        ({"KMSKeyArn": "arn", "FilterCriteriaError": {"ErrorCode": "KMS"}}, {"filters": None}),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn"}}}, {"has_failure_destination": True}),
        ({"DestinationConfig": {"OnFailure": {}}}, {"has_failure_destination": False}),
        ({"MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": 0}, {"max_age_s": -1, "max_retries": 0}),
    ],
)
def test_mappings_as_lambda_tells_them(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    """Members are missing where they have no value."""
    mapping = parse_mapping({"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:f", **entry})
    assert {name: getattr(mapping, name) for name in expected} == expected
