"""How long a run goes on while nothing succeeds. Pure; time is an argument."""

from collections.abc import Callable

from refire_async.errors import StoppedError
from refire_async.events import Emit, Recovered, Waiting

SAY_AFTER_S = 5.0
SAY_EVERY_S = 30.0

MOST_ATTEMPTS = 30
"""Failures in a row, other than throttling, after which one request is given up while others succeed.

With full jitter up to 20 s each this takes some minutes. Throttling has no such bound: it says that the request is good
and the time is not. Whatever fails, when nothing at all succeeds `give_up_after_s` is the bound.
"""

OUTAGE_S = 30.0
"""When nothing has succeeded for this long it is not the request: the run waits or gives up as a whole."""

OUTAGE_ATTEMPTS = 8
"""What an outage counts for, however long it is: else the first failure after it would be a request's last.

The wait before the next attempt has reached its ceiling by then.
"""


HALT_FAILURES = 3
HALT_S = 0.5
"""So many failures in a row over so long, of all requests together, and not a request is at fault but the service."""

PROBE_S = 1.0
"""While nothing succeeds some request is tried at least this often, however long the others wait."""


class Outage:
    """Notices when every attempt fails, says so, and gives up after `give_up_after_s` seconds.

    The first success after that tells `on_recovery`: what waits for its next attempt need not wait any longer.

    Times are those of a monotonic clock: what is done to the wall clock neither shortens nor lengthens a wait.
    """

    def __init__(self, give_up_after_s: float, emit: Emit) -> None:
        self._give_up_after_s = give_up_after_s
        self._emit = emit
        self._failing_since: float | None = None
        self._failing_until = 0.0
        self._failures = 0
        self._probe_at = 0.0
        self._say_at = 0.0
        self._said = False
        self.on_recovery: Callable[[], None] = lambda: None

    @property
    def halted(self) -> bool:
        """Whether nothing at all succeeds at present."""
        since = self._failing_since
        return since is not None and self._failures >= HALT_FAILURES and self._failing_until - since >= HALT_S

    def succeeded(self) -> None:
        """An attempt went through."""
        if self._said and self._failing_since is not None:
            self._emit(Recovered(self._failing_until - self._failing_since))
            self._said = False
        halted, self._failing_since = self.halted, None
        if halted:
            self.on_recovery()

    def delay(self, wanted_s: float, now: float) -> float:
        """Seconds until the next attempt of a request that would wait `wanted_s`: less if it is the next probe."""
        if not self.halted or now < self._probe_at:
            return wanted_s
        delay_s = min(wanted_s, PROBE_S)
        self._probe_at = now + delay_s
        return delay_s

    def restart(self) -> None:
        """Time in which nothing was tried is over, or begins: it says nothing about the service."""
        self._failing_since = None
        self._said = False

    def failing_for(self, now: float) -> float:
        """Seconds since the first of the failures in a row that are going on."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def attempts(self, failures: int, now: float) -> int:
        """What `failures` in a row of one request count for, given how it goes with the others."""
        if self.failing_for(now) >= OUTAGE_S:
            return min(failures, OUTAGE_ATTEMPTS)
        # A request that probes for the others is tried more often than its own failures ask for.
        return failures - 1 if self.halted and failures > OUTAGE_ATTEMPTS else failures

    def failed(self, reason: str, now: float, words: str = "") -> None:
        """An attempt failed, for `reason` (a code; `words`, if any, are fit for people and for logs).

        Raises StoppedError if none has succeeded for too long.
        """
        if self._failing_since is None:
            self._failing_since = now
            self._failures = 0
            self._say_at = now + SAY_AFTER_S
        self._failing_until = now
        self._failures += 1
        since = now - self._failing_since
        if since > self._give_up_after_s:
            why = f"{words} ({reason})" if words else reason
            raise StoppedError(
                f"nothing went through for {since:.0f} s: {why}",
                "find out why, then go on with 'refire resume'",
            )
        if now >= self._say_at:
            self._say_at = now + SAY_EVERY_S
            self._said = True
            self._emit(Waiting(reason, since))
