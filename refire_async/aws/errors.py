"""The meaning of an error answer for the write behind it: one table for data plane and control plane.

Only `Disposition` decides about a retry. If the outcome is not certain the table has UNKNOWN: the caller then treats a
later failed condition as "has fired", so that no item fires twice.

Logs: `message` and `action` consist of codes, operations, ARNs and names of resources, never of item data or
credentials. The service's own message is in `detail`, because that of a validation error can quote key values: only the
failed-keys file contains it. Messages of signature errors quote the session token; they are discarded.
"""

from enum import Enum
from typing import Any

import orjson

from refire_async.aws.error_hints import ITEM_WRITES, advise
from refire_async.aws.throttling import Scope, ThrottlingReason, parse_reasons
from refire_async.aws.types import Response
from refire_async.errors import ExitCode, RefireError

__all__ = [
    "KNOWN_NAMES",
    "AwsError",
    "Disposition",
    "Scope",
    "ThrottlingReason",
    "error_of",
    "lost_answer",
    "make_error",
    "member_disposition",
    "not_sent",
]


class Disposition(Enum):
    """What an error says about the requested write."""

    THROTTLED = "throttled"
    """Throttled: certainly not applied."""
    RETRY = "retry"
    """Failed and certainly not applied; a retry may succeed."""
    UNKNOWN = "unknown"
    """May have been applied."""
    CONDITION = "condition"
    """Its condition did not hold: not applied."""
    ITEM = "item"
    """This item can never be written; others can."""
    FATAL = "fatal"
    """No request can succeed until the user has changed something."""


# By short name without the suffix "Exception", so that an exception and the code of a batch member are one row
# (DynamoDB Developer Guide: Error handling; API reference: BatchStatementError).
_BY_NAME: dict[str, Disposition] = {
    **dict.fromkeys(
        (
            "LimitExceeded",
            "ProvisionedThroughputExceeded",
            "RequestLimitExceeded",
            "SlowDown",
            "Throttling",
            "ThrottlingError",
            "TooManyRequests",
        ),
        Disposition.THROTTLED,
    ),
    **dict.fromkeys(
        (
            # Credentials are refreshed and the clock is corrected before the next try.
            "ExpiredToken",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
            "ExpiredIterator",
            "ReplicatedWriteConflict",
            "ResourceInUse",
            "TransactionConflict",
            "TransactionInProgress",
        ),
        Disposition.RETRY,
    ),
    # A 503 can come from a front end that had forwarded the write, so the outcome is unknown.
    **dict.fromkeys(
        ("InternalFailure", "InternalServer", "InternalServerError", "ServiceUnavailable"),
        Disposition.UNKNOWN,
    ),
    "ConditionalCheckFailed": Disposition.CONDITION,
    **dict.fromkeys(
        ("DuplicateItem", "ItemCollectionSizeLimitExceeded", "Validation", "ValidationError"),
        Disposition.ITEM,
    ),
    **dict.fromkeys(
        (
            "AccessDenied",
            "IncompleteSignature",
            "InvalidSignature",
            "MissingAuthenticationToken",
            "ResourceNotFound",
            "TrimmedDataAccess",
            "UnknownOperation",
            "UnrecognizedClient",
        ),
        Disposition.FATAL,
    ),
}

KNOWN_NAMES = frozenset(_BY_NAME)
"""Names of errors of the service, without the suffix `Exception`."""

_SKEWED = ("Signature expired", "Signature not yet current")
_REFUSED_TIMES = frozenset(("RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"))
_CLOCK_SKEW = _REFUSED_TIMES | {"InvalidSignature"}
_QUOTES_CREDENTIALS = frozenset(("IncompleteSignature", "InvalidSignature", "SignatureDoesNotMatch"))
_DETAIL_LIMIT = 500


class AwsError(RefireError):
    """A call that did not succeed.

    `code` is the service's short name of the error (`ThrottlingException`; for a lost answer the kind of failure, such
    as `ConnectionReset`), `status` the HTTP status (0: none), `reasons` the throttling reasons, `item` the present item
    (failed condition of an UpdateItem with ReturnValuesOnConditionCheckFailure), `detail` the service's own message,
    which must not be logged.
    """

    def __init__(
        self,
        code: str,
        message: str,
        disposition: Disposition,
        *,
        action: str = "",
        status: int = 0,
        reasons: tuple[ThrottlingReason, ...] = (),
        item: dict[str, Any] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, action)
        self.code = code
        self.disposition = disposition
        self.status = status
        self.reasons = reasons
        self.item = item
        self.detail = detail
        self.exit_code = ExitCode.REFUSED if disposition is Disposition.FATAL else ExitCode.STOPPED

    @property
    def name(self) -> str:
        """`code` without the suffix `Exception`, which only some APIs add."""
        return self.code.removesuffix("Exception")

    @property
    def is_expired_token(self) -> bool:
        """Whether the session token has expired."""
        return self.name == "ExpiredToken"

    @property
    def is_clock_skew(self) -> bool:
        """Whether the service found the signature too old or too new."""
        return self.disposition is Disposition.RETRY and self.name in _CLOCK_SKEW


def error_of(response: Response, operation: str) -> AwsError:
    """The error for an answer to `operation` whose status is not 200."""
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        body = None
    described = body if isinstance(body, dict) else {}
    if "__type" not in described:
        # REST APIs (Lambda) name the error in a header, some with more behind a colon.
        described = {**described, "__type": response.headers.get("X-Amzn-ErrorType", "").partition(":")[0]}
    return make_error(described, response.status, operation)


def make_error(body: dict[str, Any], status: int, operation: str) -> AwsError:
    """The error for a JSON body and a status. `body` is empty if the answer has no readable body."""
    code = _one_line(body.get("__type")).rpartition("#")[2] or f"HTTP {status}"
    name = code.removesuffix("Exception")
    said = _one_line(body.get("message") or body.get("Message"))
    reasons = parse_reasons(body)
    disposition = _disposition(name, status, operation, said, reasons)
    item = body.get("Item")
    message, action = f"{operation} failed: {code}", ""
    if disposition is Disposition.FATAL:
        message, action = advise(code, operation, said)
    elif disposition is Disposition.THROTTLED:
        message = f"{operation} was throttled: {reasons[0].reason if reasons else code}"
    return AwsError(
        code,
        message,
        disposition,
        action=action,
        status=status,
        reasons=reasons,
        item=item if isinstance(item, dict) else None,
        detail="" if name in _QUOTES_CREDENTIALS else said[:_DETAIL_LIMIT],
    )


def refuses_time(code: str, said: str) -> bool:
    """Whether an error means that the signature is too old or too new: each service has its own code for that.

    STS, for example, sends SignatureDoesNotMatch with "Signature expired: …".
    """
    return code.removesuffix("Exception") in _REFUSED_TIMES or said.startswith(_SKEWED)


def _one_line(text: Any) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""


def _disposition(
    name: str, status: int, operation: str, said: str, reasons: tuple[ThrottlingReason, ...]
) -> Disposition:
    if reasons:
        return Disposition.THROTTLED
    if name == "InvalidSignature" and refuses_time(name, said):
        return Disposition.RETRY
    known = _BY_NAME.get(name)
    if known is Disposition.ITEM and operation not in ITEM_WRITES:
        return Disposition.FATAL
    if known is not None:
        return known
    if status >= 500 or status == 408:
        # Also a 503 that is not DynamoDB's: a proxy sends it when its connection to the service broke. A 408 may refer
        # to another phase of the connection.
        return Disposition.UNKNOWN
    return Disposition.THROTTLED if status == 429 else Disposition.FATAL


def member_disposition(code: str) -> Disposition:
    """The disposition of one member of a BatchExecuteStatement answer, by its `Error.Code`.

    An unknown code fails its item: the service rejected it for its own reason, and the failed-keys file contains the
    code.
    """
    return _BY_NAME.get(code.removesuffix("Exception"), Disposition.ITEM)


def not_sent(code: str, message: str) -> AwsError:
    """The error of a request that was never sent: certainly not applied, may be retried."""
    return AwsError(code, message, Disposition.RETRY)


def lost_answer(code: str, message: str) -> AwsError:
    """The error of a request that was or may have been sent, and whose answer is missing or unreadable."""
    return AwsError(code, message, Disposition.UNKNOWN)
