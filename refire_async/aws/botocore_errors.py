"""Translate errors of botocore, once, at the boundary."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.parsers import ResponseParserError

from refire_async.aws.errors import AwsError, Disposition, make_error
from refire_async.aws.providers import RefusedCredentialsError
from refire_async.aws.transport_errors import failure
from refire_async.errors import ExitCode

FOREIGN = (BotoCoreError, ClientError, ResponseParserError)
"""Errors that calls over aioboto3 raise."""

LOG_IN = "log in again (`aws sso login`) or choose another --profile"

FATAL = Disposition.FATAL


def from_control_plane(error: Exception, operation: str, host: str, owner: str = "") -> AwsError:
    """The AwsError for one of FOREIGN. Its exit code is REFUSED, because control calls write nothing.

    `owner` describes the credentials, as `CredentialSource.owner` does.
    """
    match error:
        case ClientError():
            translated = _from_answer(error, operation)
        case RefusedCredentialsError():
            translated = error.refusal.error()
        case _ if (failed := failed_request(error)) is not None:
            translated = failed
        case ResponseParserError() | HTTPClientError():
            translated = failure("UnreadableAnswer", host)
        case _:
            translated = AwsError(
                type(error).__name__,
                f"{operation} cannot be sent: {' '.join(str(error).split())}",
                FATAL,
                action="correct the option or AWS setting that it names",
            )
    if translated.is_expired_token:
        translated = expired_token(translated.code, owner)
    elif translated.is_clock_skew:
        translated = refused_time(translated.code)
    translated.exit_code = ExitCode.REFUSED
    return translated


def failed_request(error: Exception) -> AwsError | None:
    """The AwsError of a botocore request without an answer; None if `error` has another cause."""
    cause = error.kwargs.get("error") if isinstance(error, BotoCoreError) else None
    return cause if isinstance(cause, AwsError) else None


def _from_answer(error: ClientError, operation: str) -> AwsError:
    said = dict(error.response)
    described = said.pop("Error", {})
    status = said.pop("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = described.get("Code", "")
    if code.isdecimal():  # botocore made it from the status, so the answer is not DynamoDB's
        return make_error({}, status, operation)
    return make_error({"__type": code, "message": described.get("Message", ""), **said}, status, operation)


def expired_token(code: str, owner: str) -> AwsError:
    """The error for an expired session token without a replacement."""
    return AwsError(code, f"the AWS session token{owner} has expired", FATAL, action=LOG_IN)


def refused_time(code: str) -> AwsError:
    """The error for a signature that the service finds too old or too new, if its clock is unknown or does not help."""
    return AwsError(
        code, "the service rejects the time of the signature", FATAL, action="set this machine's clock"
    )
