"""A run over time, as points that can be merged, so that a long run needs no more points than a short one."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

Numbers = dict[str, float]


@dataclass(slots=True)
class Point:
    """The figures of the `seconds` from `at` (seconds since the epoch) on. `seconds` counts only time at work.

    `wcu` by resource (`""` is the table), `throttled` by reason and resource (with a space between them), `retries`
    by reason, `failed` by error code, `writes` and `reads` (requests) by latency bucket, `bands` (items) by band of
    segments, `ages` by consumer: its maximum iterator age in seconds. `budget` and `allowed` are unit-seconds of
    the table's WCU: divided by `seconds`, they are the limit, and the part of it that throttling and pauses left.
    `index_budgets` are unit-seconds too, by index; recordings of earlier versions have none.
    """

    at: float
    seconds: float
    items: int = 0
    rcu: float = 0.0
    budget: float = 0.0
    allowed: float = 0.0
    wcu: Numbers = field(default_factory=dict)
    throttled: Numbers = field(default_factory=dict)
    retries: Numbers = field(default_factory=dict)
    failed: Numbers = field(default_factory=dict)
    writes: Numbers = field(default_factory=dict)
    reads: Numbers = field(default_factory=dict)
    bands: Numbers = field(default_factory=dict)
    ages: Numbers = field(default_factory=dict)
    index_budgets: Numbers = field(default_factory=dict)

    def add(self, other: "Point") -> None:
        """Add a later point to this one."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _GROUPS:
            own: Numbers = getattr(self, name)
            for key, number in getattr(other, name).items():
                own[key] = own.get(key, 0) + number
        for key, age in other.ages.items():
            self.ages[key] = max(self.ages.get(key, 0.0), age)

    def to_json(self) -> dict[str, Any]:
        """The fields that are not empty, without `at`, which is stored separately."""
        return {name: value for name, value in asdict(self).items() if value and name != "at"}

    @classmethod
    def from_json(cls, at: float, data: dict[str, Any]) -> Self:
        """The point that `to_json` wrote. Raises TypeError on anything else."""
        return cls(at=at, **data)


_SUMS = ("seconds", "items", "rcu", "budget", "allowed")
_GROUPS = tuple(one.name for one in fields(Point) if one.name not in (*_SUMS, "at", "ages"))


def merge(points: Iterable[Point], span_s: float) -> list[Point]:
    """The same run in points at least `span_s` seconds apart, in chronological order."""
    merged: list[Point] = []
    for point in points:
        if merged and point.at // span_s == merged[-1].at // span_s:
            merged[-1].add(point)
        else:
            merged.append(point)
    return merged


def overlay(series: Iterable[Iterable[Point]], span_s: float) -> list[Point]:
    """Points of processes that worked at the same time, as one series with points `span_s` seconds apart.

    A point has what all of them did, in the time of the longest.
    """
    found: dict[float, Point] = {}
    for points in series:
        for own in merge(map(deepcopy, points), span_s):
            together = found.setdefault(own.at // span_s, own)
            if together is not own:
                seconds = max(together.seconds, own.seconds)
                together.add(own)
                together.seconds = seconds
    return [found[place] for place in sorted(found)]


@dataclass(frozen=True, slots=True)
class Note:
    """An event at a time (seconds since the epoch): a start, a pause, a finding, a verification …"""

    at: float
    kind: str
    data: dict[str, Any]
