"""Ending a run before its end, in order: nothing new is begun, what is in flight is finished and saved."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from refire_async.errors import ExitCode, RefireError, StoppedError

StopReason: TypeAlias = Literal["interrupted", "terminated", "limit", "output", "error"]


class StopRequest:
    """Asked for once; later requests change nothing. Callable from signal handlers of the loop."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self.error: RefireError | None = None
        self._subscribers: list[Callable[[], None]] = []

    def request(self, reason: StopReason, error: RefireError | None = None) -> None:
        """Stop for `reason`; `error` is what made it necessary."""
        if self.reason is not None:
            return
        self.reason = reason
        self.error = error
        for listener in self._subscribers:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a stop is asked for; at once if it was."""
        self._subscribers.append(listener)
        if self.reason is not None:
            listener()

    def before_writing(self, when: str) -> StoppedError:
        """The error of a run that was asked to stop so early that nothing is written; `when` it was."""
        error = StoppedError(f"stopped {when}; nothing was written")
        if self.reason == "interrupted":
            error.exit_code = ExitCode.INTERRUPTED
        return error
