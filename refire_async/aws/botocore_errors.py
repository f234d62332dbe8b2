"""Errors of botocore, translated once, at the boundary."""

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
"""What calls over aioboto3 raise."""

LOG_IN = "log in again (`aws sso login`) or choose another --profile"

FATAL = Disposition.FATAL


def from_control_plane(error: Exception, operation: str, host: str, owner: str = "") -> AwsError:
    """The WireError for one of FOREIGN. Its exit code says that nothing was written: control calls write nothing.

    `owner` tells whose credentials they are, as a CredentialSource does.
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
                f"{operation} cannot be asked: {' '.join(str(error).split())}",
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
    """What became of a request of botocore's that got no answer, None where that is not what the error is about."""
    cause = error.kwargs.get("error") if isinstance(error, BotoCoreError) else None
    return cause if isinstance(cause, AwsError) else None


def _from_answer(error: ClientError, operation: str) -> AwsError:
    said = dict(error.response)
    described = said.pop("Error", {})
    status = said.pop("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = described.get("Code", "")
    if code.isdecimal():  # made up by botocore from the status: the answer was not DynamoDB's
        return make_error({}, status, operation)
    return make_error({"__type": code, "message": described.get("Message", ""), **said}, status, operation)


def expired_token(code: str, owner: str) -> AwsError:
    """The service calls the session token expired, and there is no other."""
    return AwsError(code, f"the AWS session token{owner} has expired", FATAL, action=LOG_IN)


def refused_time(code: str) -> AwsError:
    """The service finds the signature too old or too new, and its clock is unknown or does not help."""
    return AwsError(
        code, "the service refuses the time of the signature", FATAL, action="set this machine's clock"
    )
