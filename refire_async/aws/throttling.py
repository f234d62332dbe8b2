"""Throttling reasons in the errors of DynamoDB.

Sixteen reasons: {Table|Index} x {Read|Write} x {ProvisionedThroughputExceeded | KeyRangeThroughputExceeded |
AccountLimitExceeded | MaxOnDemandThroughputExceeded}, each with the ARN of a table or index (DynamoDB Developer Guide:
Diagnosing throttling). The type of the exception does not identify the reason: key-range throttling, for example,
occurs with several types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Scope: TypeAlias = Literal["key-range", "table", "index", "account", "maximum"]

_SCOPE_BY_SUFFIX: tuple[tuple[str, Scope], ...] = (
    ("KeyRangeThroughputExceeded", "key-range"),
    ("AccountLimitExceeded", "account"),
    ("MaxOnDemandThroughputExceeded", "maximum"),
)


@dataclass(frozen=True, slots=True)
class ThrottlingReason:
    """One reason of a throttled call, and the ARN of the table or index."""

    reason: str
    resource: str

    @property
    def scope(self) -> Scope:
        """The scarce capacity. A key range or maximum may be that of an index: see `index`.

        An unknown reason counts as the capacity of its table or index.
        """
        for suffix, scope in _SCOPE_BY_SUFFIX:
            if self.reason.endswith(suffix):
                return scope
        return "index" if self.reason.startswith("Index") or self.index is not None else "table"

    @property
    def index(self) -> str | None:
        """Name of the index; None if the resource is a table."""
        _, found, name = self.resource.partition("/index/")
        return name if found else None


def parse_reasons(error: Mapping[str, Any]) -> tuple[ThrottlingReason, ...]:
    """The reasons in the JSON of an error; empty if there are none.

    The member is `ThrottlingReasons`, except on ThrottlingException where it is `throttlingReasons`
    (DynamoDB API reference).
    """
    found = error.get("ThrottlingReasons") or error.get("throttlingReasons")
    if not isinstance(found, list):
        return ()
    return tuple(
        ThrottlingReason(str(entry.get("reason", "")), str(entry.get("resource", "")))
        for entry in found
        if isinstance(entry, dict)
    )
