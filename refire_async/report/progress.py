"""Progress while a run works: a live panel on a terminal, a log line now and then elsewhere.

Both are tasks that run until they are cancelled. Showing progress must never end a run: if the terminal goes
away, or drawing fails for any other reason, the task ends and the run goes on without it.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment

from refire_async.report.screen import MOST_COLUMNS, height, render
from refire_async.report.snapshot import Snapshot
from refire_async.report.stats import RunStats

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

FRAME_S = 0.5
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Around a frame (synchronized output); other terminals ignore them."""

LINE_S = 10.0
_SAMPLE_S = 1.0


async def show_live(
    stats: RunStats,
    console: Console,
    clock: Clock,
    sleep: Sleep = anyio.sleep,
    lost: Callable[[OSError], None] | None = None,
) -> None:
    """Draw the panel on `console` twice a second; it disappears at the end. `lost` is told why it cannot be drawn."""
    try:
        with Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        ) as live:
            columns = lines = 0
            while True:
                now = stats.sample(clock())
                width, rows = console.size
                # One write per frame, which terminals that know how show at once: no flicker.
                with console:
                    console.control(_code(_BEGIN))
                    if width < columns:
                        console.control(_code(_unfold(columns, lines, width)))
                    live.update(render(now, width), refresh=True)
                    console.control(_code(_END))
                columns, lines = min(width, MOST_COLUMNS), min(height(now), rows)
                await sleep(FRAME_S)
    except OSError as error:
        if lost is not None:
            lost(error)
    except Exception:  # noqa: BLE001, S110 - see the module's docstring; cancellation is no Exception
        pass


def _code(codes: str) -> Control:
    """Escape codes that rich has no name for."""
    control = Control()
    control.segment = Segment(codes, None, [(ControlType.HOME,)])
    return control


def _unfold(columns: int, lines: int, width: int) -> str:
    """Codes that take away a frame of `columns` and `lines` which a terminal that has become narrower has folded.

    The cursor ends where it would be below an unfolded one, so that the next frame takes its place.
    """
    folded = (lines - 1) * math.ceil(columns / width)
    return f"\r\x1b[{folded}A\x1b[J\x1b[{lines - 1}B" if lines > 1 else ""


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
