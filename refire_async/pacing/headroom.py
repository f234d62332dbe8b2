"""How much of the write capacity is left for a run beside the live application. Pure.

CloudWatch tells what everybody together has consumed, minute by minute and 1 to 3 minutes late. What the run
itself consumed in the same minute comes off; the rest is live traffic. The busiest of the last three known
minutes counts: traffic that rises is answered at once, traffic that falls is believed after three minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from refire_async.model.units import MINUTE_S, minute_of

SETTLED_S = 60
"""Age of a minute's end below which its figure may still grow, so that it counts only if it is high already."""

LATE_S = 180
"""Age of a minute's end after which a figure that is not there will not come."""

SPAN = 3
"""Number of known minutes that count."""

KEPT_S = 15 * MINUTE_S
"""How long the run's own consumption is kept."""

BLIND_SHARE = 0.25
"""Of what the headroom leaves, the share that a run takes where nothing is known of live traffic."""

LEAST_SHARE = 0.01
"""Share of a resource's capacity: with less available, the run pauses."""


class OwnUse:
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
    """Units per second that others have consumed of late, None if that cannot be known.

    `consumed` is what CloudWatch answered at `asked_at`, `own` what the run consumed, both units by minute.
    A minute without a figure is one without traffic, since CloudWatch has none then; but not while the figure
    may still be late, and not if the run itself consumed something, which has to show.
    """
    newest = minute_of(asked_at) - MINUTE_S
    known: list[float] = []
    young = 0.0
    for minute in range(newest, newest - KEPT_S, -MINUTE_S):
        age = asked_at - (minute + MINUTE_S)
        ours = own.get(minute, 0.0)
        if minute in consumed:
            live = max(0.0, consumed[minute] - ours) / MINUTE_S
            if age >= SETTLED_S:
                known.append(live)
            else:
                young = live
        elif age > LATE_S:
            if ours > 0:
                break
            known.append(0.0)
        if len(known) == SPAN:
            break
    return max(young, *known) if known else None


@dataclass(frozen=True, slots=True)
class Available:
    """What a run may take: `share` of its ceilings (0 to 1), because of `resource`, where `live` was seen."""

    share: float
    resource: str
    live: float | None


def available(
    capacity: Mapping[str, float],
    ceilings: Mapping[str, float],
    live: Mapping[str, float | None],
    headroom: float,
) -> Available:
    """How much of `ceilings` leaves live traffic and `headroom` (a share of the capacity) alone, everywhere.

    All in units per second by resource; `live` is None where it is not known.
    """
    found = [
        Available(_share(capacity[name], ceiling, live.get(name), headroom), name, live.get(name))
        for name, ceiling in ceilings.items()
    ]
    return min(found, key=lambda one: one.share)


def _share(capacity: float, ceiling: float, live: float | None, headroom: float) -> float:
    usable = capacity * (1.0 - headroom)
    left = usable * BLIND_SHARE if live is None else usable - live
    if left < capacity * LEAST_SHARE:
        return 0.0
    return min(1.0, left / ceiling)
