"""The consumers that runs are paced for, and what must be true of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.framework.scenario import BenchmarkError

AGE, BUSY, BUSY_LATER = "age_to_bound", "busy_share", "busy_share_later"
LAG_S = 75.0
PAST_MS = 8.0
"""What an invocation took on average, where the function has a past."""

LONG = 1_000_000
"""Items from which on the first minutes, in which little is known, are no more than a twentieth."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """`cases` (see README.md). `items`: of `told`, `past` and `new`; the others have `minutes` of work."""

    cases: tuple[str, ...] = ("told", "past", "new", "slow", "changes", "changes at once", "two functions")
    items: int = 1_000_000
    minutes: float = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be: below `limit`, or above it."""

    figure: str
    limit: float
    above: bool = False

    def met(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value > self.limit if self.above else value < self.limit


@dataclass(frozen=True, slots=True)
class Case:
    """Functions by name, each with its records per second at a time (s) since the start; `has_past`: CloudWatch has
    metrics of an earlier day. `given_rate` is the `--consumer-rate` of the user.
    """

    items: int
    functions: Mapping[str, Callable[[float], float]]
    targets: tuple[Target, ...]
    bound_s: float = 30.0
    has_past: bool = False
    given_rate: float | None = None


YOUNG = Target(AGE, 1.0)
BUSY_ALWAYS = Target(BUSY, 0.95, above=True)
BUSY_IN_THE_END = Target(BUSY_LATER, 0.95, above=True)


def case(name: str, parameters: Parameters) -> Case:
    """The case with this name. Raises BenchmarkError with the existing names."""
    made = _cases(parameters)
    if name not in made:
        raise BenchmarkError(f"there is no case {name!r}; there are {', '.join(made)}")
    return made[name]


def _cases(parameters: Parameters) -> dict[str, Case]:
    seconds = parameters.minutes * 60
    busy = BUSY_ALWAYS if parameters.items >= LONG else BUSY_IN_THE_END
    return {
        "told": Case(parameters.items, {"orders": steady(500)}, (YOUNG, busy), given_rate=500.0),
        "past": Case(parameters.items, {"orders": steady(500)}, (YOUNG, busy), has_past=True),
        "new": Case(parameters.items, {"orders": steady(500)}, (YOUNG, BUSY_IN_THE_END)),
        "slow": Case(int(40 * seconds), {"orders": steady(40)}, (YOUNG, BUSY_IN_THE_END)),
        "changes": _changing(seconds, 300.0, (YOUNG,)),
        "changes at once": _changing(seconds, 30.0, ()),
        "two functions": Case(
            int(200 * seconds), {"orders": steady(500), "mail": steady(200)}, (YOUNG, BUSY_IN_THE_END)
        ),
    }


def steady(rate: float) -> Callable[[float], float]:
    """Always so many records a second."""
    return lambda _at: rate


def _changing(seconds: float, bound_s: float, targets: tuple[Target, ...]) -> Case:
    """500 records a second, half of it in the middle third, and 500 again."""
    ends = list(itertools.accumulate([seconds / 3] * 2))

    def rate(at: float) -> float:
        return 250.0 if ends[0] <= at < ends[1] else 500.0

    return Case(int(seconds * 400), {"orders": rate}, targets, bound_s=bound_s, has_past=True)
