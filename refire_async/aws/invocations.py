"""Synchronous invocations of Lambda functions, over connections of our own: bytes in, bytes out, one attempt."""

import base64
import binascii
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from refire_async.aws.errors import AwsError, Disposition, error_of
from refire_async.aws.http_backend import Timeouts
from refire_async.aws.other_services import UnansweredError
from refire_async.aws.session import Session
from refire_async.aws.types import INVOKE_API, Request, Response, Transport
from refire_async.errors import RefusedError

ANSWER_LIMIT = 7 * 1024 * 1024
"""Bytes of an answer at most: 6 MB of payload (Lambda quotas), head included."""

_MARGIN_S = 10.0
"""How much longer than the function may run an answer is waited for: Lambda itself ends it at the timeout, and a cold
start comes before it."""

_INIT_S = 15.0
"""A function that starts has up to 10 s for its initialization on top of the timeout (Lambda Developer Guide:
Lambda runtime environment lifecycle)."""

_KEEP_ALIVE_S = 45.0
"""Routers drop silent connections, AWS's NAT gateway after 350 s."""

_LONGEST_WAIT_S = 300.0
"""Seconds of a Retry-After that are believed."""

_WORDS_LIMIT = 300

_CHECK_ENDPOINT = "check AWS_ENDPOINT_URL_LAMBDA and the proxy settings"

_ABOUT_THE_EVENT = frozenset(
    ("InvalidRequestContent", "RequestTooLarge", "SerializedRequestEntityTooLarge", "UnsupportedMediaType")
)

_ABOUT_THE_FUNCTION = frozenset(
    (
        "EC2AccessDenied",
        "EFSMountFailure",
        "ENILimitReached",
        "InvalidRuntime",
        "InvalidSecurityGroupID",
        "InvalidSubnetID",
        "InvalidZipFile",
        "KMSAccessDenied",
        "KMSDisabled",
        "KMSInvalidState",
        "KMSNotFound",
        "RecursiveInvocation",
        "SnapStart",
    )
)
"""Errors whose words are about the function's configuration. Those about a request can quote it."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """What a function answered. `payload` is the body as it came.

    `function_error` is `Unhandled` or `Handled`, None if the function did not fail. `log_tail` is the end of its log,
    at most 4 KB. `version` is the version that ran.
    """

    payload: bytes
    function_error: str | None
    log_tail: str
    version: str


class InvokeError(AwsError):
    """An invocation that Lambda refused, or whose answer is lost.

    `reason` and `retry_after_s` are those of a 429: why, and how many seconds the service asks to wait.
    """

    reason: str = ""
    retry_after_s: float | None = None


def timeouts_of(function_timeout_s: float) -> Timeouts:
    """How long to wait for a function that may run for so many seconds."""
    return Timeouts(answer_s=function_timeout_s + _INIT_S + _MARGIN_S, keep_alive_s=_KEEP_ALIVE_S)


def invocation_path(function: str, qualifier: str | None) -> str:
    """Path and query of an invocation; `function` is a name, an ARN or a part of one."""
    query = f"?Qualifier={quote(qualifier, safe='-._~')}" if qualifier else ""
    return f"/2015-03-31/functions/{quote(function, safe='-._~')}/invocations{query}"


@asynccontextmanager
async def open_invocations(
    session: Session, concurrency: int, function_timeout_s: float
) -> AsyncIterator["Invocations"]:
    """Invokes functions in the session's account and region, at most `concurrency` at once.

    `function_timeout_s` is the longest timeout of them. Nothing is sent yet.

    Raises:
        RefusedError: the table is in an emulator, and no endpoint is set for Lambda.
        UsageError: malformed endpoint or AWS configuration.
    """
    if session.transports is None:
        raise RefusedError("Lambda cannot be invoked: there is no AWS session")
    try:
        route = await session.services.route("lambda", "invoke", FunctionName="any")
    except UnansweredError as error:
        raise RefusedError(str(error), "set AWS_ENDPOINT_URL_LAMBDA to where the function is") from error
    async with AsyncExitStack() as stack:
        transport = await session.transports.open(
            stack,
            route,
            concurrency,
            INVOKE_API,
            timeouts=timeouts_of(function_timeout_s),
            answer_limit=ANSWER_LIMIT,
        )
        yield Invocations(transport)


class Invocations:
    """Invokes functions over a transport. Safe for any number of tasks at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def invoke(self, function: str, qualifier: str | None, event: bytes) -> Invoked:
        """Invoke a function once and wait for its end. Never tries again.

        Raises:
            InvokeError: Lambda's refusal, or an answer that is not Lambda's.
            AwsError: no connection, no whole answer, or no credentials.
        """
        response = await self._transport(Request("Invoke", event, invocation_path(function, qualifier)))
        if response.status != 200:
            raise refusal(response, f"{function}:{qualifier}" if qualifier else function)
        return parse_answer(response)


def parse_answer(response: Response) -> Invoked:
    """A 200 as what the function answered.

    Lambda names the version that ran. Emulators may not: then the body has to be JSON, as a gateway's page is not.

    Raises InvokeError (UNKNOWN).
    """
    headers = response.headers
    version = headers.get("X-Amz-Executed-Version")
    error = headers.get("X-Amz-Function-Error")
    if version is None and error is None and response.body:
        try:
            orjson.loads(response.body)
        except orjson.JSONDecodeError:
            raise InvokeError(
                "UnreadableAnswer",
                "the answer to Invoke is not what Lambda sends",
                Disposition.UNKNOWN,
                action=_CHECK_ENDPOINT,
                status=response.status,
            ) from None
    return Invoked(
        payload=response.body,
        function_error=_one_line(error)[:_WORDS_LIMIT] or None,
        log_tail=_log_tail(headers.get("X-Amz-Log-Result")),
        version=_one_line(version)[:_WORDS_LIMIT] or "$LATEST",
    )


def refusal(response: Response, function: str) -> InvokeError:
    """The error that an answer to the invocation of `function` is. Its status is not 200."""
    found = error_of(response, "Invoke")
    message, action = found.message, found.action
    if 200 <= response.status < 300:
        found.disposition = Disposition.UNKNOWN  # the request was taken; whether the function ran is not said
        message, action = f"Invoke was answered with HTTP {response.status}", _CHECK_ENDPOINT
    elif found.name == "ResourceNotFound":
        message, action = f"there is no function {function}", "check --function, --region and --profile"
    elif found.name.startswith("HTTP ") and found.disposition is Disposition.FATAL:
        message, action = f"Invoke was answered with {found.name}, and not by Lambda", _CHECK_ENDPOINT
    elif found.name in _ABOUT_THE_FUNCTION:
        said = found.detail[:_WORDS_LIMIT].rstrip(". ")
        message = f"Lambda cannot run {function}: {found.code}" + (f" ({said})" if said else "")
        action = "correct the function's configuration"
    elif found.name in _ABOUT_THE_EVENT:
        message, action = f"Lambda does not accept the event for {function}: {found.code}", ""
    error = InvokeError(
        found.code, message, found.disposition, action=action, status=response.status, detail=found.detail
    )
    if response.status == 429:
        error.reason = _reason(response.body)
        error.retry_after_s = _seconds(response.headers.get("Retry-After"))
        error.message = f"Lambda throttles {function}: {error.reason or found.code}"
    return error


def _reason(body: bytes) -> str:
    """Why a 429 was sent: `Reason` of TooManyRequestsException, "" where it is not there."""
    try:
        described = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    reason = described.get("Reason") if isinstance(described, dict) else None
    return _one_line(reason)[:_WORDS_LIMIT] if isinstance(reason, str) else ""


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds, at most `_LONGEST_WAIT_S`. None for a date or anything else."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT_S) if math.isfinite(seconds) and seconds >= 0 else None


def _log_tail(encoded: str | None) -> str:
    """The text in X-Amz-Log-Result, "" where it is not base64: the log is no part of the outcome."""
    try:
        return base64.b64decode(encoded or "", validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _one_line(text: str | None) -> str:
    return " ".join(text.split()) if text else ""
