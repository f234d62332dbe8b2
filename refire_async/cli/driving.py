"""The work of a command under its observers and signals: for runs and for deliveries."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from refire_async.cli.exit_codes import single
from refire_async.cli.signals import handling, stop_signals
from refire_async.cli.stopping import StopSignals
from refire_async.cli.streams import ELSEWHERE
from refire_async.cli.system_errors import from_system
from refire_async.cli.watching import Lost, Watch
from refire_async.errors import StoppedError
from refire_async.events import Subscriber
from refire_async.model.stop import StopRequest

S = TypeVar("S", bound=Subscriber)
T = TypeVar("T")


async def drive(
    watching: Callable[[Lost], AbstractAsyncContextManager[Watch[S]]],
    work: Callable[[Watch[S], StopRequest], Awaitable[T]],
    resume_with: Callable[[S], str | None],
) -> T:
    """Do `work` with logs, progress and signals around it. Returns its result.

    The first SIGINT or SIGTERM requests an orderly stop, the second cancels the work. Signals after the result are
    ignored. `resume_with` is the command that continues the work, None if it has not begun.

    Raises:
        StoppedError: the work was cancelled before it had a result, or the operating system failed it.
    """
    stop = StopRequest()

    def lost(what: str, why: str) -> None:
        stop.request("output", StoppedError(f"{what} cannot be written: {why}", ELSEWHERE))

    async with watching(lost) as watch:
        signals = StopSignals(stop, watch.logs)
        with handling(stop_signals(), signals.handle):
            with signals.scope:
                try:
                    return await work(watch, stop)
                except Exception as error:
                    command = resume_with(watch.stats)
                    refused = from_system(single(error))
                    if refused is None or command is None:
                        raise
                    action = f"{refused.action}; resume with: {command}"
                    raise StoppedError(refused.message, action) from error
            raise signals.cancelled(resume_with(watch.stats))
