"""Stopping on a signal: in good order first, immediately after the second."""

import signal

import anyio

from refire_async.cli.logs import Logs
from refire_async.cli.streams import say_error
from refire_async.errors import ExitCode, StoppedError
from refire_async.model.stop import StopRequest


class StopSignals:
    """The effect of signals on a run or a delivery: the first requests a stop, the second cancels `scope`."""

    def __init__(self, stop: StopRequest, logs: Logs) -> None:
        self.scope = anyio.CancelScope()
        self.stop = stop
        self._logs = logs
        self._last: signal.Signals | None = None

    def handle(self, number: signal.Signals) -> None:
        """Stop or cancel. A closed terminal often sends SIGHUP twice, so a SIGHUP never cancels."""
        first = self._last is None
        if number == signal.SIGHUP and not first:
            return
        self._last = number
        if first:
            self.stop.request("interrupted" if number == signal.SIGINT else "terminated")
            _say_draining(self._logs)
        else:
            self.scope.cancel()

    def cancelled(self, resume_with: str | None) -> StoppedError:
        """The error for cancelled work; `resume_with` is the command that continues it, if it had begun."""
        if resume_with is None:
            error = StoppedError("stopped immediately, before anything was written")
        else:
            error = StoppedError("stopped immediately", f"resume with: {resume_with}")
        interrupted = self._last in (None, signal.SIGINT)
        error.exit_code = ExitCode.INTERRUPTED if interrupted else ExitCode.STOPPED
        return error


def _say_draining(logs: Logs) -> None:
    if logs.terminal:
        say_error(
            "stopping: requests in flight are finished and saved; press Ctrl-C again to stop immediately"
        )
    else:
        logs.warning(
            "run.draining",
            hint="requests in flight are finished and saved; a second signal stops immediately",
        )
