"""Detect an outage, in which no request succeeds, and end the run when it lasts too long. Pure; time is an argument."""

from collections.abc import Callable

from refire_async.errors import StoppedError
from refire_async.events import Emit, Recovered, Waiting

WARN_AFTER_S = 5.0
WARN_EVERY_S = 30.0
"""Seconds without a success before the first `Waiting` event, and between the following ones."""

MAX_ATTEMPTS = 30
"""Failures in a row, other than throttling, after which one request is given up while others succeed.

With full jitter up to 20 s each this takes some minutes. Throttling has no such bound, since a throttled request is
valid. While no request at all succeeds, `give_up_after_s` is the bound.
"""

OUTAGE_S = 30.0
"""Seconds without a success after which no single request is at fault: the run as a whole waits or gives up."""

OUTAGE_ATTEMPTS = 8
"""An outage of any length adds at most this many failures to a request, so that it can still be retried afterwards.

The delay before the next try has reached its ceiling by then.
"""


HALT_FAILURES = 3
HALT_S = 0.5
"""After this many failures in a row, of all requests together, over at least `HALT_S`, the service is at fault."""

PROBE_S = 1.0
"""While no request succeeds, one request is tried at least this often, however long the others wait."""


class Outage:
    """Detects that every request fails, emits `Waiting`, and gives up after `give_up_after_s` seconds.

    The first success after an outage calls `on_recovery`, so that delayed requests are retried at once.

    Times are seconds of a monotonic clock, so changes of the wall clock do not affect a wait.
    """

    def __init__(self, give_up_after_s: float, emit: Emit) -> None:
        self._give_up_after_s = give_up_after_s
        self._emit = emit
        self._failing_since: float | None = None
        self._failing_until = 0.0
        self._failures = 0
        self._probe_at = 0.0
        self._warn_at = 0.0
        self._warned = False
        self.on_recovery: Callable[[], None] = lambda: None

    @property
    def halted(self) -> bool:
        """Whether no request succeeds at present."""
        since = self._failing_since
        return since is not None and self._failures >= HALT_FAILURES and self._failing_until - since >= HALT_S

    def succeeded(self) -> None:
        """A request succeeded: end the outage, if there is one, and emit `Recovered` if `Waiting` was emitted."""
        if self._warned and self._failing_since is not None:
            self._emit(Recovered(self._failing_until - self._failing_since))
            self._warned = False
        halted, self._failing_since = self.halted, None
        if halted:
            self.on_recovery()

    def delay(self, wanted_s: float, now: float) -> float:
        """Seconds until the next try of a request that would wait `wanted_s`: fewer if it is the next probe."""
        if not self.halted or now < self._probe_at:
            return wanted_s
        delay_s = min(wanted_s, PROBE_S)
        self._probe_at = now + delay_s
        return delay_s

    def restart(self) -> None:
        """Discard the failures so far: a time without requests begins or ends and proves nothing about the service."""
        self._failing_since = None
        self._warned = False

    def failing_for(self, now: float) -> float:
        """Seconds since the first failure after the last success; 0 if the last request succeeded."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def attempts(self, failures: int, now: float) -> int:
        """How many of a request's `failures` in a row count against it: fewer while other requests fail too."""
        if self.failing_for(now) >= OUTAGE_S:
            return min(failures, OUTAGE_ATTEMPTS)
        # A probe is tried more often than its own failures would allow, so this failure does not count.
        return failures - 1 if self.halted and failures > OUTAGE_ATTEMPTS else failures

    def failed(self, reason: str, now: float, message: str = "") -> None:
        """A request failed with the code `reason`. `message` explains it and is safe to log.

        Raises:
            StoppedError: no request has succeeded for more than `give_up_after_s`.
        """
        if self._failing_since is None:
            self._failing_since = now
            self._failures = 0
            self._warn_at = now + WARN_AFTER_S
        self._failing_until = now
        self._failures += 1
        since = now - self._failing_since
        if since > self._give_up_after_s:
            why = f"{message} ({reason})" if message else reason
            raise StoppedError(
                f"nothing went through for {since:.0f} s: {why}",
                "find the cause, then run 'refire resume'",
            )
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY_S
            self._warned = True
            self._emit(Waiting(reason, since))
