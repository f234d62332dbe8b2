"""What limited the rate of a run over time: its budget, throttling, a pause, an outage … Pure.

Based on the recording. The first cause that applies counts: a paused run is not limited by its budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refire_async.model.series import Note, Point
from refire_async.output.html.track import Track
from refire_async.output.text import throttling_reason, units

USED = 0.8
"""Share of a limit from which on it counts as the cause: sizes of items and pages vary."""

REFUSED = 0.02
"""Share of throttled attempts from which on throttling counts as the cause."""

SAY_AFTER_S = 5.0
"""An outage is recorded after this many seconds (pacing/outage.py)."""

BUDGET, READS, INDEX, MAX_RATE, THROTTLED, WAITED, PAUSED, IDLE, REST = (
    "the write budget",
    "the read budget",
    "the budget of index",
    "--max-rate",
    "throttling",
    "no answer from the service",
    "a pause",
    "nothing to write: reading, or the end of a segment",
    "other: latency, this machine, a hot key's own limit",
)


@dataclass(frozen=True, slots=True)
class Cause:
    """What limited the rate at a point: `kind` is one of the above, `label` has the details."""

    kind: str
    label: str


@dataclass(slots=True)
class _Limits:
    """The limits at one time, and the reason for the budget."""

    max_rcu: float = 0.0
    max_rate: float | None = None
    why: str = ""


def causes(track: Track, notes: Sequence[Note]) -> list[Cause]:
    """The cause for each point of the track."""
    paused, waited = track.spans(notes, "pause", "unpause"), track.spans(notes, "wait", "recover")
    found: list[Cause] = []
    reason = ""
    for point, start, end in zip(track.points, track.edges, track.edges[1:], strict=False):
        middle = (start + end) / 2
        pause = next((note for begin, stop, note in paused if begin <= middle < stop), None)
        wait = next((note for begin, stop, note in waited if begin - SAY_AFTER_S <= middle < stop), None)
        if point.throttled:
            reason = max(point.throttled, key=lambda cause: point.throttled[cause]).partition(" ")[0]
        if pause is not None:
            found.append(Cause(PAUSED, f"{PAUSED}: {pause.data['why']}"))
        elif wait is not None:
            found.append(Cause(WAITED, f"{WAITED}: {wait.data['reason']}"))
        else:
            found.append(_of_point(point, _limits(notes, point.at + point.seconds), reason))
    return found


def _limits(notes: Sequence[Note], at: float) -> _Limits:
    """The limits in force at `at` (Unix seconds)."""
    limits = _Limits()
    for note in notes:
        if note.at > at:
            break
        if note.kind == "start":
            rate = note.data.get("settings", {}).get("max_rate")
            limits = _Limits(note.data["max_rcu"], rate)
        elif note.kind == "budget":
            limits.max_rcu, limits.why = note.data["rcu"], note.data["why"]
    return limits


def _of_point(point: Point, limits: _Limits, reason: str) -> Cause:
    refused = sum(point.throttled.values())
    if refused > REFUSED * (refused + point.items) or (reason and point.allowed < 0.98 * point.budget):
        return Cause(THROTTLED, f"{THROTTLED}: {throttling_reason(reason)}")
    for name, budget in point.index_budgets.items():
        if budget > 0 and point.wcu.get(name, 0.0) >= USED * budget:
            return Cause(INDEX, f"{INDEX} {name}")
    written = point.wcu.get("", 0.0)
    if point.budget > 0 and written >= USED * point.budget:
        return Cause(BUDGET, f"{BUDGET}: {limits.why}" if limits.why else BUDGET)
    if limits.max_rate and point.items >= USED * limits.max_rate * point.seconds:
        return Cause(MAX_RATE, f"{MAX_RATE} {units(limits.max_rate)}")
    if limits.max_rcu and point.rcu >= USED * limits.max_rcu * point.seconds:
        return Cause(READS, READS)
    return Cause(REST, REST) if point.items else Cause(IDLE, IDLE)
