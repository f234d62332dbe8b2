"""Questions on the terminal during a run. The progress display is hidden meanwhile."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import click

from refire_async.cli.streams import print_note
from refire_async.engine.questions import AfterCanary, Question
from refire_async.model.delivery import DeliveryOutlook
from refire_async.model.other_run import OtherRuns
from refire_async.output.delivery import describe_outlook as describe_delivery_outlook
from refire_async.output.proof import describe_canary
from refire_async.output.text import about_duration, count, dollars, visible
from refire_async.planning.forecast.cost import Cost
from refire_async.planning.forecast.outlook import Outlook

Show = Callable[[], Awaitable[None]]


class Display:
    """Progress on standard error that can be hidden temporarily."""

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
    async def hidden(self) -> AsyncIterator[None]:
        """Hide the progress in this block."""
        if self._show is None:
            yield
            return
        self._scope.cancel()
        await self._gone.wait()
        yield
        self.start(self._show)


async def confirm(display: Display, about: Question) -> bool:
    """Print a question of the run and return whether the answer is yes. Any other answer is no."""
    async with display.hidden():
        match about:
            case AfterCanary():
                question = f"Continue with {describe_remaining(about.remaining)}?"
                click.echo(visible(describe_canary(about.canary)), err=True)
            case OtherRuns():
                question = "Continue anyway?"
                for one in about.findings:
                    click.echo(visible(f"{one.message}: {one.action}"), err=True)
            case Outlook():
                question = "Continue?"
                print_note(describe_outlook(about))
            case DeliveryOutlook():
                question = "Deliver?"
                print_note(describe_delivery_outlook(about))
        click.echo(f"{question} [y/N] ", err=True, nl=False)
        return await _is_yes()


def describe_outlook(outlook: Outlook) -> str:
    """One line: what a run is about to do."""
    if outlook.items is None or outlook.seconds is None or outlook.price is None:
        return (
            f"About to touch the selected items of table {outlook.table}. "
            "Their number is not known until they are read."
        )
    return (
        f"About to touch about {count(outlook.items)} items of table {outlook.table} "
        f"(about {about_duration(outlook.seconds)}, {_price(outlook.price)})."
    )


def describe_remaining(outlook: Outlook) -> str:
    """What remains of a run after its canary, as a part of a sentence."""
    if outlook.items is None or outlook.seconds is None or outlook.price is None:
        return "the remaining items (their number is not known until they are read)"
    return (
        f"the remaining {count(outlook.items)} items "
        f"(about {about_duration(outlook.seconds)}, {_price(outlook.price)})"
    )


def _price(cost: Cost) -> str:
    """US dollars at list prices, and whether the table's capacity is paid for already."""
    total = dollars(cost.total)
    return total if cost.extra else f"no extra cost: {total} of capacity you already pay for"


async def _is_yes() -> bool:
    # Not in a thread: a thread that waits for input cannot be cancelled.
    await anyio.wait_readable(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
