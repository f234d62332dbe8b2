"""Progress while a run works: a live panel on a terminal, a log line now and then elsewhere.

Both are tasks that run until they are cancelled. Showing progress must never end a run: if the terminal goes
away, or drawing fails for any other reason, the task ends and the run goes on without it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from rich.console import Console
from rich.live import Live

from refire_async.report.screen import render
from refire_async.report.snapshot import Snapshot
from refire_async.report.stats import RunStats

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

FRAME_S = 0.25
LINE_S = 10.0
_SAMPLE_S = 1.0


async def show_live(stats: RunStats, console: Console, clock: Clock, sleep: Sleep = anyio.sleep) -> None:
    """Draw the panel on `console` four times a second; it disappears at the end."""
    try:
        with Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        ) as live:
            while True:
                live.update(render(stats.sample(clock()), console.width), refresh=True)
                await sleep(FRAME_S)
    except Exception:  # noqa: BLE001, S110 - see the module's docstring; cancellation is no Exception
        pass


async def log_lines(
    stats: RunStats, say: Callable[[Snapshot], None], clock: Clock, sleep: Sleep = anyio.sleep
) -> None:
    """Say how far the run is every 10 s, from the first 10 s on."""
    said_at = clock()
    while True:
        await sleep(_SAMPLE_S)
        now = stats.sample(clock())
        if clock() - said_at >= LINE_S:
            said_at += LINE_S
            say(now)


def is_live(console: Console) -> bool:
    """Whether the panel can be drawn there."""
    return console.is_terminal and not console.is_dumb_terminal
