"""Progress is a panel on a terminal and log lines elsewhere; it never ends a run."""

import io

import anyio
import pytest
from rich.console import Console, ConsoleDimensions

from refire_async.events import BatchWritten
from refire_async.output.progress import RUN, is_live, log_lines, show_live
from refire_async.output.screen import height
from refire_async.output.snapshot import Snapshot
from refire_async.output.stats import RunStats
from tests.output.samples import started


class Time:
    """A clock that sleeping moves, up to `end_s`."""

    def __init__(self, end_s: float) -> None:
        self.now = 0.0
        self._end_s = end_s

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self._end_s:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()


async def run_until_it_sleeps(function, *arguments) -> None:
    """Run a task that never ends until it waits for good, then cancel it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function, *arguments)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_a_line_every_ten_seconds() -> None:
    """35 s give three lines, with rates from the samples in between."""
    time, said = Time(35.5), list[Snapshot]()
    stats = RunStats(0.0)
    stats.handle(started(1000))
    stats.handle(BatchWritten(0, 25, 25.0, 0.01))
    await run_until_it_sleeps(log_lines, stats, said.append, time.clock, time.sleep)
    assert [now.elapsed_s for now in said] == [10, 20, 30]
    assert said[0].done == 25


async def test_panel_is_drawn_and_erased() -> None:
    """Frames follow the run; at the end the panel is erased and the cursor is shown."""
    time, console = Time(2.1), terminal()
    stats = RunStats(0.0)
    stats.handle(started(1000))
    await run_until_it_sleeps(show_live, RUN, stats, console, time.clock, time.sleep)
    frames = written(console)
    assert frames.count("refire · orders") >= 4
    assert frames.rstrip().endswith("\x1b[2K"), "the last thing it does is erase a line"
    assert "\x1b[?25h" in frames, "the cursor is shown again"


async def test_terminal_that_becomes_narrower() -> None:
    """It has wrapped the frame: all of its rows are erased before the next one, in the same write."""
    time, console = Time(1.1), terminal()

    async def narrow(seconds: float) -> None:
        console.size = ConsoleDimensions(50, 24)
        await time.sleep(seconds)

    stats = RunStats(0.0)
    stats.handle(started(1000))
    await run_until_it_sleeps(show_live, RUN, stats, console, time.clock, narrow)
    lines = height(stats.sample(0.0))
    frames = written(console).split("\x1b[?2026h")
    assert f"\x1b[{(lines - 1) * 2}A\x1b[J" in frames[2], "80 columns are two rows of 50"
    assert "\x1b[J" not in frames[1] + frames[3], "once is enough"
    assert all(frame.count("\x1b[?2026l") == 1 for frame in frames[1:])


async def test_terminal_that_is_closed_ends_only_the_panel() -> None:
    """Drawing fails with an error of the terminal; the task ends without an error."""

    class Gone(io.StringIO):
        def write(self, _text: str, /) -> int:
            raise OSError(5, "Input/output error")

    console = Console(file=Gone(), width=80, force_terminal=True)
    time = Time(100)
    with anyio.fail_after(10):
        await show_live(RUN, RunStats(0.0), console, time.clock, time.sleep)


@pytest.mark.parametrize(
    ("console", "live"),
    [
        (Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"}), True),
        (Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}), False),
        (Console(file=io.StringIO(), _environ={}), False),
    ],
    ids=["terminal", "dumb terminal", "pipe"],
)
def test_where_it_is_drawn(console: Console, live: bool) -> None:
    """Only a terminal that can move its cursor gets a panel."""
    assert is_live(console) is live
