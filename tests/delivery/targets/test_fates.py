"""What each error of an invocation means for its batch."""

import botocore.session
import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.invocations import refusal
from refire_async.aws.transport_errors import FAILURES, failure
from refire_async.aws.types import Response
from refire_async.delivery.target import Fate
from refire_async.delivery.targets.fates import _BY_NAME, fate_of, invocation_error
from refire_async.errors import ExitCode


def answered(status: int, name: str = "", body: bytes = b"{}") -> AwsError:
    headers = {"X-Amzn-ErrorType": name} if name else {}
    return refusal(Response(status, headers, body), "f")


@pytest.mark.parametrize(
    ("status", "name", "fate"),
    [
        (429, "TooManyRequestsException", Fate.THROTTLED),
        (502, "ResourceNotReadyException", Fate.WAIT),
        (502, "ENINotReadyException", Fate.WAIT),
        (502, "EC2ThrottledException", Fate.WAIT),
        (502, "KMSAccessDeniedException", Fate.STOP),
        (502, "InvalidRuntimeException", Fate.STOP),
        (502, "InvalidZipFileException", Fate.STOP),
        (409, "SnapStartNotReadyException", Fate.WAIT),
        (409, "ResourceConflictException", Fate.WAIT),
        (408, "SnapStartTimeoutException", Fate.WAIT),
        (408, "EFSMountTimeoutException", Fate.WAIT),
        (413, "RequestTooLargeException", Fate.TOO_LARGE),
        (400, "InvalidRequestContentException", Fate.STOP),
        (400, "RecursiveInvocationException", Fate.STOP),
        (402, "ServiceQuotaExceededException", Fate.STOP),
        (404, "ResourceNotFoundException", Fate.STOP),
        (403, "AccessDeniedException", Fate.STOP),
        (403, "UnrecognizedClientException", Fate.STOP),
        (403, "ExpiredTokenException", Fate.WAIT),
        (400, "ThrottlingException", Fate.THROTTLED),
        (500, "ServiceException", Fate.UNKNOWN),
        (410, "EFSIOException", Fate.UNKNOWN),
        (500, "", Fate.UNKNOWN),
        (502, "", Fate.UNKNOWN),
        (502, "NewInvocationException", Fate.UNKNOWN),
        (503, "ServiceUnavailableException", Fate.UNKNOWN),
        (504, "", Fate.UNKNOWN),
        (408, "", Fate.UNKNOWN),
        (409, "NewException", Fate.WAIT),
        (413, "", Fate.TOO_LARGE),
        (429, "", Fate.THROTTLED),
        (418, "", Fate.STOP),
        (307, "", Fate.STOP),
        (202, "", Fate.UNKNOWN),
    ],
)
def test_fate(status: int, name: str, fate: Fate) -> None:
    """By name, and by status for a name that is not known."""
    error = invocation_error(answered(status, name))
    assert error.fate is fate
    assert error.message
    assert (error.exit_code is ExitCode.REFUSED) == (fate is Fate.STOP)


def test_every_error_of_the_api_model_is_in_the_table() -> None:
    """None of those that Lambda documents is left to its status."""
    model = botocore.session.Session().get_service_model("lambda").operation_model("Invoke")
    named = {shape.name.removesuffix("Exception") for shape in model.error_shapes}
    assert len(named) > 25
    assert named <= _BY_NAME.keys()


@pytest.mark.parametrize("code", FAILURES)
def test_transport_errors(code: str) -> None:
    """A connection that was never made is waited for; an answer that is lost is unknown."""
    error = failure(code, "host", "why")
    expected = {
        Disposition.RETRY: Fate.WAIT,
        Disposition.UNKNOWN: Fate.UNKNOWN,
        Disposition.FATAL: Fate.STOP,
    }
    assert fate_of(error) is expected[error.disposition]


def test_reason_and_wait_are_passed_on() -> None:
    """The dispatcher slows down by them."""
    body = b'{"Reason":"CallerRateLimitExceeded"}'
    headers = {"X-Amzn-ErrorType": "TooManyRequestsException", "Retry-After": "2"}
    error = invocation_error(refusal(Response(429, headers, body), "f"))
    assert (error.reason, error.retry_after_s) == ("CallerRateLimitExceeded", 2.0)
