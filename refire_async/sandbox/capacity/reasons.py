"""Why a request is throttled, and how DynamoDB says so.

The sixteen reasons are {Table, Index} x {Read, Write} x four limits (Developer Guide: Diagnosing throttling;
API Reference: ThrottlingReason).
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any

from refire_async.sandbox.capacity.settings import CapacitySettings, ThrottleError


class Limit(StrEnum):
    """The last part of a reason: which kind of limit was reached."""

    PROVISIONED = "ProvisionedThroughputExceeded"
    KEY_RANGE = "KeyRangeThroughputExceeded"
    ACCOUNT = "AccountLimitExceeded"
    MAXIMUM = "MaxOnDemandThroughputExceeded"


class Reason(StrEnum):
    """``reason`` of a member of ThrottlingReasons."""

    TABLE_READ_PROVISIONED = "TableReadProvisionedThroughputExceeded"
    TABLE_WRITE_PROVISIONED = "TableWriteProvisionedThroughputExceeded"
    INDEX_READ_PROVISIONED = "IndexReadProvisionedThroughputExceeded"
    INDEX_WRITE_PROVISIONED = "IndexWriteProvisionedThroughputExceeded"
    TABLE_READ_KEY_RANGE = "TableReadKeyRangeThroughputExceeded"
    TABLE_WRITE_KEY_RANGE = "TableWriteKeyRangeThroughputExceeded"
    INDEX_READ_KEY_RANGE = "IndexReadKeyRangeThroughputExceeded"
    INDEX_WRITE_KEY_RANGE = "IndexWriteKeyRangeThroughputExceeded"
    TABLE_READ_ACCOUNT = "TableReadAccountLimitExceeded"
    TABLE_WRITE_ACCOUNT = "TableWriteAccountLimitExceeded"
    INDEX_READ_ACCOUNT = "IndexReadAccountLimitExceeded"
    INDEX_WRITE_ACCOUNT = "IndexWriteAccountLimitExceeded"
    TABLE_READ_MAXIMUM = "TableReadMaxOnDemandThroughputExceeded"
    TABLE_WRITE_MAXIMUM = "TableWriteMaxOnDemandThroughputExceeded"
    INDEX_READ_MAXIMUM = "IndexReadMaxOnDemandThroughputExceeded"
    INDEX_WRITE_MAXIMUM = "IndexWriteMaxOnDemandThroughputExceeded"

    @property
    def of_index(self) -> bool:
        """Whether the resource is an index."""
        return self.value.startswith("Index")

    @property
    def of_read(self) -> bool:
        """Whether a read was throttled, not a write."""
        return "Read" in self.value

    @property
    def limit(self) -> Limit:
        """Which kind of limit was reached."""
        return next(limit for limit in Limit if self.value.endswith(limit))


_PROVISIONED_TABLE = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
_PROVISIONED_INDEX = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "
    "with the UpdateTable API"
)
_CURRENT_CAPACITY = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "
    "table or index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
_MAXIMUM = "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
_ACCOUNT = (
    "Throughput exceeds the current throughput limit for your account. Please contact AWS Support at "
    "https://aws.amazon.com/support request a limit increase"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Throttle:
    """One refusal: ``error`` is the exception type, ``index`` the index at fault (None: the table),
    ``resource`` its ARN."""

    reason: Reason
    index: str | None
    resource: str
    error: ThrottleError
    message: str

    @property
    def extra(self) -> dict[str, Any]:
        """Further members of the error body; ThrottlingException spells the member in lower case (API Reference)."""
        member = "throttlingReasons" if self.error == "ThrottlingException" else "ThrottlingReasons"
        return {member: [{"reason": self.reason.value, "resource": self.resource}]}


def reason_for(limit: Limit, *, index: bool, read: bool) -> Reason:
    """The reason made of its three parts."""
    return Reason(f"{'Index' if index else 'Table'}{'Read' if read else 'Write'}{limit}")


def throttle_for(
    reason: Reason,
    *,
    table_arn: str,
    index: str | None = None,
    on_demand: bool = False,
    settings: CapacitySettings | None = None,
) -> Throttle:
    """The refusal for a reason; also for throttles that a fault file forces. ``on_demand`` is the table's mode.

    Raises ``ValueError`` if the reason speaks of an index and none is named, or the other way round.
    """
    if reason.of_index != (index is not None):
        raise ValueError(f"{reason.value} does not fit " + (f"index {index}" if index else "a table"))
    resource = table_arn if index is None else f"{table_arn}/index/{index}"
    error = _error_of(reason.limit, settings or CapacitySettings(), on_demand=on_demand)
    return Throttle(reason, index, resource, error, _message_of(reason, error))


def _error_of(limit: Limit, settings: CapacitySettings, *, on_demand: bool) -> ThrottleError:
    if limit is Limit.ACCOUNT:
        return settings.account_limit_error
    if limit is Limit.KEY_RANGE and settings.key_range_error is not None:
        return settings.key_range_error
    if limit is Limit.MAXIMUM or (limit is Limit.KEY_RANGE and on_demand):
        return "ThrottlingException"
    return "ProvisionedThroughputExceededException"


def _message_of(reason: Reason, error: ThrottleError) -> str:
    if reason.limit is Limit.ACCOUNT or error == "RequestLimitExceeded":
        return _ACCOUNT
    if reason.limit is Limit.MAXIMUM:
        return _MAXIMUM
    if error == "ThrottlingException":
        return _CURRENT_CAPACITY
    return _PROVISIONED_INDEX if reason.of_index else _PROVISIONED_TABLE
