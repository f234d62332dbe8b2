"""Statistics as ``GET /_sandbox/stats`` shows them: plain values, ready for JSON."""

from __future__ import annotations

from typing import TypedDict

from refire_async.sandbox.capacity.resource import ResourceCapacity
from refire_async.sandbox.capacity.specs import HASHES


class PartitionStats(TypedDict):
    """One partition. ``range`` is its share of the hash range, from 0.0 to 1.0; ``open`` is False after a split.

    ``seconds`` as in ``ResourceStats``.
    """

    id: int
    parent: int | None
    open: bool
    range: tuple[float, float]
    seconds: list[list[float]]


class ResourceStats(TypedDict):
    """A table (``index`` None) or one index.

    ``seconds`` holds ``[second since 1970, accepted read units, accepted write units, throttled read units,
    throttled write units]`` for those of the last 600 seconds in which something happened; the last row may be
    of the present second, which is not over. ``throttles`` counts refusals by reason since the beginning.
    """

    index: str | None
    resource: str
    throttles: dict[str, int]
    seconds: list[list[float]]
    partitions: list[PartitionStats]


def resource_stats(resource: ResourceCapacity, now_second: int) -> ResourceStats:
    """The statistics of one resource; ``now_second`` is the second that its counts belong to."""
    partitions: list[PartitionStats] = []
    for is_open, group in ((True, resource.map.open), (False, resource.map.closed)):
        for partition in group:
            seconds = partition.history.rows(now_second)
            if any(counts := partition.counts()):
                seconds.append([now_second, *counts])
            partitions.append(
                {
                    "id": partition.id,
                    "parent": partition.parent,
                    "open": is_open,
                    "range": (partition.low / HASHES, partition.high / HASHES),
                    "seconds": seconds,
                }
            )
    seconds = resource.history.rows(now_second)
    if any(totals := resource.counts()):
        seconds.append([now_second, *totals])
    return {
        "index": resource.index,
        "resource": resource.resource,
        "throttles": {reason.value: count for reason, count in resource.throttles.items()},
        "seconds": seconds,
        "partitions": partitions,
    }
