"""Questions on the terminal while a run is on: the live display makes room for them."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import click

from refire_async.model.canary import Canary
from refire_async.report.proof import describe_canary

Show = Callable[[], Awaitable[None]]


class Display:
    """Progress on standard error that can be put away for a while."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._show: Show | None = None
        self._scope = anyio.CancelScope()
        self._gone = anyio.Event()

    def start(self, show: Show) -> None:
        """Show progress from now on, until the task group is cancelled."""
        self._show = show
        self._scope, self._gone = anyio.CancelScope(), anyio.Event()
        self._tasks.start_soon(self._run, show)

    async def _run(self, show: Show) -> None:
        try:
            with self._scope:
                await show()
        finally:
            self._gone.set()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nothing is shown in this block."""
        if self._show is None:
            yield
            return
        self._scope.cancel()
        await self._gone.wait()
        yield
        self.start(self._show)


def can_ask() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask(display: Display, canary: Canary) -> bool:
    """Whether the user wants to go on after this canary. Anything but yes is no."""
    async with display.away():
        click.echo(describe_canary(canary), err=True)
        click.echo("Go on with all items? [y/N] ", err=True, nl=False)
        # Not in a thread: nobody could end one that waits for a key.
        await anyio.wait_readable(sys.stdin)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
