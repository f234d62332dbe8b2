"""Estimate the minimum rate of a consumer from its metrics before the run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refire_async.pacing.consumer import FIRST_RATE

HOUR_S = 3_600
RECENT_HOURS = 24
"""Number of the newest hours with data points that determine the share of live events."""

INVOKE_GAP_S = 0.1
"""Longest time between two invocations on the same shard, in which Lambda handles the response and sends the next
batch."""

MAX_LIVE_SHARE = 0.9
"""Largest assumed share of live events: with more, a run would never end."""


@dataclass(frozen=True, slots=True)
class History:
    """Metrics of a function by hour (its first second since 1970). Hours without an invocation are missing.

    `durations` are the average durations of an invocation (s), `busy_s` the sums of all durations (s), `concurrency`
    the highest numbers of concurrent invocations.
    """

    durations: Mapping[int, float] = field(default_factory=dict)
    busy_s: Mapping[int, float] = field(default_factory=dict)
    concurrency: Mapping[int, float] = field(default_factory=dict)


def lanes(history: History, parallelization: int, shards: int) -> int:
    """The number of batches that the function certainly handles at the same time.

    At most the concurrency that CloudWatch shows, because a reserved concurrency may limit it; and at most the batches
    of half of the shards, because records are not spread evenly over them.
    """
    seen = max(_recent(history.concurrency).values(), default=1.0)
    return max(1, min(round(seen), parallelization * max(1, shards // 2)))


def min_rate(history: History, concurrency: int, batch_size: int) -> float:
    """Records per second that the function handles at least.

    An invocation handles one record or more, so a record takes at most the average duration of an invocation. The
    slowest hour counts: in the newest hours the function may have failed at once, which can be the reason for the run.
    `FIRST_RATE` if that is higher, or without metrics.
    """
    slowest = max(history.durations.values(), default=0.0)
    if slowest <= 0.0:
        return FIRST_RATE
    return max(FIRST_RATE, concurrency / (slowest + INVOKE_GAP_S / batch_size))


def live_share(history: History, concurrency: int) -> float:
    """The share (0 to `MAX_LIVE_SHARE`) of its time that the function used for live events in its busiest hour."""
    busiest = max(_recent(history.busy_s).values(), default=0.0)
    return min(MAX_LIVE_SHARE, busiest / HOUR_S / concurrency)


def _recent(hours: Mapping[int, float]) -> Mapping[int, float]:
    return {hour: hours[hour] for hour in sorted(hours)[-RECENT_HOURS:]}
