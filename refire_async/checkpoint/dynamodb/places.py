"""Where the items of a run are in a checkpoint table. Pure."""

from refire_async.errors import UsageError

SHARDS = 16
"""Partition keys over which a run spreads its segments and blobs: a partition takes 1,000 write units per second."""

RUN = "run"
BUDGET = "budget"
CATALOG = "runs"
META, FORMAT_NAME, FORMAT = "refire", "format", 1

EXPIRE_AFTER_S = 90 * 86_400
"""Blobs, and the other items of a complete run, are deleted after this time (TTL)."""


def segment_place(run_id: str, segment: int) -> tuple[str, str]:
    """Partition and name of the item of a segment."""
    return f"{run_id}/{segment % SHARDS:02}", f"segment#{segment:06}"


def segment_of(name: str) -> int:
    """The number of the segment with this item."""
    return int(name.rpartition("#")[2])


def shards(run_id: str) -> list[str]:
    """The partitions of a run's segments and blobs."""
    return [f"{run_id}/{shard:02}" for shard in range(SHARDS)]


def task_name(task: int) -> str:
    """The name of the claim of a task."""
    return f"task#{task}"


def process_name(process: int) -> str:
    """The name of the totals of a process."""
    return f"process#{process}"


def check_run_id(run_id: str) -> str:
    """The id, which may not have the separators above. Raises UsageError."""
    if "/" in run_id or "#" in run_id or not run_id:
        raise UsageError(f"{run_id!r} is not the id of a run", "use letters, digits, - and _")
    return run_id
