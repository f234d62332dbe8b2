"""Stops a run early and in order: no new requests start, and those in flight are completed and saved."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from refire_async.errors import ExitCode, RefireError, StoppedError

StopReason: TypeAlias = Literal["interrupted", "terminated", "limit", "output", "error"]


class StopRequest:
    """A request to stop. The first one counts. It may be called from signal handlers of the event loop."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self.error: RefireError | None = None
        self._subscribers: list[Callable[[], None]] = []

    def request(self, reason: StopReason, error: RefireError | None = None) -> None:
        """Stop for `reason`; `error` is its cause, if any."""
        if self.reason is not None:
            return
        self.reason = reason
        self.error = error
        for listener in self._subscribers:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a stop is requested; at once if it already was."""
        self._subscribers.append(listener)
        if self.reason is not None:
            listener()

    def before_writing(self, when: str) -> StoppedError:
        """The error of a run that was stopped before its first write; `when` is a clause such as "while it waited"."""
        error = StoppedError(f"stopped {when}; nothing was written")
        if self.reason == "interrupted":
            error.exit_code = ExitCode.INTERRUPTED
        return error
