"""The tables and runs that are measured, and what must be true of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.framework.refire import PROGRAM
from benchmarks.framework.scenario import BenchmarkError
from benchmarks.framework.tables import table_spec
from benchmarks.pacing import figures
from benchmarks.pacing.figures import Judge
from refire_async.pipeline.sizing import choose_workers

INDEX = "by-order"
LANES, QUEUE, ALONE = "four hot keys", "four hot keys, one queue", "their others alone"
HALVED = "capacity halved"
ONE_KB = 1_000
SIZES = {"Lognormal": [4_500, 0.95]}
"""0.2 to 100 KB: 3.3 standard deviations to either side, which is where the sandbox cuts its 1,024 sizes."""

SIZES_WCU = 7.6
"""Write units of an item of `SIZES`, on average."""

HOT_KEYS = 4
HASH_KEYS = 2_000


@dataclass(frozen=True, slots=True)
class Parameters:
    """`rounds` times each of `cases` (see README.md). `seconds`: items for so long at the budget, where nothing is hot.

    `hot_items`, `four_items`: items of the tables with one and with four hot hash keys; `four_segments`: segments that
    the latter is scanned in, many more than are read at once, as in a table of some hundred GB. The capacity of
    `capacity halved` is halved and given back so many seconds after the first write.
    """

    cases: tuple[str, ...] = (
        "uniform 500",
        "uniform 2000",
        "uniform 10000",
        "sizes 2000",
        "sizes 10000",
        "one hot key",
        LANES,
        QUEUE,
        ALONE,
        "index",
        HALVED,
        "on demand",
    )
    rounds: int = 5
    seconds: float = 12.0
    hot_items: int = 200_000
    four_items: int = 120_000
    four_segments: int = 256
    halve_after_s: float = 8.0
    restore_after_s: float = 18.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must not be beyond: at most `limit`, or at least."""

    figure: str
    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Case:
    """One table and one run of it. `budget_wcu` is that of what is looked at: `index`, or the table."""

    spec: Mapping[str, Any]
    budget_wcu: float
    judge: Judge
    targets: tuple[Target, ...]
    index: str | None = None
    growth_after_s: float | None = None
    program: tuple[str, ...] = PROGRAM
    arguments: tuple[str, ...] = ()
    is_to_miss: bool = False
    changes: tuple[tuple[float, int], ...] = field(default=())
    """Other write capacities of the table, and when, in seconds after the first write."""


USED = Target("used_share", 0.97, at_least=True)
WINDOW = Target("busiest_window_share", 1.10)
SECOND = Target("busiest_second_share", 1.10)
REFUSED = "throttled_share"
STEADY = (USED, WINDOW, SECOND, Target(REFUSED, 0.005))
TO_BOUND = Target("time_to_bound", 1.10)
OTHERS = (TO_BOUND, Target("others_to_alone", 1.15))


def case(name: str, parameters: Parameters) -> Case:
    """The case of that name. Raises BenchmarkError with the names that there are."""
    kind, _, number = name.rpartition(" ")
    if kind in _AT_BUDGET and number.isdecimal() and int(number):
        return _AT_BUDGET[kind](int(number), parameters)
    if name not in _OTHERS:
        known = [*(f"{kind} WCU" for kind in _AT_BUDGET), *_OTHERS]
        raise BenchmarkError(f"there is no case {name!r}; there are {', '.join(known)}")
    return _OTHERS[name](parameters)


def _uniform(wcu: int, parameters: Parameters) -> Case:
    spec = table_spec(int(wcu * parameters.seconds), ONE_KB, wcu=wcu)
    return Case(spec, wcu, figures.steady, STEADY)


def _sizes(wcu: int, parameters: Parameters) -> Case:
    spec = table_spec(int(wcu * parameters.seconds / SIZES_WCU), SIZES, wcu=wcu)
    return Case(spec, wcu, figures.steady, STEADY)


def _skewed(items: int, skew: Any, hash_keys: int = HASH_KEYS) -> dict[str, Any]:
    return table_spec(items, ONE_KB, wcu=10_000, hash_keys=hash_keys, skew=skew)


def _one_hot(parameters: Parameters) -> Case:
    targets = (TO_BOUND, Target("others_to_ideal", 1.10), WINDOW)
    return Case(_skewed(parameters.hot_items, {"HotKey": 0.3}), 10_000, figures.one_hot, targets)


def _four_hot(parameters: Parameters) -> Case:
    spec = _skewed(parameters.four_items, {"HotKey": [0.12] * HOT_KEYS})
    return Case(
        spec, 10_000, figures.others_of(HOT_KEYS), (*OTHERS, WINDOW), arguments=_in_segments(parameters)
    )


def _one_queue(parameters: Parameters) -> Case:
    workers = str(choose_workers("partiql", 10_000))
    return dataclasses.replace(
        _four_hot(parameters),
        program=("benchmarks.pacing.one_queue", workers),
        targets=OTHERS,
        is_to_miss=True,
    )


def _alone(parameters: Parameters) -> Case:
    items = round(parameters.four_items * (1 - 0.12 * HOT_KEYS))
    spec = _skewed(items, "uniform", HASH_KEYS - HOT_KEYS)
    return Case(spec, 10_000, figures.others_of(0), (TO_BOUND,), arguments=_in_segments(parameters))


def _in_segments(parameters: Parameters) -> tuple[str, ...]:
    return ("--segments", str(parameters.four_segments))


def _index(parameters: Parameters) -> Case:
    spec = table_spec(
        int(500 * parameters.seconds), ONE_KB, wcu=2_000, hash_keys=200, indexes={INDEX: (500, "ALL")}
    )
    targets = (USED, WINDOW, Target(REFUSED, 0.01), Target("says_why", 1.0, at_least=True))
    return Case(spec, 500, figures.bound_by_index(INDEX), targets, index=INDEX)


def _halved(parameters: Parameters) -> Case:
    down, up = parameters.halve_after_s, parameters.restore_after_s
    # Enough for the minute that it has to come back in; it is stopped as soon as it has.
    spec = table_spec(int(2_000 * (up + 70)), ONE_KB, wcu=2_000)
    targets = (
        Target("follows_down_s", 5.0),
        Target("comes_back_s", 60.0),
        Target("failed_items", 0.0),
        WINDOW,
    )
    return Case(spec, 2_000, figures.halved, targets, changes=((down, 1_000), (up, 2_000)))


def _on_demand(parameters: Parameters) -> Case:
    spec = table_spec(int(4_000 * parameters.seconds), ONE_KB, wcu=4_000)
    del spec["ProvisionedThroughput"]
    spec["BillingMode"] = "PAY_PER_REQUEST"
    targets = (Target(REFUSED, 0.02), USED)
    return Case(spec, 4_000, figures.steady, targets, growth_after_s=5.0)


_AT_BUDGET: dict[str, Callable[[int, Parameters], Case]] = {"uniform": _uniform, "sizes": _sizes}
_OTHERS: dict[str, Callable[[Parameters], Case]] = {
    "one hot key": _one_hot,
    LANES: _four_hot,
    QUEUE: _one_queue,
    ALONE: _alone,
    "index": _index,
    HALVED: _halved,
    "on demand": _on_demand,
}
