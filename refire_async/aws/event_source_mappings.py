"""Lambda's event source mappings of a stream: which functions read it, and how."""

from dataclasses import dataclass
from typing import Any

from refire_async.aws.other_services import Services


@dataclass(frozen=True, slots=True)
class Mapping:
    """An event source mapping of the stream (Lambda API reference: EventSourceMappingConfiguration).

    `filters` are patterns as text; None if they are encrypted with a key that the caller may not use. Ages are in
    seconds; None and -1 stand for no limit. `window_s` is how long records may wait for a batch to fill.
    """

    function: str
    enabled: bool
    filters: tuple[str, ...] | None = ()
    batch_size: int = 100
    parallelization: int = 1
    max_age_s: int | None = None
    max_retries: int | None = None
    bisects: bool = False
    has_failure_destination: bool = False
    window_s: int = 0


_OFF = ("Disabled", "Disabling", "Deleting")


async def ask_mappings(services: Services, stream_arn: str) -> tuple[Mapping, ...]:
    """The event source mappings of the stream."""
    found: list[Mapping] = []
    more: dict[str, Any] = {}
    async with services.open("lambda") as client:
        while True:
            page = await client.list_event_source_mappings(EventSourceArn=stream_arn, **more)
            found += map(parse_mapping, page.get("EventSourceMappings", ()))
            if not page.get("NextMarker"):
                return tuple(found)
            more = {"Marker": page["NextMarker"]}


def parse_mapping(entry: dict[str, Any]) -> Mapping:
    """An EventSourceMappingConfiguration of the Lambda API."""
    criteria = entry.get("FilterCriteria") or {}
    filters = tuple(one["Pattern"] for one in criteria.get("Filters") or () if one.get("Pattern"))
    unreadable = not filters and bool(entry.get("FilterCriteriaError") or entry.get("KMSKeyArn"))
    on_failure = ((entry.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    return Mapping(
        function=_function_name(entry.get("FunctionArn", "?")),
        enabled=entry.get("State", "Enabled") not in _OFF,
        filters=None if unreadable else filters,
        batch_size=entry.get("BatchSize") or 100,
        parallelization=entry.get("ParallelizationFactor") or 1,
        max_age_s=entry.get("MaximumRecordAgeInSeconds"),
        max_retries=entry.get("MaximumRetryAttempts"),
        bisects=bool(entry.get("BisectBatchOnFunctionError")),
        has_failure_destination=on_failure is not None,
        window_s=entry.get("MaximumBatchingWindowInSeconds") or 0,
    )


def _function_name(arn: str) -> str:
    """The name in a function's ARN, with its alias or version where it has one."""
    return arn.partition(":function:")[2] or arn
