"""Progress of a run or a delivery: a live panel on a terminal, a log line every 10 s elsewhere.

Both are tasks that run until they are cancelled. Showing progress must never end the work: if the terminal disappears,
or drawing fails for any other reason, the task ends and the work continues without it.
"""

import contextlib
import math
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import anyio
from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from refire_async.output.sampled import Sampled
from refire_async.output.screen import MOST_COLUMNS, height, render
from refire_async.output.snapshot import Snapshot

T = TypeVar("T")

Clock: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

FRAME_S = 0.5
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Around a frame (synchronized output); other terminals ignore them."""

LINE_S = 10.0
_SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Screen(Generic[T]):
    """How a sample is drawn on a terminal: what for so many columns, and in how many lines."""

    render: Callable[[T, int], RenderableType]
    height: Callable[[T], int]


RUN: Screen[Snapshot] = Screen(render, height)


class Panel:
    """The live panel, while it is shown: allows printing above it, and hiding it."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def print_above(self, line: str) -> bool:
        """Print a line above the panel. Returns False if no panel is shown. Raises OSError."""
        if self._live is None or not self._live.is_started:
            return False
        self._live.console.print(Text(line), soft_wrap=True)
        return True

    def hide(self) -> None:
        """Erase the panel and show the cursor. The next frame draws the panel at the cursor."""
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
    screen: Screen[T],
    stats: Sampled[T],
    console: Console,
    clock: Clock,
    sleep: Sleep = anyio.sleep,
    *,
    panel: Panel | None = None,
    lost: Callable[[OSError], None] | None = None,
) -> None:
    """Draw the panel on `console` twice a second, and erase it at the end. A background process draws nothing.

    `lost` is called with the error if the panel cannot be drawn.
    """
    panel = Panel() if panel is None else panel
    try:
        while True:
            if is_in_foreground(console):
                await _draw(screen, stats, console, clock, sleep, panel)
            else:
                await sleep(FRAME_S)
    except OSError as error:
        if lost is not None:
            lost(error)
    except Exception:  # noqa: BLE001, S110 - see the module's docstring; cancellation is a BaseException
        pass


async def _draw(  # noqa: PLR0917 - called once
    screen: Screen[T], stats: Sampled[T], console: Console, clock: Clock, sleep: Sleep, panel: Panel
) -> None:
    """Draw frames until the panel is hidden or the process goes to the background."""
    live = Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, vertical_overflow="crop"
    )
    with panel.on(live):
        columns = lines = 0
        while live.is_started and is_in_foreground(console):
            now = stats.sample(clock())
            width, rows = console.size
            # One synchronized write per frame avoids flicker.
            with console:
                console.control(_code(_BEGIN))
                if width < columns:
                    console.control(_code(_erase_wrapped(columns, lines, width)))
                live.update(screen.render(now, width), refresh=True)
                console.control(_code(_END))
            columns, lines = min(width, MOST_COLUMNS), min(screen.height(now), rows)
            await sleep(FRAME_S)


def is_in_foreground(console: Console) -> bool:
    """Whether the process may draw: it is in the foreground of its controlling terminal, or has none."""
    try:
        return os.tcgetpgrp(console.file.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # not the controlling terminal, or not a terminal
        return True


def _code(codes: str) -> Control:
    """Escape codes that rich does not define."""
    control = Control()
    control.segment = Segment(codes, None, [(ControlType.HOME,)])
    return control


def _erase_wrapped(columns: int, lines: int, width: int) -> str:
    """Codes that erase a frame of `columns` and `lines` which a terminal has wrapped after it became narrower.

    The cursor ends where it would be without wrapping, so that the next frame overwrites the old one.
    """
    wrapped = (lines - 1) * math.ceil(columns / width)
    return f"\r\x1b[{wrapped}A\x1b[J\x1b[{lines - 1}B" if lines > 1 else ""


async def log_lines(
    stats: Sampled[T], log: Callable[[T], None], clock: Clock, sleep: Sleep = anyio.sleep
) -> None:
    """Log the progress every 10 s."""
    logged_at = clock()
    while True:
        await sleep(_SAMPLE_S)
        now = stats.sample(clock())
        if clock() - logged_at >= LINE_S:
            logged_at += LINE_S
            log(now)


def is_live(console: Console) -> bool:
    """Whether the console can show the panel."""
    return console.is_terminal and not console.is_dumb_terminal
