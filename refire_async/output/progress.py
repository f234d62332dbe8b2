"""Progress while a run works: a live panel on a terminal, a log line now and then elsewhere.

Both are tasks that run until they are cancelled. Showing progress must never end a run: if the terminal goes
away, or drawing fails for any other reason, the task ends and the run goes on without it.
"""

import contextlib
import math
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import anyio
from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from refire_async.output.screen import MOST_COLUMNS, height, render
from refire_async.output.snapshot import Snapshot
from refire_async.output.stats import RunStats

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

FRAME_S = 0.5
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Around a frame (synchronized output); other terminals ignore them."""

LINE_S = 10.0
_SAMPLE_S = 1.0


class Panel:
    """The panel on a terminal, while there is one: lines can be printed above it, and it can be taken away."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def print_above(self, line: str) -> bool:
        """Print a line where the panel is, and the panel anew below it. False if there is none. Raises OSError."""
        if self._live is None or not self._live.is_started:
            return False
        self._live.console.print(Text(line), soft_wrap=True)
        return True

    def take_away(self) -> None:
        """Erase the panel and show the cursor. The next frame draws it anew, from where the cursor is then."""
        if self._live is not None:
            with contextlib.suppress(OSError):
                self._live.stop()

    @contextlib.contextmanager
    def on(self, live: Live) -> Iterator[Live]:
        """Within the block `live` is the panel."""
        with live:
            self._live = live
            try:
                yield live
            finally:
                self._live = None


async def show_live(
    stats: RunStats,
    console: Console,
    clock: Clock,
    sleep: Sleep = anyio.sleep,
    *,
    panel: Panel | None = None,
    lost: Callable[[OSError], None] | None = None,
) -> None:
    """Draw the panel on `console` twice a second; it disappears at the end. In the background nothing is drawn.

    `lost` is told why it cannot be drawn.
    """
    panel = Panel() if panel is None else panel
    try:
        while True:
            if is_in_foreground(console):
                await _draw(stats, console, clock, sleep, panel)
            else:
                await sleep(FRAME_S)
    except OSError as error:
        if lost is not None:
            lost(error)
    except Exception:  # noqa: BLE001, S110 - see the module's docstring; cancellation is no Exception
        pass


async def _draw(stats: RunStats, console: Console, clock: Clock, sleep: Sleep, panel: Panel) -> None:
    """Draw frames until the panel is taken away, or the program is put into the background."""
    live = Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, vertical_overflow="crop"
    )
    with panel.on(live):
        columns = lines = 0
        while live.is_started and is_in_foreground(console):
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


def is_in_foreground(console: Console) -> bool:
    """Whether the program may draw: its terminal, if it is one of its own, shows it and not the shell (`bg`)."""
    try:
        return os.tcgetpgrp(console.file.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # not the terminal that controls this program, or none
        return True


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
