"""What an error of a call says in a diagnosis."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoRegionError

from refire_async.aws.errors import AwsError, make_error
from refire_async.aws.other_services import UnansweredError, asking
from refire_async.aws.providers import nothing_found
from refire_async.aws.transport_errors import failure
from refire_async.diagnosis.probes import classify, why
from refire_async.errors import RefireError, RefusedError


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "planted"}}, "ListPipes")


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (refused("AccessDeniedException"), "refused", "AccessDeniedException"),
        (refused("planted"), "refused", "other"),
        (EndpointConnectionError(endpoint_url="http://planted"), "no answer", "EndpointConnectionError"),
        (TimeoutError(), "no answer", "Timeout"),
        (ConnectionResetError("planted"), "no answer", "ConnectionResetError"),
    ],
)
async def test_errors_of_other_services(error: Exception, outcome: str, code: str) -> None:
    """As `asking` translates them: the code of the cause, not its message."""
    with pytest.raises(UnansweredError) as caught:
        async with asking("pipes", 5.0):
            raise error
    assert classify(caught.value) == (outcome, code)


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (
            make_error({"__type": "x#ResourceNotFoundException"}, 400, "Scan"),
            "refused",
            "ResourceNotFoundException",
        ),
        (make_error({}, 503, "Scan"), "refused", "HTTP 503"),
        (failure("ConnectError", "planted", "planted"), "no answer", "ConnectError"),
        (UnansweredError("pipes was not asked: planted"), "not tried", None),
    ],
)
def test_errors_of_the_table(error: AwsError | UnansweredError, outcome: str, code: str | None) -> None:
    assert classify(error) == (outcome, code)


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (nothing_found("planted").error(), "NoCredentials"),
        (NoRegionError(), "NoRegionError"),
        (None, "RefusedError"),
    ],
)
def test_a_session_that_cannot_be_opened(cause: Exception | None, code: str) -> None:
    """The code of what caused the refusal, whose message can have the name of a profile."""
    error: RefireError = RefusedError("planted", "planted")
    error.__cause__ = cause
    assert why(error) == code
