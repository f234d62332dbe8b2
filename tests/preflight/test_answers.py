"""Services that do not respond or refuse, and responses in forms that moto does not have."""

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
from tests.preflight.harness import Harness


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials, and a short timeout."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    monkeypatch.setattr(collect, "TIMEOUT_S", 1.0)
    return monkeypatch


async def notes_with(aws: pytest.MonkeyPatch, server: RawServer) -> list[str]:
    """The `not-asked` notes if `server` is Lambda and CloudWatch has no server."""
    aws.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    harness = Harness(None)
    harness.fill()
    harness.db.services = Services(
        AwsSession(Connection(region="eu-west-1")), Endpoint("http://sandbox/", "sandbox")
    )
    found = await harness.check()
    assert {finding.level for finding in found} == {"info"}
    assert "consumer-effects" in {finding.id for finding in found}
    return [finding.message for finding in found if finding.id == "not-asked"]


async def test_a_missing_response_is_a_note_within_the_timeout(aws: pytest.MonkeyPatch) -> None:
    """All other facts that were queried at the same time are there."""
    async with RawServer(script=deque([say_nothing])) as server:
        with anyio.fail_after(20):
            notes = await notes_with(aws, server)
    assert "consumers: no answer within 1 s" in notes


async def test_a_refusal_is_a_note(aws: pytest.MonkeyPatch) -> None:
    """With its code; CloudWatch is queried all the same, as it has no endpoint of its own."""
    body = b'{"Message":"no","Code":"AccessDeniedException"}'
    async with RawServer(script=deque([reply(body, status=403)])) as server:
        notes = await notes_with(aws, server)
    assert "lambda refused to answer: AccessDeniedException" in notes
    assert "cloudwatch was not asked: --endpoint-url names an emulator" in notes


async def test_a_sample_that_cannot_be_taken_is_a_note() -> None:
    """The other findings are complete."""
    harness = Harness(None)
    harness.fill()

    def refuse(operation: str, _request: dict[str, Any]) -> None:
        if operation == "Scan":
            raise ServiceError("InternalServerError", "again", status=500)

    harness.db.watch = refuse
    found = {finding.id: finding for finding in await harness.check()}
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
def test_mappings_as_lambda_returns_them(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    """Members without a value are missing."""
    mapping = parse_mapping({"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:f", **entry})
    assert {name: getattr(mapping, name) for name in expected} == expected
