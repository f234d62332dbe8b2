"""The write capacity that live traffic leaves for a run. Pure.

CloudWatch publishes the capacity that all writers together consumed, per minute and 1 to 3 minutes late. Minus the
run's own consumption in the same minute, this is live traffic. The busiest of the last three known minutes counts, so
the run reacts to rising traffic at once and to falling traffic after three minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from refire_async.model.units import MINUTE_S, minute_of

COMPLETE_AFTER_S = 60
"""Age (s) of a minute's end from which its data point counts as complete. A younger one counts only if it is high."""

LATE_S = 180
"""Age (s) of a minute's end after which a missing data point will not arrive."""

KNOWN_MINUTES = 3
"""Number of known minutes that count."""

KEPT_S = 15 * MINUTE_S
"""How long (s) the run's own consumption is kept."""

BLIND_SHARE = 0.25
"""Share of the capacity outside the headroom that a run uses while live traffic is unknown."""

MIN_SHARE = 0.01
"""Share of a resource's capacity: with less available, the run pauses."""


class OwnConsumption:
    """Write units that the run has consumed, by resource and minute (its first second since 1970)."""

    def __init__(self) -> None:
        self._minutes: dict[str, dict[int, float]] = {}

    def add(self, used: Mapping[str, float], now: float) -> None:
        """Count units by resource consumed at `now`."""
        minute = minute_of(now)
        for resource, units in used.items():
            minutes = self._minutes.setdefault(resource, {})
            if minute not in minutes:
                for old in [m for m in minutes if m < now - KEPT_S]:
                    del minutes[old]
            minutes[minute] = minutes.get(minute, 0.0) + units

    def of(self, resource: str) -> Mapping[int, float]:
        """Units by minute."""
        return self._minutes.get(resource, {})


def live_rate(consumed: Mapping[int, float], own: Mapping[int, float], asked_at: float) -> float | None:
    """Units per second that other writers have consumed recently; None if unknown.

    `consumed` is the answer of CloudWatch at `asked_at` (Unix time, s), `own` the run's consumption, both in units by
    minute. CloudWatch has no data point for a minute without traffic. A missing data point may also be late, or, if the
    run consumed something in that minute, belong to another resource: then it proves nothing.
    """
    newest = minute_of(asked_at) - MINUTE_S
    known: list[float] = []
    young = 0.0
    for minute in range(newest, newest - KEPT_S, -MINUTE_S):
        age = asked_at - (minute + MINUTE_S)
        ours = own.get(minute, 0.0)
        if minute in consumed:
            live = max(0.0, consumed[minute] - ours) / MINUTE_S
            if age >= COMPLETE_AFTER_S:
                known.append(live)
            else:
                young = live
        elif age > LATE_S:
            if ours > 0:
                break
            known.append(0.0)
        if len(known) == KNOWN_MINUTES:
            break
    return max(young, *known) if known else None


@dataclass(frozen=True, slots=True)
class Available:
    """A run may consume `share` (0 to 1) of its ceilings, limited by `resource` with `live` units/s of traffic."""

    share: float
    resource: str
    live: float | None


def available(
    capacity: Mapping[str, float],
    ceilings: Mapping[str, float],
    live: Mapping[str, float | None],
    headroom: float,
) -> Available:
    """The share of `ceilings` that leaves live traffic and `headroom` (a share of the capacity) free on each resource.

    Capacity, ceilings and live traffic are units per second by resource; `live` is None if unknown.
    """
    found = [
        Available(_share(capacity[name], ceiling, live.get(name), headroom), name, live.get(name))
        for name, ceiling in ceilings.items()
    ]
    return min(found, key=lambda one: one.share)


def _share(capacity: float, ceiling: float, live: float | None, headroom: float) -> float:
    usable = capacity * (1.0 - headroom)
    left = usable * BLIND_SHARE if live is None else usable - live
    if left < capacity * MIN_SHARE:
        return 0.0
    return min(1.0, left / ceiling)
