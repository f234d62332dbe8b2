"""The log: one line per event that an operator acts on, no personal data, limited in number."""

import io
import logging
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    Event,
    ItemFailed,
    PageRead,
    Paused,
    RateChanged,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    Stopping,
    Throttled,
    Waiting,
)
from refire_async.model.counts import Counts
from refire_async.output.logs import EventLog, LibraryLog, LogLevel, make_logger
from refire_async.output.stats import RunStats
from tests.output.samples import started, summary

THROTTLED = Throttled(0, 25, "TableWriteKeyRangeThroughputExceeded", "orders", lane_only=True)


class Recorded:
    """A JSON log and a clock that the test moves."""

    def __init__(self, level: LogLevel = "info") -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        self.log = EventLog(make_logger(level, human=False, stream=self._stream), lambda: self.now)

    def handle(self, events: Iterable[Event]) -> "Recorded":
        for event in events:
            self.log.handle(event)
        return self

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self._stream.getvalue().splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


def test_lines_are_json_with_time_level_and_run() -> None:
    """Each line has a dotted name, a level, a time in UTC and, from the start on, the run's id."""
    recorded = Recorded().handle(
        [started(), Stopping("interrupted"), RunEnded(summary(touched=5, scanned=5))]
    )
    assert [line["event"] for line in recorded.lines] == ["run.started", "run.stopping", "run.ended"]
    for line in recorded.lines:
        assert line["run_id"] == "run-1"
        assert line["level"] in ("info", "warning")
        assert line["timestamp"].endswith("Z")
        assert "T" in line["timestamp"]
    assert recorded.lines[0]["max_wcu"] == 800.0
    assert recorded.lines[2]["touched"] == 5


def test_resumed_run_has_its_own_event() -> None:
    """`run.resumed` has the number of items that were done before."""
    recorded = Recorded().handle([started(before=Counts(scanned=4, touched=4))])
    assert recorded.lines[0]["event"] == "run.resumed"
    assert recorded.lines[0]["settled_before"] == 4


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_key_values(level: LogLevel) -> None:
    """Key values are personal data: the log has only the kind of the selection."""
    recorded = Recorded(level).handle(
        [started(), PageRead(1, 10, 1.0, 0.01), BatchWritten(1, 10, 10.0, 0.01)]
    )
    assert recorded.lines
    assert "ann@example.org" not in str(recorded.lines)


def test_a_flood_is_added_up() -> None:
    """A thousand throttled batches in 10 s are two lines with the right sum."""
    recorded = Recorded()
    for step in range(1001):
        recorded.now = step * 0.01
        recorded.handle([THROTTLED])
    lines = recorded.named("write.throttled")
    assert len(lines) == 2
    assert sum(line["items"] for line in lines) == 25 * 1001


def test_reasons_have_separate_lines() -> None:
    """Each reason and each resource has its own line at once."""
    recorded = Recorded().handle(
        [
            THROTTLED,
            Throttled(
                0, 1, "IndexWriteProvisionedThroughputExceeded", "orders/index/by-day", lane_only=False
            ),
            Throttled(0, 1, "TableReadProvisionedThroughputExceeded", "orders", lane_only=False),
            Retried(0, 3, "ConnectionReset", 1, 0.2),
            ItemFailed(0, 2, "ValidationError"),
        ]
    )
    assert [line["event"] for line in recorded.lines] == [
        "write.throttled",
        "write.throttled",
        "read.throttled",
        "request.retried",
        "item.failed",
    ]
    assert {line["resource"] for line in recorded.named("write.throttled")} == {
        "orders",
        "orders/index/by-day",
    }


def test_pending_counts_are_logged_at_the_end() -> None:
    """The last line of a reason has the items since the line before."""
    recorded = Recorded().handle([started(), THROTTLED, THROTTLED, THROTTLED, RunEnded(summary())])
    assert [line["items"] for line in recorded.named("write.throttled")] == [25, 50]
    recorded.log.flush()
    assert len(recorded.named("write.throttled")) == 2, "logged once"


def test_kinds_of_lines_are_bounded() -> None:
    """A service that invents reasons fills neither memory nor the log."""
    recorded = Recorded().handle([Retried(0, 1, f"reason {n}", 1, 0.1) for n in range(1000)])
    assert len(recorded.lines) == 101
    recorded.log.flush()
    assert sum(line["items"] for line in recorded.lines) == 1000


def test_waiting_and_rate_changes_are_not_repeated_at_once() -> None:
    """A controller that moves often is one line in 10 s."""
    recorded = Recorded().handle([Waiting("no network", 1.0), RateChanged(10.0, 20.0, "throttled")] * 50)
    assert [line["event"] for line in recorded.lines] == ["run.waiting", "rate.changed"]
    recorded.now = 10.0
    recorded.handle([Waiting("no network", 11.0)])
    assert recorded.named("run.waiting")[-1]["since_s"] == 11.0
    recorded.handle([Recovered(12.34)])
    assert recorded.named("run.recovered")[-1]["after_s"] == 12.3


def test_nothing_per_batch_at_info() -> None:
    """Pages and batches are not logged at info, pages are at debug."""
    events = [PageRead(0, 10, 1.0, 0.01), BatchWritten(0, 10, 10.0, 0.01)]
    assert Recorded("info").handle(events).lines == []
    assert [line["event"] for line in Recorded("debug").handle(events).lines] == ["page.read"]


def test_level_filters() -> None:
    """At error a run is silent."""
    assert Recorded("error").handle([started(), THROTTLED, RunEnded(summary())]).lines == []


def test_progress_line() -> None:
    """Without a terminal a line has the progress and the rates."""
    recorded = Recorded()
    stats = RunStats(0.0)
    for event in (started(1000), BatchWritten(0, 25, 25.0, 0.01)):
        stats.handle(event)
    recorded.handle([started()])
    stats.sample(0.0)
    stats.handle(BatchWritten(0, 25, 25.0, 0.01))
    recorded.log.progress(stats.sample(10.0))
    line = recorded.named("run.progress")[0]
    assert line["run_id"] == "run-1"
    assert (line["items"], line["share"], line["items_per_second"], line["remaining_s"]) == (
        50,
        0.05,
        2.5,
        380.0,
    )


def test_people_get_lines_without_json() -> None:
    """On a terminal the log leaves out what panel and summary show; colours only if requested."""
    stream = io.StringIO()
    log = EventLog(make_logger("info", human=True, colors=False, stream=stream), brief=True)
    for event in (started(), THROTTLED, RunEnded(summary())):
        log.handle(event)
    first, second = stream.getvalue().splitlines()
    assert "[info] run.started budget='800 WCU/s: the table' run_id=run-1 table=orders" in first
    assert "write.throttled" in second
    assert "\x1b" not in stream.getvalue()


def test_warnings_of_libraries_are_logged() -> None:
    """Lower levels are not: they contain requests."""
    stream = io.StringIO()
    library = logging.Logger("some.library")  # noqa: LOG001 - one that is not part of the process's tree
    library.addHandler(LibraryLog(make_logger("debug", human=False, stream=stream)))
    library.debug("authorization: secret")
    library.warning("clock is %s", "skewed")
    library.error("lost", exc_info=OSError("gone"))
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["library"], line["text"], line["level"]) for line in lines] == [
        ("some.library", "clock is skewed", "warning"),
        ("some.library", "lost: OSError", "error"),
    ]


def test_log_that_cannot_be_written_ends_nothing() -> None:
    """Standard error may be a pipe that its reader has closed."""

    class Broken(io.StringIO):
        def write(self, _text: str, /) -> int:
            raise BrokenPipeError

    EventLog(make_logger("info", human=False, stream=Broken())).handle(started())
    closed = io.StringIO()
    closed.close()
    EventLog(make_logger("info", human=False, stream=closed)).handle(started())


def test_small_budget_changes_are_limited_but_every_new_reason_is_logged_at_once() -> None:
    """An operator needs every new reason (a timetable, a pause, the console), but not each step of a growth."""
    recorded = Recorded()
    for step in range(100):
        recorded.now = step / 10
        recorded.handle([BudgetChanged(100.0 + step, 10.0, "growing")])
    recorded.handle([BudgetChanged(50.0, 10.0, "live traffic"), Paused("asked to"), Resumed("live traffic")])
    assert [(line["event"], line["why"]) for line in recorded.lines] == [
        ("budget.changed", "growing"),
        ("budget.changed", "live traffic"),
        ("run.paused", "asked to"),
        ("run.unpaused", "live traffic"),
    ]
    assert recorded.lines[1]["max_wcu"] == 50.0
