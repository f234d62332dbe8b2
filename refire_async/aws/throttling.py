"""Why a call was throttled, as the service tells it.

Sixteen reasons: {Table|Index} x {Read|Write} x {ProvisionedThroughputExceeded | KeyRangeThroughputExceeded |
AccountLimitExceeded | MaxOnDemandThroughputExceeded}, each with the ARN of a table or index (DynamoDB Developer
Guide: Diagnosing throttling). The exception's type does not tell: key-range throttling, for one, comes under
several.
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
    """One reason of a throttled call, and the ARN of the table or index that it is about."""

    reason: str
    resource: str

    @property
    def scope(self) -> Scope:
        """What is short of capacity. A key range, account or maximum may be an index's: see `index`.

        A reason that is not known counts as its table's or index's.
        """
        for suffix, scope in _SCOPE_BY_SUFFIX:
            if self.reason.endswith(suffix):
                return scope
        return "index" if self.reason.startswith("Index") or self.index is not None else "table"

    @property
    def index(self) -> str | None:
        """Name of the index, None where the resource is a table."""
        _, found, name = self.resource.partition("/index/")
        return name if found else None


def parse_reasons(error: Mapping[str, Any]) -> tuple[ThrottlingReason, ...]:
    """The reasons in the JSON of an error, empty where it has none.

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
