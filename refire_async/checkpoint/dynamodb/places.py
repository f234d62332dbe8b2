"""Where the items of a run are in a checkpoint table. Pure."""

SHARDS = 16
"""Partition keys over which a run spreads its segments and blobs: a partition takes 1,000 write units per second."""

RUN = "run"
STREAM = "stream#"
RECORDING = "recording#"
BUDGET = "budget"
RATE = "rate"
CATALOG = "runs"
META, FORMAT_NAME, FORMAT = "refire", "format", 1

EXPIRE_AFTER_S = 90 * 86_400
"""Seconds after which TTL deletes blobs and lists of keys, which are written once, and the items of a complete run."""


def partition(run_id: str, number: int) -> str:
    """The partition of what has this number: a segment, or a part of a list."""
    return f"{run_id}/{number % SHARDS:02}"


def partitions(run_id: str) -> list[str]:
    """All partitions with numbers."""
    return [partition(run_id, number) for number in range(SHARDS)]


def segment_place(run_id: str, segment: int) -> tuple[str, str]:
    """Partition and name of the item of a segment."""
    return partition(run_id, segment), f"segment#{segment:06}"


def segment_of(place: str, name: str) -> int:
    """The number of the segment whose item has this partition and name. Raises ValueError if none has."""
    segment = int(name.rpartition("#")[2])
    if segment_place(place.rpartition("/")[0], segment) != (place, name):
        raise ValueError(f"item {name} is in the wrong place")
    return segment


def task_name(task: int) -> str:
    """The name of the claim of a task."""
    return f"task#{task}"


def process_name(process: int) -> str:
    """The name of the totals of a process."""
    return f"process#{process}"
