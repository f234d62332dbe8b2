"""The lowest rate of a consumer, according to its metrics before the run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refire_async.pacing.consumer import FIRST_RATE

HOUR_S = 3_600
RECENT_HOURS = 24
"""Number of newest hours with data points that determine how busy it is."""

HANDING_OVER_S = 0.1
"""Between two invocations on the same shard, at most: Lambda takes the answer and hands over the next batch."""

MOST_OTHERS = 0.9
"""Share of its time that is taken for others' at most: with less than the rest a run would never end."""


@dataclass(frozen=True, slots=True)
class History:
    """A function's hours, by their first second since 1970; those in which it was not invoked are missing.

    `durations` are averages of one invocation in seconds, `busy_s` the sums of all of them, `at_once` the most
    invocations at the same time.
    """

    durations: Mapping[int, float] = field(default_factory=dict)
    busy_s: Mapping[int, float] = field(default_factory=dict)
    at_once: Mapping[int, float] = field(default_factory=dict)


def lanes(history: History, parallelization: int, shards: int) -> int:
    """Batches that it handles at the same time, for certain.

    No more than it was seen to: a reserved concurrency would let it do no more. And those of half of the shards:
    records do not come evenly over all of them.
    """
    seen = max(_recent(history.at_once).values(), default=1.0)
    return max(1, min(round(seen), parallelization * max(1, shards // 2)))


def least_rate(history: History, at_once: int, batch_size: int) -> float:
    """Records per second that it handles at least.

    An invocation handles one record or more, so a record takes no longer than an invocation did on average. The
    slowest hour of all counts: in the newest ones it may have failed at once, which is why events are fired again.
    `FIRST_RATE` if that is more, or nothing is known.
    """
    slowest = max(history.durations.values(), default=0.0)
    if slowest <= 0.0:
        return FIRST_RATE
    return max(FIRST_RATE, at_once / (slowest + HANDING_OVER_S / batch_size))


def taken_by_others(history: History, at_once: int) -> float:
    """The share of its time that other records took, in the busiest hour."""
    busiest = max(_recent(history.busy_s).values(), default=0.0)
    return min(MOST_OTHERS, busiest / HOUR_S / at_once)


def _recent(hours: Mapping[int, float]) -> Mapping[int, float]:
    return {hour: hours[hour] for hour in sorted(hours)[-RECENT_HOURS:]}
