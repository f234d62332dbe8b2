"""The item of a run in a checkpoint table, and what its segments and processes say together."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from refire_async.checkpoint import invariants
from refire_async.checkpoint.dynamodb.claims import Claim
from refire_async.checkpoint.dynamodb.lists import SavedList
from refire_async.checkpoint.dynamodb.places import CATALOG, EXPIRE_AFTER_S, RUN, partitions, segment_of
from refire_async.checkpoint.dynamodb.segments import SavedSegment
from refire_async.checkpoint.dynamodb.table import (
    DAMAGED,
    CheckpointTable,
    Condition,
    Fields,
    for_each,
    from_text,
    number,
    text,
)
from refire_async.checkpoint.reading import SavedRun, spec_from_json, spec_to_json
from refire_async.checkpoint.shapes import conforms
from refire_async.errors import CheckpointRefusedError
from refire_async.model.counts import Counts, Totals
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.units import iso_seconds
from refire_async.settings import Connection

FORGOTTEN = "forgotten"
"""The status of a run that is being removed, because the process that removes it may be cut off in the middle."""

AT_WORK_S = 60.0
"""A task whose claim moved within these seconds is at work. Only shown: what may be written never depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunItem:
    """The item of a run. Times are ISO 8601 in UTC; `keys` is its list of keys, if it has one.

    `archive` is the place in S3 of its blobs; None: the table.
    """

    spec: RunSpec
    connection: Connection
    status: RunStatus
    created_at: str
    updated_at: str
    tasks: int
    keys: SavedList | None
    archive: str | None

    @property
    def created_s(self) -> float:
        """`created_at` in seconds since the epoch."""
        return datetime.fromisoformat(self.created_at).timestamp()

    def last_seen(self, claims: Iterable[Claim]) -> float:
        """When the run was last worked on (seconds since the epoch)."""
        return max([datetime.fromisoformat(self.updated_at).timestamp(), *(one.moved_at for one in claims)])


async def create(
    table: CheckpointTable,
    spec: RunSpec,
    connection: Connection,
    tasks: int,
    at: float,
    *,
    keys: SavedList | None = None,
    archive: str | None = None,
) -> bool:
    """Create the run, unless it is there; whether it was created. Its list of `keys` is among its blobs already.

    Raises CheckpointRefusedError if segments of an earlier run with this id are left.
    """
    now = iso_seconds(at)
    fields = {
        "spec": {"S": spec_to_json(spec)},
        "connection": text(asdict(connection)),
        "run_status": {"S": "running"},
        "created_at": {"S": now},
        "updated_at": {"S": now},
        "tasks": number(tasks),
    }
    if keys is not None:
        fields["keys"] = text(asdict(keys))
    if archive is not None:
        fields["archive"] = {"S": archive}
    if await _has_segments(table, spec.run_id) and await table.get(spec.run_id, RUN) is None:
        raise CheckpointRefusedError(
            f"checkpoint table {table.name} has segments of an earlier run {spec.run_id}",
            f"choose another id, or remove them: refire forget --checkpoint dynamodb://{table.name}/{spec.run_id}",
        )
    made = await table.put(spec.run_id, RUN, fields, Condition("attribute_not_exists(id)", {}))
    if made:
        await table.put(CATALOG, spec.run_id, {"table_name": {"S": spec.table}, "created_at": {"S": now}})
    return made


async def complete(table: CheckpointTable, run_id: str, at: float) -> None:
    """Mark a run as complete, and let what is in the table of it expire."""
    expires = number(round(at + EXPIRE_AFTER_S))
    sets: dict[str, Any] = {
        "run_status": {"S": "complete"},
        "updated_at": {"S": iso_seconds(at)},
        "expires_at": expires,
    }
    there = Condition("attribute_exists(id)", {})
    await table.update(run_id, RUN, sets, there)
    await table.update(CATALOG, run_id, {"expires_at": expires}, there)

    async def expire(item: Fields) -> None:
        if "expires_at" not in item:
            await table.update(item["id"]["S"], item["name"]["S"], {"expires_at": expires}, there)

    for partition, prefix in [(run_id, ""), *((one, "segment#") for one in partitions(run_id))]:
        await for_each(table.query(partition, prefix), expire)


async def forget(table: CheckpointTable, run_id: str) -> int:
    """Remove everything of a run, or what an earlier removal left; the number of removed items.

    The run is marked first, so that nothing can continue it when this is cut off; its item goes last.
    """
    there = Condition("attribute_exists(id)", {})
    await table.update(run_id, RUN, {"run_status": {"S": FORGOTTEN}}, there)
    removed = 0

    async def remove(item: Fields) -> None:
        if item["name"]["S"] != RUN:
            await table.delete(item["id"]["S"], item["name"]["S"])

    for place in [*partitions(run_id), run_id]:
        removed += await for_each(table.query(place, ""), remove)
    await table.delete(CATALOG, run_id)
    await table.delete(run_id, RUN)
    return removed


async def archive_of(table: CheckpointTable, run_id: str) -> str | None:
    """The place in S3 of the blobs of a run, also of one that is being removed; None if it has none."""
    fields = await table.get(run_id, RUN)
    return None if fields is None or "archive" not in fields else str(fields["archive"]["S"])


async def find(table: CheckpointTable, run_id: str) -> RunItem | None:
    """The item of a run; None if there is none. Raises CheckpointRefusedError if it is damaged."""
    fields = await table.get(run_id, RUN)
    if fields is None:
        return None
    try:
        return _run_item(run_id, fields)
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error


async def get(table: CheckpointTable, run_id: str) -> RunItem:
    """The item of a run. Raises CheckpointRefusedError if it is missing or damaged."""
    found = await find(table, run_id)
    if found is None:
        raise CheckpointRefusedError(
            f"checkpoint table {table.name} has no run {run_id}",
            f"list its runs with: refire status --checkpoint dynamodb://{table.name}",
        )
    return found


def _run_item(run_id: str, fields: Fields) -> RunItem:
    if fields["run_status"]["S"] == FORGOTTEN:
        raise ValueError("it was being removed; 'refire forget' removes the rest")
    found = RunItem(
        spec=spec_from_json(fields["spec"]["S"]),
        connection=Connection(**from_text(fields, "connection")),
        status=fields["run_status"]["S"],
        created_at=fields["created_at"]["S"],
        updated_at=fields["updated_at"]["S"],
        tasks=int(fields["tasks"]["N"]),
        keys=SavedList(**from_text(fields, "keys")) if "keys" in fields else None,
        archive=fields["archive"]["S"] if "archive" in fields else None,
    )
    for moment in (found.created_at, found.updated_at):
        datetime.fromisoformat(moment)
    if not conforms(found, RunItem):
        raise ValueError("it has a value of the wrong type")
    spec = found.spec
    wrong = invariants.broken_spec(spec) or invariants.broken_run(run_id, spec.table, found.status, spec)
    if wrong is not None:
        raise ValueError(wrong)
    return found


async def read_segments(table: CheckpointTable, spec: RunSpec) -> dict[int, SavedSegment]:
    """What was saved of the segments of a run. Raises CheckpointRefusedError if it is damaged."""
    found: dict[int, SavedSegment] = {}
    try:
        for partition in partitions(spec.run_id):
            async for item in table.query(partition, "segment#"):
                segment = segment_of(partition, item["name"]["S"])
                found[segment] = SavedSegment.of(item)
    except DAMAGED as error:
        raise table.damaged(spec.run_id, error) from error
    if any(segment >= spec.total_segments for segment in found):
        raise table.damaged(spec.run_id, "it has a segment that the run does not have")
    return found


async def read_totals(table: CheckpointTable, run_id: str) -> tuple[Totals, int]:
    """What the processes of a run consumed, and how many there were. Raises CheckpointRefusedError."""
    totals, processes = Totals(), 0
    seconds: dict[int, float] = {}
    try:
        async for item in table.query(run_id, "process#"):
            data = from_text(item, "data")
            task = data.pop("task")
            process = Totals(**data)
            if not conforms(process, Totals) or not conforms(task, int):
                raise ValueError("its totals have a value of the wrong type")
            totals.add(process)
            processes += 1
            seconds[task] = seconds.get(task, 0.0) + process.seconds
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error
    # The tasks of a run work at the same time.
    totals.seconds = max(seconds.values(), default=0.0)
    return totals, processes


async def read_claims(table: CheckpointTable, run_id: str) -> list[Claim]:
    """The claims of the tasks of a run that were ever started. Raises CheckpointRefusedError."""
    try:
        return [Claim.of(item) async for item in table.query(run_id, "task#")]
    except DAMAGED as error:
        raise table.damaged(run_id, error) from error


def at_work(claims: list[Claim], now: float) -> list[Claim]:
    """The claims whose owners are at work, by the service's time `now` (seconds since the epoch)."""
    return [claim for claim in claims if claim.owner and now - claim.moved_at < AT_WORK_S]


async def load(table: CheckpointTable, run_id: str) -> SavedRun:
    """The state of a run. Raises CheckpointRefusedError if it is missing or damaged."""
    item = await get(table, run_id)
    segments = await read_segments(table, item.spec)
    return saved_run(item, segments, await read_totals(table, run_id))


def saved_run(item: RunItem, segments: dict[int, SavedSegment], consumed: tuple[Totals, int]) -> SavedRun:
    """The state of a run of these parts."""
    counts = Counts()
    for segment in segments.values():
        counts.add(segment.counts())
    totals, processes = consumed
    return SavedRun(
        spec=item.spec,
        connection=item.connection,
        status=item.status,
        created_at=item.created_at,
        updated_at=item.updated_at,
        counts=counts,
        totals=totals,
        open_pages=sum(len(segment.pages) for segment in segments.values()),
        finished_segments=sum(segment.finished for segment in segments.values()),
        next_attempt=processes,
    )


async def listed(table: CheckpointTable) -> AsyncIterator[tuple[str, str]]:
    """The ids of the runs in the table, each with the table that it is of."""
    async for item in table.query(CATALOG, ""):
        yield item["name"]["S"], item["table_name"]["S"]


async def _has_segments(table: CheckpointTable, run_id: str) -> bool:
    for partition in partitions(run_id):
        async for _ in table.query(partition, "segment#"):
            return True
    return False
