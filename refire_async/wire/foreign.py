"""Errors of aiohttp and botocore, translated once, at the boundary."""

import os

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    HTTPClientError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from refire_async.errors import ExitCode
from refire_async.wire.errors import Disposition, WireError, lost_answer, make_error, not_sent

FOREIGN = (BotoCoreError, ClientError, ResponseParserError)
"""What calls over aioboto3 raise."""

LOG_IN = "log in again (`aws sso login`) or choose another --profile"

_CHECK_WAY = "check the network, --endpoint-url, --region and the proxy settings"
_CHECK_TRUST = "check --endpoint-url, or name your proxy's CA in AWS_CA_BUNDLE"

_LOGIN_EXPIRED = (SSOError, TokenRetrievalError, NoAuthTokenError, RefreshWithMFAUnsupportedError)
_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, *_LOGIN_EXPIRED)


# In order: the first class that fits. Everything up to a ready connection is certainly not applied.
_LOST: tuple[tuple[type[Exception], str, Disposition, str, str], ...] = (
    (
        aiohttp.ConnectionTimeoutError,
        "ConnectTimeout",
        Disposition.RETRY,
        "no connection to {host} in time",
        _CHECK_WAY,
    ),
    (
        aiohttp.ClientConnectorCertificateError,
        "UntrustedCertificate",
        Disposition.FATAL,
        "the certificate of {host} cannot be verified ({error})",
        _CHECK_TRUST,
    ),
    (
        aiohttp.ClientHttpProxyError,
        "ProxyError",
        Disposition.RETRY,
        "the proxy does not connect to {host} ({error.status} {error.message})",
        "check HTTPS_PROXY and its user name and password",
    ),
    (
        aiohttp.ClientConnectorError,
        "ConnectError",
        Disposition.RETRY,
        "cannot connect to {host} ({why})",
        _CHECK_WAY,
    ),
    (TimeoutError, "Timeout", Disposition.UNKNOWN, "no answer from {host} in time", ""),
    (
        aiohttp.ClientPayloadError,
        "TruncatedAnswer",
        Disposition.UNKNOWN,
        "an answer from {host} broke off",
        "",
    ),
    (
        aiohttp.ClientResponseError,
        "GarbledAnswer",
        Disposition.UNKNOWN,
        "an answer from {host} is not HTTP",
        "",
    ),
)


def from_aiohttp(error: Exception, host: str) -> WireError:
    """The WireError for what one request over aiohttp raised."""
    for kind, code, disposition, message, action in _LOST:
        if isinstance(error, kind):
            return WireError(
                code, message.format(host=host, error=error, why=_why(error)), disposition, action=action
            )
    return lost_answer("ConnectionLost", f"the connection to {host} was lost before an answer")


def _why(error: Exception) -> str:
    """The system's words for a failed connection; asyncio puts its own in their place."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return str(getattr(error, "strerror", None) or type(error).__name__)


def from_control_plane(error: Exception, operation: str, host: str) -> WireError:
    """The WireError for one of FOREIGN. Its exit code says that nothing was written: control calls write nothing."""
    translated = _translate(error, operation, host)
    translated.exit_code = ExitCode.REFUSED
    return translated


def _translate(error: Exception, operation: str, host: str) -> WireError:
    match error:
        case ClientError():
            said = dict(error.response)
            described = said.pop("Error", {})
            status = said.pop("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            # Where an answer is not DynamoDB's, botocore makes up a code from the status.
            code = described.get("Code", "")
            body = (
                {} if code.isdecimal() else {"__type": code, "message": described.get("Message", ""), **said}
            )
            return make_error(body, status, operation)
        case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
            return from_credentials(error)
        case _ if isinstance(error, _LOGIN_EXPIRED):
            return from_credentials(error)
        case SSLError():
            return WireError(
                "UntrustedCertificate",
                f"no trusted TLS connection to {host} ({error.kwargs.get('error')})",
                Disposition.FATAL,
                action=_CHECK_TRUST,
            )
        case ReadTimeoutError() | ConnectionClosedError():
            failed = lost_answer(type(error).__name__, f"{operation} got no answer from {host}")
        case BotoConnectionError():
            failed = not_sent(type(error).__name__, f"cannot connect to {host}")
        case ResponseParserError() | HTTPClientError():
            failed = lost_answer(type(error).__name__, f"{host} does not answer as DynamoDB does")
        case _:
            return WireError(
                type(error).__name__,
                f"{operation} cannot be asked: {' '.join(str(error).split())}",
                Disposition.FATAL,
                action="correct the option or AWS setting that it names",
            )
    failed.action = _CHECK_WAY
    return failed


def from_credentials(error: Exception) -> WireError:
    """Credentials cannot be had. Nothing was sent, so nothing was applied."""
    match error:
        case _ if isinstance(error, _LOGIN_EXPIRED):
            return WireError("LoginExpired", "the AWS login has expired", Disposition.FATAL, action=LOG_IN)
        case PartialCredentialsError():
            return WireError(
                "PartialCredentials",
                f"AWS credentials are incomplete: {error}",
                Disposition.FATAL,
                action=LOG_IN,
            )
        case NoCredentialsError():
            return no_credentials()
        case BotoConnectionError() | HTTPClientError():
            return not_sent("CredentialsUnavailable", "cannot reach the source of the AWS credentials")
        case ClientError():
            code = error.response.get("Error", {}).get("Code", "")
            return not_sent("CredentialsUnavailable", f"AWS credentials were refused for now ({code})")
        case _:
            return not_sent(
                "CredentialsUnavailable", f"AWS credentials cannot be had now ({type(error).__name__})"
            )


def no_credentials() -> WireError:
    """The usual places hold no credentials."""
    return WireError(
        "NoCredentials",
        "no AWS credentials found",
        Disposition.FATAL,
        action="log in (`aws sso login`), choose a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
