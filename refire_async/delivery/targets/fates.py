"""What an error of an invocation means for its batch: one table. Pure.

From the Lambda API reference (Invoke: Errors). What is not in the table goes by its HTTP status, and where that leaves
open whether the function ran, the fate is UNKNOWN.
"""

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.invocations import InvokeError
from refire_async.delivery.target import Fate, InvocationError

_BY_NAME: dict[str, Fate] = {
    **dict.fromkeys(("TooManyRequests",), Fate.THROTTLED),
    **dict.fromkeys(
        (
            "EC2Throttled",
            "EC2Unexpected",
            "EFSMountConnectivity",
            "EFSMountTimeout",
            "ENINotReady",
            "ResourceConflict",
            "ResourceNotReady",
            "SnapStartNotReady",
            "SnapStartTimeout",
            "SubnetIPAddressLimitReached",
        ),
        Fate.WAIT,
    ),
    **dict.fromkeys(("RequestTooLarge", "SerializedRequestEntityTooLarge"), Fate.TOO_LARGE),
    **dict.fromkeys(
        (
            "EC2AccessDenied",
            "EFSMountFailure",
            "ENILimitReached",
            "InvalidParameterValue",
            "InvalidRequestContent",
            "InvalidRuntime",
            "InvalidSecurityGroupID",
            "InvalidSubnetID",
            "InvalidZipFile",
            "KMSAccessDenied",
            "KMSDisabled",
            "KMSInvalidState",
            "KMSNotFound",
            "RecursiveInvocation",
            "ResourceNotFound",
            "ServiceQuotaExceeded",
            "SnapStart",
            "UnsupportedMediaType",
        ),
        Fate.STOP,
    ),
    # The function reads and writes its file system while it runs; a service error can come at any time.
    **dict.fromkeys(("EFSIO", "Service"), Fate.UNKNOWN),
}
"""By the error's name without `Exception`."""

_BY_STATUS = {408: Fate.UNKNOWN, 409: Fate.WAIT, 413: Fate.TOO_LARGE, 429: Fate.THROTTLED}
"""For names that are not known. 408 may be a proxy's, about another moment of the connection."""

_BY_DISPOSITION = {
    Disposition.THROTTLED: Fate.THROTTLED,
    Disposition.RETRY: Fate.WAIT,
    Disposition.UNKNOWN: Fate.UNKNOWN,
}
"""Of the table for all services: a request that never left is RETRY, a lost answer UNKNOWN."""


def fate_of(error: AwsError) -> Fate:
    """What the error means for the batch of the invocation."""
    known = _BY_NAME.get(error.name) if isinstance(error, InvokeError) else None
    if known is not None:
        return known
    by_disposition = _BY_DISPOSITION.get(error.disposition)
    return by_disposition or _BY_STATUS.get(error.status, Fate.STOP)


def invocation_error(error: AwsError) -> InvocationError:
    """The error for the dispatcher."""
    refused = error if isinstance(error, InvokeError) else None
    return InvocationError(
        error.code,
        error.message,
        fate_of(error),
        action=error.action,
        reason=refused.reason if refused else "",
        retry_after_s=refused.retry_after_s if refused else None,
    )
