"""The errors of DynamoDB: type, message, HTTP status and extra members of the body.

Every part of the sandbox raises ``ServiceError``; the server alone turns it into a response. The wording
follows the service (Amazon DynamoDB API Reference: Common Errors; Developer Guide: Error handling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
_SERVICE = "com.amazon.coral.service#"

# Errors of the service's front end, raised before DynamoDB itself sees the request, have other namespaces.
_NAMESPACE = {
    "ValidationException": "com.amazon.coral.validate#",
    "ThrottlingException": "com.amazon.coral.availability#",
    "ServiceUnavailable": "com.amazon.coral.availability#",
    "SerializationException": _SERVICE,
    "UnknownOperationException": _SERVICE,
    "AccessDeniedException": _SERVICE,
    "UnrecognizedClientException": _SERVICE,
    "MissingAuthenticationTokenException": _SERVICE,
    "IncompleteSignatureException": _SERVICE,
    "InvalidSignatureException": _SERVICE,
    "ExpiredTokenException": _SERVICE,
}

# Name of an error inside a member of BatchExecuteStatement (API Reference: BatchStatementError, Code).
_BATCH_CODE = {
    "ValidationException": "ValidationError",
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "ResourceNotFoundException": "ResourceNotFound",
    "AccessDeniedException": "AccessDenied",
    "DuplicateItemException": "DuplicateItem",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "TransactionConflictException": "TransactionConflict",
}


class ServiceError(Exception):
    """A request that DynamoDB refuses.

    ``type`` is the short name ("ValidationException"), ``status`` the HTTP status, ``extra`` holds further
    members of the response body, such as ``Item``, ``CancellationReasons`` or ``ThrottlingReasons``.
    """

    def __init__(
        self, type_: str, message: str, *, status: int = 400, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.type = type_
        self.message = message
        self.status = status
        self.extra: dict[str, Any] = dict(extra) if extra else {}

    @property
    def qualified_type(self) -> str:
        """The value of ``__type``: namespace and short name."""
        return _NAMESPACE.get(self.type, _DYNAMODB) + self.type

    @property
    def batch_code(self) -> str:
        """``Error.Code`` when the error belongs to one member of BatchExecuteStatement."""
        return _BATCH_CODE.get(self.type, self.type)

    def __repr__(self) -> str:
        return f"ServiceError({self.type!r}, {self.message!r}, status={self.status})"


def validation(message: str) -> ServiceError:
    """The request is malformed, or the item or table does not allow it."""
    return ServiceError("ValidationException", message)


def conditional_check_failed(item: Mapping[str, Any] | None = None) -> ServiceError:
    """The condition does not hold; ``item`` as asked for by ReturnValuesOnConditionCheckFailure."""
    extra = {"Item": item} if item is not None else None
    return ServiceError("ConditionalCheckFailedException", "The conditional request failed", extra=extra)


def resource_not_found(message: str = "Requested resource not found") -> ServiceError:
    """No such table, index or stream."""
    return ServiceError("ResourceNotFoundException", message)


def table_not_found(table: str) -> ServiceError:
    """No such table, with the message of control-plane operations."""
    return resource_not_found(f"Requested resource not found: Table: {table} not found")


def resource_in_use(message: str) -> ServiceError:
    """The table exists already or is being changed."""
    return ServiceError("ResourceInUseException", message)


def duplicate_item() -> ServiceError:
    """A PartiQL INSERT of an existing key."""
    return ServiceError("DuplicateItemException", "Duplicate primary key exists in table")


def transaction_canceled(reasons: Sequence[Mapping[str, Any]]) -> ServiceError:
    """A transaction was cancelled; one reason per action, ``{"Code": "None"}`` for actions without a problem."""
    codes = ", ".join(str(reason["Code"]) for reason in reasons)
    return ServiceError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        extra={"CancellationReasons": list(reasons)},
    )


def transaction_conflict() -> ServiceError:
    """A transaction in progress holds the item."""
    return ServiceError("TransactionConflictException", "Transaction is ongoing for the item")


def provisioned_throughput_exceeded(extra: Mapping[str, Any] | None = None) -> ServiceError:
    """A table, index or partition has no capacity left; ``extra`` may contain ``ThrottlingReasons``."""
    return ServiceError(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API.",
        extra=extra,
    )


def throttling(message: str, extra: Mapping[str, Any] | None = None) -> ServiceError:
    """On-demand and control-plane throttling; ``extra`` may hold ``throttlingReasons`` (lower case here)."""
    return ServiceError("ThrottlingException", message, extra=extra)


def request_limit_exceeded(extra: Mapping[str, Any] | None = None) -> ServiceError:
    """The account's throughput quota is used up; ``extra`` may hold ``ThrottlingReasons``."""
    return ServiceError(
        "RequestLimitExceeded",
        "Throughput exceeds the current throughput limit for your account. "
        "Please contact AWS Support at https://aws.amazon.com/support request a limit increase",
        extra=extra,
    )


def unknown_operation() -> ServiceError:
    """``X-Amz-Target`` names no operation of the service."""
    return ServiceError("UnknownOperationException", "")


def serialization(message: str = "") -> ServiceError:
    """The body is not JSON or a member has the wrong JSON type."""
    return ServiceError("SerializationException", message)


def missing_authentication_token() -> ServiceError:
    """The request carries no signature."""
    return ServiceError(
        "MissingAuthenticationTokenException",
        "Request must contain either a valid (registered) AWS access key ID or X.509 certificate.",
    )


def expired_token() -> ServiceError:
    """The session credentials have expired."""
    return ServiceError("ExpiredTokenException", "The security token included in the request is expired")


def access_denied(message: str) -> ServiceError:
    """The identity has no permission for the action."""
    return ServiceError("AccessDeniedException", message)


def internal_server_error() -> ServiceError:
    """The service failed; a write may have been applied nevertheless."""
    return ServiceError(
        "InternalServerError", "The request processing has failed because of an unknown error.", status=500
    )


def service_unavailable() -> ServiceError:
    """The service is temporarily unavailable."""
    return ServiceError("ServiceUnavailable", "The service is currently unavailable or busy.", status=503)


def trimmed_data_access(message: str) -> ServiceError:
    """A stream position beyond the retention period."""
    return ServiceError("TrimmedDataAccessException", message)


def expired_iterator() -> ServiceError:
    """A shard iterator older than 15 minutes."""
    return ServiceError("ExpiredIteratorException", "Iterator expired")
