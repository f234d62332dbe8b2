"""The live panel answers how far, how fast, how much longer and what is in the way, at any width."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from refire_async.events import (
    BatchWritten,
    Event,
    LanesSeen,
    PageAcknowledged,
    RateChanged,
    Retried,
    RunEnded,
    Stopping,
    Throttled,
    Waiting,
)
from refire_async.model.counts import Counts
from refire_async.model.table import BillingMode
from refire_async.output.screen import height, render
from refire_async.output.snapshot import HotKey
from refire_async.output.stats import RunStats
from tests.output.samples import started, summary


def screen(*events: Event, columns: int = 80, billing: BillingMode = "PAY_PER_REQUEST") -> str:
    """The panel 10 s after the start, half of the events before and half after the first sample."""
    stats = RunStats(0.0)
    stats.handle(replace(started(1000), billing=billing))
    stats.sample(0.0)
    for event in events:
        stats.handle(event)
    console = Console(
        file=io.StringIO(), width=columns, color_system=None, force_terminal=True, legacy_windows=False
    )
    console.print(render(stats.sample(10.0), columns))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


BUSY = (
    *(BatchWritten(0, 25, 50.0, 0.004) for _ in range(10)),
    Throttled(0, 1234, "TableWriteKeyRangeThroughputExceeded", "orders", lane_only=True),
    Throttled(0, 7, "IndexWriteProvisionedThroughputExceeded", "orders", lane_only=True),
    Retried(0, 3, "ConnectionReset", 1, 0.1),
    RateChanged(300.0, 800.0, "throttled"),
    LanesSeen(12, 2),
    PageAcknowledged(0, Counts(scanned=3, failed=3)),
)

EXPECTED_80 = """\
╭─ refire · orders ────────────────────────────────────────────────────────────╮
│ ━━━━━━━━━━━━━━                                            25.0% 250 of 1,000 │
│ time        10 s elapsed · about 30 s left                                   │
│ items       25/s                                                             │
│ writes      50 of 800 WCU/s · reduced to 300 by throttling                   │
│ reads       0 of 100 RCU/s                                                   │
│ throttled   1,241 · table writes: hot key range 1,234 · index writes: provi… │
│ retries     1 · 3 items failed                                               │
│ segments    0 of 8 read to the end                                           │
│ lanes       12 with work · 2 backing off                                     │
│ latency     p50 3.9 ms · p99 3.9 ms per batch                                │
│ cost        $0.0003 so far, at list prices                                   │
│ state       running                                                          │
╰────────────────────────────────────────────────────────────────────── run-1 ─╯

"""


def test_at_80_columns() -> None:
    """The whole screen, as a snapshot."""
    assert screen(*BUSY) == EXPECTED_80


@pytest.mark.parametrize("columns", [24, 40, 80, 120, 200])
def test_fits_any_width(columns: int) -> None:
    """No line is wider than the terminal, and the panel stays small on a wide one and short on any.

    The last line is empty: it takes a terminal's echo of Ctrl-C.
    """
    lines = screen(*BUSY, columns=columns).splitlines()
    assert len(lines) == 15
    assert all(cell_len(line) <= min(columns, 100) for line in lines)
    assert lines[-1] == ""


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Waiting("no network", 5.0), "waiting · no network"),
        (Stopping("interrupted"), "draining: finishing writes in flight · interrupted"),
        (RunEnded(summary()), "100%"),
    ],
)
def test_states(event: Event, words: str) -> None:
    """The state is shown as text, not by colour alone."""
    assert words in screen(event)


def test_cost_of_capacity_that_is_paid_anyway() -> None:
    """The panel says so for a provisioned table."""
    assert "of provisioned capacity so far" in screen(*BUSY, billing="PROVISIONED")


def test_height_is_that_of_the_panel() -> None:
    """After a resize a frame erases exactly the lines of the panel."""
    stats = RunStats(0.0)
    for event in (started(1000), *BUSY):
        stats.handle(event)
    now = stats.sample(10.0)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    assert height(now) == len(console.render_lines(render(now, 80)))


def test_before_the_start() -> None:
    """A run about which nothing is known yet can be drawn."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(render(RunStats(0.0).sample(0.0), 80))
    assert isinstance(console.file, io.StringIO)
    assert "starting" in console.file.getvalue()


def test_names_are_no_markup() -> None:
    """Square brackets in a reason are shown as they are."""
    assert "[red]" in screen(Waiting("[red]odd[/]", 1.0))


@pytest.mark.parametrize(
    ("hot_key", "said"),
    [
        (None, "about 2 min 00 s left"),
        ("yes", "about 2 min 00 s left, due to a hot key range"),
        ("maybe", "over 2 min 00 s left, due to a hot key range"),
    ],
)
def test_the_remaining_time_names_a_hot_key(hot_key: HotKey, said: str) -> None:
    """An estimate that is only a lower bound says "over"."""
    now = replace(RunStats(0.0).sample(1.0), remaining_s=120.0, hot_key=hot_key)
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(render(now, 80))
    assert isinstance(console.file, io.StringIO)
    assert f"elapsed · {said} " in console.file.getvalue()
