"""What a sandbox's statistics say of a run: units by second and by partition, and what is steady in them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.framework.scenario import BenchmarkError

KEPT_S = 600
"""Sandboxes keep this many seconds."""

PARTITION_WCU = 1_000.0
"""Write units per second of one partition (DynamoDB Developer Guide: Key range throughput exceeded)."""


@dataclass(frozen=True, slots=True)
class Second:
    """Units of one second of the clock."""

    second: int
    read: float
    write: float
    throttled_read: float
    throttled_write: float


def resource(stats: dict[str, Any], table: str, index: str | None = None) -> dict[str, Any]:
    """The statistics of a table or of one of its indexes."""
    found: dict[str, Any] = next(part for part in stats["tables"][table]["arms"] if part["index"] == index)
    return found


def seconds(part: dict[str, Any]) -> list[Second]:
    """Every second from the first to the last in which something happened; the quiet ones between them are zero."""
    rows = {int(row[0]): Second(int(row[0]), *row[1:]) for row in part["seconds"]}
    if not rows:
        return []
    return [rows.get(second, Second(second, 0, 0, 0, 0)) for second in range(min(rows), max(rows) + 1)]


def written(part: dict[str, Any]) -> float:
    """Accepted write units, all in all."""
    return float(sum(row[2] for row in part["seconds"]))


def read(part: dict[str, Any]) -> float:
    """Accepted read units, all in all."""
    return float(sum(row[1] for row in part["seconds"]))


def partition_writes(part: dict[str, Any]) -> list[float]:
    """Accepted write units of each partition, all in all."""
    return [float(sum(row[2] for row in partition["seconds"])) for partition in part["partitions"]]


def steady(found: Sequence[Second]) -> list[Second]:
    """The seconds in which the run wrote all along: from its third with writes to the last but one.

    The first and the last are partly outside of the run, and the second may hold what gathered in the first.

    Raises BenchmarkError if it was too short to have any.
    """
    busy = [position for position, second in enumerate(found) if second.write or second.throttled_write]
    inside = found[busy[0] + 2 : busy[-1]] if busy else []
    if not inside:
        raise BenchmarkError("the run was too short to have a steady state; give it more items")
    return list(inside)


def used_share(found: Sequence[Second], budget: float) -> float:
    """Share of a budget (units per second) that was used on average."""
    return sum(second.write for second in found) / len(found) / budget


def peak_share(found: Sequence[Second], budget: float) -> float:
    """The busiest second as a share of the budget."""
    return max(second.write for second in found) / budget


def throttled_share(found: Sequence[Second]) -> float:
    """Share of write units that were refused."""
    refused = sum(second.throttled_write for second in found)
    return refused / max(1.0, refused + sum(second.write for second in found))


def lower_bound_s(total_units: float, budget: float, hottest_units: float) -> float:
    """Seconds that no writer can beat: the budget for all, and what one partition serves for the hottest one."""
    return max(total_units / budget, hottest_units / PARTITION_WCU)


def per_second(found: Sequence[Second]) -> list[list[float]]:
    """For plots: seconds since the first, accepted and throttled write units."""
    return [[second.second - found[0].second, second.write, second.throttled_write] for second in found]
