"""When a temporary event source mapping is through with its window. Pure; time is an argument.

Metrics count what Lambda did (Lambda Developer Guide: Event source mapping metrics): `InvokedEventCount` counts an
event in each of its invocations, retries too, and `FailedInvokeEventCount` those that failed. Their difference is what
was delivered. Data points of a minute arrive some minutes late.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

IDLE = "No records processed"
"""LastProcessingResult of a mapping that finds no records (Lambda API reference: EventSourceMappingConfiguration)."""

LATE_S = 120.0
"""Metrics must stay the same for this long (s): the data points of failures come later than those of invocations."""

IDLE_S = 300.0
"""Idle time (s) that stands for the end, without metrics, of a mapping that was seen at work."""

LONG_IDLE_S = 900.0
"""The same (s) where it was not, or where metrics count fewer records: polling begins minutes after creation."""

LEAST_PATIENCE_S = 600.0
"""A time without progress is never shorter (s): a mapping begins to poll, and metrics arrive, minutes later."""

Verdict: TypeAlias = Literal["metrics", "idle", "stuck"]
"""Through by Lambda's metrics; through since it finds no more records; no progress for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums of the mapping's metrics since it was made, in events.

    `to_destination` were sent to its on-failure destination.
    """

    polled: int = 0
    filtered: int = 0
    invoked: int = 0
    failed_invokes: int = 0
    dropped: int = 0
    to_destination: int = 0

    @property
    def delivered(self) -> int:
        """Events whose invocation succeeded."""
        return max(0, self.invoked - self.failed_invokes)

    @property
    def given_up(self) -> int:
        """Events that Lambda will not try again."""
        return self.dropped + self.to_destination


class Watch:
    """Decides from what polls see. `expected` is the previewed number of records, `timeout_s` the function's."""

    def __init__(self, expected: int, *, timeout_s: float, give_up_after_s: float, now: float) -> None:
        self.expected = expected
        self.figures: Figures | None = None
        self._timeout_s = timeout_s
        self._patience_s = max(give_up_after_s, LEAST_PATIENCE_S + timeout_s)
        self._state: tuple[str, str] | None = None
        self._worked = False
        self._idle_since: float | None = None
        self._changed_at = self._counted_at = now

    @property
    def delivered(self) -> int:
        """Records delivered as far as metrics say; at most `expected`."""
        return 0 if self.figures is None else min(self.figures.delivered, self.expected - self.failed)

    @property
    def failed(self) -> int:
        """Records given up as far as metrics say; at most `expected`."""
        return 0 if self.figures is None else min(self.figures.given_up, self.expected)

    def see(self, now: float, *, state: str, result: str, figures: Figures | None) -> Verdict | None:
        """Take what a poll saw; `figures` are None where metrics are not available. None: not through yet."""
        seen = (state, result if figures is None and not result.startswith("PROBLEM") else "")
        if seen != self._state or _progress(figures) > _progress(self.figures):
            self._state, self._changed_at = seen, now
        if figures is not None and figures != self.figures:
            self.figures, self._counted_at = figures, now
        idle = state == "Enabled" and result == IDLE
        self._worked = self._worked or (state == "Enabled" and bool(result) and not idle)
        if not idle:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        if self._is_counted(now):
            return "metrics"
        if self._idle_since is not None:
            since = max(self._idle_since, self._counted_at if self.figures is not None else 0.0)
            return "idle" if now - since >= self._idle_needed(figures) else None
        return "stuck" if now - self._changed_at >= self._patience_s else None

    def _is_counted(self, now: float) -> bool:
        """Whether metrics account for every record, and no retry can be on its way."""
        seen = self.figures
        if seen is None or seen.delivered + seen.given_up < self.expected:
            return False
        quiet_s = LATE_S + (self._timeout_s if seen.failed_invokes else 0.0)
        return now - self._counted_at >= quiet_s

    def _idle_needed(self, figures: Figures | None) -> float:
        return IDLE_S if figures is None and self._worked else LONG_IDLE_S


def _progress(figures: Figures | None) -> tuple[int, int]:
    """Records settled. Before the first one, events read: later those of other times would count too."""
    if figures is None:
        return (0, 0)
    settled = figures.delivered + figures.given_up
    return (settled, figures.polled if settled == 0 else 0)
