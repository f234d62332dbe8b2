"""EventBridge Pipes that read a stream: consumers beside the event source mappings."""

from dataclasses import dataclass
from typing import Any

from refire_async.aws.event_source_mappings import Mapping
from refire_async.aws.other_services import TIMEOUT_S, Services, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """A pipe whose source is the stream (EventBridge Pipes API reference: DescribePipe).

    `target` and `enrichment` are ARNs. `filters` are patterns as text (DescribePipe fails where the caller may not
    decrypt them). Ages are in seconds; None and -1 stand for no limit. `transforms`: an input template changes
    what the target receives, so that it is not the records.
    """

    name: str
    arn: str
    enabled: bool
    target: str
    state: str = ""
    filters: tuple[str, ...] = ()
    batch_size: int = 100
    parallelization: int = 1
    max_age_s: int | None = None
    max_retries: int | None = None
    bisects: bool = False
    window_s: int = 0
    starting_position: str | None = None
    failure_destination: str | None = None
    enrichment: str | None = None
    transforms: bool = False

    @property
    def function(self) -> str | None:
        """The name, with a qualifier where it has one, of the Lambda function that is the target; None for others."""
        return self.target.partition(":function:")[2] or None if ":lambda:" in self.target else None

    @property
    def partial_failures(self) -> bool:
        """Pipes read `batchItemFailures` in every answer (EventBridge User Guide: Pipes batching and concurrency)."""
        return True


def as_mapping(pipe: Pipe) -> Mapping:
    """The pipe as a mapping, whose filters and pace it has: for rules that are about any consumer."""
    return Mapping(
        function=f"the pipe {pipe.name}",
        enabled=pipe.enabled,
        filters=pipe.filters,
        batch_size=pipe.batch_size,
        parallelization=pipe.parallelization,
        max_age_s=pipe.max_age_s,
        max_retries=pipe.max_retries,
        bisects=pipe.bisects,
        window_s=pipe.window_s,
        uuid=pipe.arn,
        state=pipe.state,
        partial_failures=pipe.partial_failures,
        starting_position=pipe.starting_position,
        failure_destination=pipe.failure_destination,
    )


_OFF = ("STOPPED", "STOPPING", "DELETING", "DELETE_FAILED", "CREATE_FAILED")


async def ask_pipes(services: Services, stream_arn: str, timeout_s: float = TIMEOUT_S) -> tuple[Pipe, ...]:
    """The pipes that read the stream. Raises UnansweredError."""
    found: list[Pipe] = []
    more: dict[str, Any] = {}
    async with services.open("pipes", timeout_s) as client:
        while True:
            page = await client.list_pipes(SourcePrefix=stream_arn, **more)
            for entry in page.get("Pipes", ()):
                if entry.get("Source", stream_arn) != stream_arn:
                    continue
                with reading("pipes"):
                    found.append(parse_pipe(await client.describe_pipe(Name=entry["Name"])))
            if not page.get("NextToken"):
                return tuple(found)
            more = {"NextToken": page["NextToken"]}


def parse_pipe(described: dict[str, Any]) -> Pipe:
    """An answer to DescribePipe. Raises LookupError where it lacks what every pipe has."""
    source = described.get("SourceParameters") or {}
    reader = source.get("DynamoDBStreamParameters") or {}
    criteria = source.get("FilterCriteria") or {}
    filters = tuple(one["Pattern"] for one in criteria.get("Filters") or () if one.get("Pattern"))
    state = described.get("CurrentState") or ""
    return Pipe(
        name=described["Name"],
        arn=described["Arn"],
        enabled=state not in _OFF and described.get("DesiredState") != "STOPPED",
        target=described["Target"],
        state=state,
        filters=filters,
        batch_size=reader.get("BatchSize") or 100,
        parallelization=reader.get("ParallelizationFactor") or 1,
        max_age_s=reader.get("MaximumRecordAgeInSeconds"),
        max_retries=reader.get("MaximumRetryAttempts"),
        bisects=reader.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
        window_s=reader.get("MaximumBatchingWindowInSeconds") or 0,
        starting_position=reader.get("StartingPosition"),
        failure_destination=(reader.get("DeadLetterConfig") or {}).get("Arn"),
        enrichment=described.get("Enrichment") or None,
        transforms=bool((described.get("TargetParameters") or {}).get("InputTemplate")),
    )
