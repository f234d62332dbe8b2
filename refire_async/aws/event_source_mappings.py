"""Lambda's event source mappings of a stream: which functions read it, and how."""

from dataclasses import dataclass
from typing import Any

from refire_async.aws.other_services import TIMEOUT_S, Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """An event source mapping of the stream (Lambda API reference: EventSourceMappingConfiguration).

    `function` is the name with its qualifier where it has one, `function_arn` the same as an ARN. `filters` are
    patterns as text; None if they are encrypted with a key that the caller may not use. Ages are in
    seconds; None and -1 stand for no limit. `window_s` is how long records may wait for a batch to fill, `tumbling_s`
    the length of a tumbling window (0: none). `failure_destination` is the ARN of where failed batches go.
    `last_result` is in Lambda's words: `OK`, `PROBLEM: Function call failed`, `No records processed`.
    """

    function: str
    enabled: bool
    filters: tuple[str, ...] | None = ()
    batch_size: int = 100
    parallelization: int = 1
    max_age_s: int | None = None
    max_retries: int | None = None
    bisects: bool = False
    window_s: int = 0
    uuid: str = ""
    function_arn: str = ""
    state: str = ""
    partial_failures: bool = False
    tumbling_s: int = 0
    starting_position: str | None = None
    failure_destination: str | None = None
    last_result: str | None = None

    @property
    def has_failure_destination(self) -> bool:
        """Whether failed batches go anywhere."""
        return self.failure_destination is not None

    @property
    def name(self) -> str:
        """The function's name without a qualifier."""
        return self.function.partition(":")[0]

    @property
    def qualifier(self) -> str | None:
        """The alias or version that the mapping invokes, None for the unpublished version."""
        return self.function.partition(":")[2] or None


_OFF = ("Disabled", "Disabling", "Deleting")


async def ask_mappings(
    services: Services, stream_arn: str, timeout_s: float = TIMEOUT_S
) -> tuple[Mapping, ...]:
    """The event source mappings of the stream. Raises UnansweredError."""
    found: list[Mapping] = []
    more: dict[str, Any] = {}
    async with services.open("lambda", timeout_s) as client:
        while True:
            page = await client.list_event_source_mappings(EventSourceArn=stream_arn, **more)
            found += map(parse_mapping, page.get("EventSourceMappings", ()))
            if not page.get("NextMarker"):
                return tuple(found)
            more = {"Marker": page["NextMarker"]}


async def ask_mapping(services: Services, uuid: str, timeout_s: float = TIMEOUT_S) -> Mapping:
    """One event source mapping by its UUID. Raises UnansweredError."""
    async with services.open("lambda", timeout_s) as client:
        return parse_mapping(await client.get_event_source_mapping(UUID=uuid))


def parse_mapping(entry: dict[str, Any]) -> Mapping:
    """An EventSourceMappingConfiguration of the Lambda API."""
    criteria = entry.get("FilterCriteria") or {}
    filters = tuple(one["Pattern"] for one in criteria.get("Filters") or () if one.get("Pattern"))
    unreadable = not filters and bool(entry.get("FilterCriteriaError") or entry.get("KMSKeyArn"))
    arn = entry.get("FunctionArn") or "?"
    state = entry.get("State") or "Enabled"
    return Mapping(
        function=_function_name(arn),
        enabled=state not in _OFF,
        filters=None if unreadable else filters,
        batch_size=entry.get("BatchSize") or 100,
        parallelization=entry.get("ParallelizationFactor") or 1,
        max_age_s=entry.get("MaximumRecordAgeInSeconds"),
        max_retries=entry.get("MaximumRetryAttempts"),
        bisects=bool(entry.get("BisectBatchOnFunctionError")),
        window_s=entry.get("MaximumBatchingWindowInSeconds") or 0,
        uuid=entry.get("UUID") or "",
        function_arn=arn,
        state=state,
        partial_failures="ReportBatchItemFailures" in (entry.get("FunctionResponseTypes") or ()),
        tumbling_s=entry.get("TumblingWindowInSeconds") or 0,
        starting_position=entry.get("StartingPosition"),
        failure_destination=((entry.get("DestinationConfig") or {}).get("OnFailure") or {}).get(
            "Destination"
        ),
        last_result=entry.get("LastProcessingResult"),
    )


def _function_name(arn: str) -> str:
    """The name in a function's ARN, with its alias or version where it has one."""
    return arn.partition(":function:")[2] or arn
