"""What is read out of one run: shares of the budget, of refusals, and times against what is possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.framework import capacity
from benchmarks.framework.refire import Run
from benchmarks.framework.scenario import BenchmarkError
from benchmarks.pacing import meter
from benchmarks.pacing.meter import Look

MOST = 0.8
"""The share of the others that times are taken for: the last few are in partitions that are hot anyway."""

BACK = 0.95
"""The share of the capacity at which a run is back at it."""

START_S = 1.0
STEADY_UNTIL = 0.9
MOST_ASKED = 1.1
SHORT_S = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """The table got another write capacity at `time` (seconds since 1970)."""

    time: float
    wcu: int


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has ended, and what the sandbox knows of it.

    `resource` is that of the table or the index that is looked at, as is `looks`. `by_second` gives the stream's
    records of the items whose key it is given.
    """

    run: Run
    budget_wcu: float
    resource: dict[str, Any]
    looks: Sequence[Look]
    changes: Sequence[Change]
    by_second: Callable[[Callable[[dict[str, Any]], bool]], Mapping[int, int]]

    @property
    def began(self) -> float:
        """When the first write was accepted."""
        return meter.began(self.looks)


Judge: TypeAlias = Callable[[Ran], dict[str, float]]


def common(ran: Ran) -> dict[str, float]:
    """The figures that all runs have."""
    summary = ran.run.summary
    found = capacity.seconds(ran.resource)
    return {
        "seconds": ran.run.run_time_s,
        "touched": float(summary["touched"]),
        "throttled_share": summary["throttled"] / (summary["throttled"] + summary["touched"]),
        "busiest_second_share": capacity.peak_share(found, ran.budget_wcu),
        "busiest_window_share": meter.busiest_window(ran.looks) / ran.budget_wcu,
    }


def steady(ran: Ran) -> dict[str, float]:
    """How much of the budget is used in steady state.

    That is from a second after the first write until nine tenths are written: the last tenth may be the rest of a
    partition that had more than others, which cannot go faster.

    Raises BenchmarkError if it was too short to have a steady state.
    """
    begin, end = ran.began + START_S, meter.moment(ran.looks, STEADY_UNTIL * ran.looks[-1].accepted)
    if end - begin < meter.WINDOW_S:
        raise BenchmarkError("the run was too short to have a steady state; give it more seconds")
    return common(ran) | {"used_share": meter.rate(ran.looks, begin, end) / ran.budget_wcu}


def bound_by_index(index: str) -> Judge:
    """As `steady`, and whether the run names the index as what bounds it when it starts."""

    def judge(ran: Ran) -> dict[str, float]:
        words = ran.run.first_words
        says = words["bound_by"] == f"index {index}" and index in words["budget"]
        return steady(ran) | {"says_why": float(says)}

    return judge


def _to_bound(ran: Ran) -> dict[str, float]:
    total, parts = capacity.written(ran.resource), capacity.partition_writes(ran.resource)
    bound_s = capacity.lower_bound_s(total, ran.budget_wcu, max(parts))
    return {"bound_s": bound_s, "time_to_bound": ran.run.run_time_s / bound_s}


def one_hot(ran: Ran) -> dict[str, float]:
    """Time against the bound; and when the other partitions had done most of theirs, against their limits."""
    parts = capacity.partition_writes(ran.resource)
    hottest = max(range(len(parts)), key=parts.__getitem__)
    others = [place for place in range(len(parts)) if place != hottest]
    units = MOST * sum(parts[place] for place in others)
    took_s = meter.moment(ran.looks, units, others) - ran.began
    ideal_s = units / min(len(others) * capacity.PARTITION_WCU, ran.budget_wcu - capacity.PARTITION_WCU)
    return common(ran) | _to_bound(ran) | {"others_s": took_s, "others_to_ideal": took_s / ideal_s}


def others_of(hot_keys: int) -> Judge:
    """Time against the bound; and when most items of all but the first `hot_keys` hash keys were done."""
    hot = {f"customer-{number:010d}" for number in range(hot_keys)}

    def judge(ran: Ran) -> dict[str, float]:
        fired = ran.by_second(lambda keys: keys["pk"]["S"] not in hot)
        took_s = moment_of(fired, MOST * sum(fired.values())) - ran.began
        return common(ran) | _to_bound(ran) | {"others_s": took_s}

    return judge


def moment_of(by_second: Mapping[int, int], count: float) -> float:
    """When so many had come, on a straight line within the second. Raises BenchmarkError if fewer came at all."""
    so_far = 0
    for second, more in sorted(by_second.items()):
        if so_far + more >= count:
            return second + (count - so_far) / more
        so_far += more
    raise BenchmarkError("the stream does not hold the records of all items")


def halved(ran: Ran) -> dict[str, float]:
    """How long the run asks for more than there is, how long it takes to be back, and what it uses meanwhile."""
    (down, up), looks = ran.changes, ran.looks
    follows = follows_down(looks, down, up.time)
    settled = down.time + follows
    used = meter.rate(looks, settled, up.time) / down.wcu if settled < up.time - SHORT_S else 0.0
    return common(ran) | {
        "follows_down_s": follows,
        "used_while_halved_share": used,
        "comes_back_s": comes_back(looks, up),
        "failed_items": float(ran.run.summary["failed"]),
    }


def follows_down(looks: Sequence[Look], down: Change, until: float) -> float:
    """Seconds from the change to the end of the last half second in which more than 110% of it was asked for."""
    asked = [dataclasses.replace(one, accepted=one.accepted + one.refused) for one in looks]
    ends = [one.time for one in asked if down.time + SHORT_S <= one.time <= until]
    over = [end for end in ends if meter.rate(asked, end - SHORT_S, end) > MOST_ASKED * down.wcu]
    return max(over, default=down.time) - down.time


def comes_back(looks: Sequence[Look], up: Change) -> float:
    """Seconds from the change to the end of the first second in which nearly all of it was used.

    Raises BenchmarkError if there was none.
    """
    for one in looks:
        began = one.time - meter.WINDOW_S
        if began >= up.time and meter.rate(looks, began, one.time) >= BACK * up.wcu:
            return one.time - up.time
    raise BenchmarkError("the run ended before it was back at what the table has")


def per_second(ran: Ran) -> list[list[float]]:
    """For plots: seconds since the first, accepted and throttled write units."""
    return capacity.per_second(capacity.seconds(ran.resource))
