"""Errors of aiohttp and botocore, translated once, at the boundary."""

import os

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from refire_async.errors import ExitCode
from refire_async.wire.errors import Disposition, WireError, make_error

FOREIGN = (BotoCoreError, ClientError, ResponseParserError)
"""What calls over aioboto3 raise."""

LOG_IN = "log in again (`aws sso login`) or choose another --profile"

_LOGIN_EXPIRED = (SSOError, TokenRetrievalError, NoAuthTokenError, RefreshWithMFAUnsupportedError)
CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, *_LOGIN_EXPIRED)
"""What looking for credentials raises, besides the errors of a request."""

FATAL, RETRY, UNKNOWN = Disposition.FATAL, Disposition.RETRY, Disposition.UNKNOWN

_CHECK_WAY = "check the network, --endpoint-url, --region and the proxy settings"
_CHECK_TRUST = "check --endpoint-url, or name your proxy's CA in AWS_CA_BUNDLE"
_CHECK_PROXY = "check HTTPS_PROXY and its user name and password"
_UNTRUSTED = "the certificate of {host} cannot be verified ({why})"
_NOT_DYNAMODB = "{host} does not answer as DynamoDB does"

# In order: the first class that fits. Everything up to a ready connection is certainly not applied.
_LOST: tuple[tuple[type[Exception], str, Disposition, str, str], ...] = (
    (ConnectionTimeoutError, "ConnectTimeout", RETRY, "no connection to {host} in time", _CHECK_WAY),
    (ConnectTimeoutError, "ConnectTimeout", RETRY, "no connection to {host} in time", _CHECK_WAY),
    (ClientConnectorCertificateError, "UntrustedCertificate", FATAL, _UNTRUSTED, _CHECK_TRUST),
    (SSLError, "UntrustedCertificate", FATAL, _UNTRUSTED, _CHECK_TRUST),
    (ClientHttpProxyError, "ProxyError", RETRY, "the proxy does not connect to {host} ({why})", _CHECK_PROXY),
    (ProxyConnectionError, "ProxyError", RETRY, "the proxy does not connect to {host} ({why})", _CHECK_PROXY),
    (ClientConnectorError, "ConnectError", RETRY, "cannot connect to {host} ({why})", _CHECK_WAY),
    (BotoConnectionError, "ConnectError", RETRY, "cannot connect to {host} ({why})", _CHECK_WAY),
    (TimeoutError, "Timeout", UNKNOWN, "no answer from {host} in time", _CHECK_WAY),
    (ReadTimeoutError, "Timeout", UNKNOWN, "no answer from {host} in time", _CHECK_WAY),
    (ClientPayloadError, "TruncatedAnswer", UNKNOWN, "an answer from {host} broke off", _CHECK_WAY),
    (ClientResponseError, "GarbledAnswer", UNKNOWN, "an answer from {host} is not HTTP", _CHECK_WAY),
    (ResponseParserError, "UnreadableAnswer", UNKNOWN, _NOT_DYNAMODB, _CHECK_WAY),
    (Exception, "ConnectionLost", UNKNOWN, "the connection to {host} was lost before an answer", _CHECK_WAY),
)


def from_http(error: Exception, host: str) -> WireError:
    """The WireError for what a request over aiohttp raised, by itself or below botocore."""
    code, disposition, message, action = next(row[1:] for row in _LOST if isinstance(error, row[0]))
    return WireError(code, message.format(host=host, why=_why(error)), disposition, action=action)


def _why(error: Exception) -> str:
    """The reason in the words of the system or proxy; asyncio, aiohttp and botocore put their own around it."""
    cause = getattr(error, "kwargs", {}).get("error", error)
    if isinstance(cause, ClientHttpProxyError):
        return f"HTTP {cause.status}"
    if isinstance(cause, ClientConnectorCertificateError):
        return str(cause.certificate_error)
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(cause, ClientSSLError):
        return os.strerror(number)
    return str(getattr(cause, "strerror", None) or type(cause).__name__)


def not_dynamodb(host: str) -> WireError:
    """The error of an answer that makes no sense, to a call that writes nothing."""
    return WireError("UnreadableAnswer", _NOT_DYNAMODB.format(host=host), FATAL, action=_CHECK_WAY)


def from_control_plane(error: Exception, operation: str, host: str) -> WireError:
    """The WireError for one of FOREIGN. Its exit code says that nothing was written: control calls write nothing."""
    match error:
        case ClientError():
            translated = _from_answer(error, operation)
        case _ if isinstance(error, CREDENTIALS):
            translated = from_credentials(error)
        case BotoConnectionError() | HTTPClientError() | ResponseParserError():
            translated = from_http(error, host)
        case _:
            translated = WireError(
                type(error).__name__,
                f"{operation} cannot be asked: {' '.join(str(error).split())}",
                FATAL,
                action="correct the option or AWS setting that it names",
            )
    translated.exit_code = ExitCode.REFUSED
    return translated


def _from_answer(error: ClientError, operation: str) -> WireError:
    said = dict(error.response)
    described = said.pop("Error", {})
    status = said.pop("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = described.get("Code", "")
    if code.isdecimal():  # made up by botocore from the status: the answer was not DynamoDB's
        return make_error({}, status, operation)
    return make_error({"__type": code, "message": described.get("Message", ""), **said}, status, operation)


def from_credentials(error: Exception) -> WireError:
    """Credentials cannot be had. Nothing was sent, so nothing was applied.

    Words of their source are not repeated: a credential process may say anything.
    """
    match error:
        case _ if isinstance(error, _LOGIN_EXPIRED):
            return WireError("LoginExpired", "the AWS login has expired", FATAL, action=LOG_IN)
        case PartialCredentialsError():
            return WireError(
                "PartialCredentials", f"AWS credentials are incomplete: {error}", FATAL, action=LOG_IN
            )
        case NoCredentialsError():
            return no_credentials()
        case ClientError():
            code = error.response.get("Error", {}).get("Code", "")
        case _:
            code = type(error).__name__
    return WireError(
        "CredentialsUnavailable",
        f"AWS credentials cannot be had right now ({code})",
        RETRY,
        action="find out why with `aws sts get-caller-identity` and the same --profile",
    )


def no_credentials() -> WireError:
    """The usual places hold no credentials."""
    return WireError(
        "NoCredentials",
        "no AWS credentials found",
        FATAL,
        action="log in (`aws sso login`), choose a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
