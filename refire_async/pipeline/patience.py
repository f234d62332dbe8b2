"""How long a run goes on while nothing succeeds. Pure; time is an argument."""

from refire_async.errors import StoppedError
from refire_async.events import Emit, Waiting

SAY_AFTER_S = 5.0
SAY_EVERY_S = 30.0


class Patience:
    """Notices when every attempt fails, says so, and gives up after `give_up_after_s` seconds."""

    def __init__(self, give_up_after_s: float, emit: Emit) -> None:
        self._give_up_after_s = give_up_after_s
        self._emit = emit
        self._failing_since: float | None = None
        self._say_at = 0.0

    def succeeded(self) -> None:
        """An attempt went through."""
        self._failing_since = None

    def failing_for(self, now: float) -> float:
        """Seconds since the first of the failures in a row that are going on."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def failed(self, reason: str, now: float) -> None:
        """An attempt failed. Raises StoppedError if none has succeeded for too long."""
        if self._failing_since is None:
            self._failing_since = now
            self._say_at = now + SAY_AFTER_S
        since = now - self._failing_since
        if since > self._give_up_after_s:
            raise StoppedError(
                f"nothing went through for {since:.0f} s ({reason})",
                "find out why, then go on with 'refire resume'",
            )
        if now >= self._say_at:
            self._say_at = now + SAY_EVERY_S
            self._emit(Waiting(reason, since))
