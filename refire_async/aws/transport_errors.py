"""Failures of requests without a usable answer, in one table.

Their meaning for the write depends on one question: may the service have received the request? Until the connection is
ready it cannot have (RETRY), afterwards it may have (UNKNOWN). That includes a reset of a connection that was idle
before: the service may have read the request and failed.
"""

import os
import ssl

from refire_async.aws.errors import AwsError, Disposition

_CHECK_WAY = "check the network, --endpoint-url, --region and the proxy settings"
_CHECK_TRUST = "check --endpoint-url, or name your proxy's CA in AWS_CA_BUNDLE"
_CHECK_PROXY = "check HTTPS_PROXY and its user name and password"
_CHECK_SCHEME = "check --endpoint-url: its port, and whether it is http:// or https://"

FAILURES: dict[str, tuple[Disposition, str, str]] = {
    "ConnectTimeout": (Disposition.RETRY, "no connection to {host} in time", _CHECK_WAY),
    "ConnectError": (Disposition.RETRY, "cannot connect to {host} ({why})", _CHECK_WAY),
    "ProxyError": (Disposition.RETRY, "the proxy does not connect to {host} ({why})", _CHECK_PROXY),
    "ProxyUnreachable": (
        Disposition.RETRY,
        "cannot connect to the proxy for {host} ({why})",
        "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    ),
    "UntrustedProxy": (
        Disposition.FATAL,
        "the certificate of the proxy for {host} cannot be verified ({why})",
        "check HTTPS_PROXY, or name the proxy's CA in AWS_CA_BUNDLE",
    ),
    "NotTls": (Disposition.FATAL, "{host} does not support TLS on this port ({why})", _CHECK_SCHEME),
    "NotPlain": (
        Disposition.UNKNOWN,
        "{host} expects TLS on this port, but the request was without",
        _CHECK_SCHEME,
    ),
    "UntrustedCertificate": (
        Disposition.FATAL,
        "the certificate of {host} cannot be verified ({why})",
        _CHECK_TRUST,
    ),
    "Timeout": (Disposition.UNKNOWN, "no answer from {host} in time", _CHECK_WAY),
    "ConnectionLost": (Disposition.UNKNOWN, "the connection to {host} was lost before an answer", _CHECK_WAY),
    "TruncatedAnswer": (Disposition.UNKNOWN, "an answer from {host} was cut off", _CHECK_WAY),
    "GarbledAnswer": (Disposition.UNKNOWN, "an answer from {host} is not HTTP", _CHECK_WAY),
    "OversizedAnswer": (Disposition.UNKNOWN, "an answer from {host} is too large", _CHECK_WAY),
    "UndecodableAnswer": (
        Disposition.UNKNOWN,
        "an answer from {host} has an unsupported compression ({why})",
        _CHECK_WAY,
    ),
    "DamagedAnswer": (Disposition.UNKNOWN, "an answer from {host} does not match its checksum", _CHECK_WAY),
    "UnreadableAnswer": (Disposition.UNKNOWN, "{host} does not answer as DynamoDB does", _CHECK_WAY),
}
"""By the code of a request without an answer: disposition, message and action."""


def failure(code: str, host: str, why: str = "") -> AwsError:
    """The error of a request to `host` that failed with `code`; `why` is the system's message."""
    disposition, message, action = FAILURES[code]
    return AwsError(code, message.format(host=host, why=why), disposition, action=action)


def reason(error: BaseException) -> str:
    """The system's message for `error`, which asyncio replaces by its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if not isinstance(error, OSError):
        return type(error).__name__
    if error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


_PLAIN_ANSWERS = frozenset(
    ("HTTP_REQUEST", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
)
"""Reasons of OpenSSL for a peer whose first bytes are not TLS."""


def connecting(error: OSError) -> str:
    """The code of a failure to connect."""
    match error:
        case TimeoutError():
            return "ConnectTimeout"
        case ssl.SSLCertVerificationError():
            return "UntrustedCertificate"
        case ssl.SSLError() if error.reason in _PLAIN_ANSWERS:
            return "NotTls"
        case _:
            return "ConnectError"


def is_tls(answer: bytes) -> bool:
    """Whether these first bytes of an answer are a TLS alert or handshake record (RFC 8446, 5.1)."""
    return answer[:1] in (b"\x15", b"\x16") and answer[1:2] == b"\x03"
