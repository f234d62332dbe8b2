"""Progress, log lines and JSON lines of a delivery, with the fields that docs/scripting.md names."""

import io
from typing import Any

import orjson
import pytest

from refire_async.events import (
    BatchDelivered,
    BatchFailed,
    DeliveryStarted,
    Event,
    InvocationThrottled,
    MessageSettled,
    Paused,
    Resumed,
    Stopping,
    Waiting,
)
from refire_async.model.delivery import DeliveryCounts
from refire_async.output.delivery_events import DeliveryJson, DeliveryLog, DeliveryStats
from refire_async.output.logs import make_logger

STARTED = DeliveryStarted(
    run_id="r-1",
    source="the stream of table orders",
    function="turnover",
    resumed=True,
    expected=200,
    checkpoint="r-1.refire",
    counts=DeliveryCounts(delivered=40, failed=10),
)
COURSE: tuple[Event, ...] = (
    STARTED,
    BatchDelivered("shard-1", 0, 100, 0.1),
    BatchFailed("shard-1", 0, 20, "RetryAttemptsExhausted", "key k7: cannot parse"),
    BatchFailed("shard-1", 0, 5, "RetryAttemptsExhausted", "key k8: cannot parse"),
    InvocationThrottled("ReservedFunctionConcurrentInvocationLimitExceeded", 1.0),
    MessageSettled(True),
    MessageSettled(False),
    Waiting("no\x1banswer", 1.0),
    Waiting("no answer", 2.0),
    Paused("by the operator"),
    Resumed("by the operator"),
    Stopping("interrupted"),
    Stopping("interrupted"),
)


def _json(*events: Event) -> tuple[DeliveryStats, list[dict[str, Any]]]:
    written: list[str] = []
    stats, lines = DeliveryStats(lambda: 100.0), DeliveryJson(written.append, lambda: 0.0, lambda: 0.0)
    for event in events:
        stats.handle(event)
        lines.handle(event)
    lines.progress(stats.sample(110.0))
    lines.flush()
    return stats, [orjson.loads(line) for line in written]


def test_json_lines() -> None:
    """Counts are in `records`, added up per condition; a wait and a stop are said once; no message of a function."""
    _, lines = _json(*COURSE)
    common = {"time": "1970-01-01T00:00:00.000Z", "run_id": "r-1"}
    by_kind = [{name: value for name, value in line.items() if name not in common} for line in lines]
    assert all(common.items() <= line.items() for line in lines)
    assert by_kind[0] == {
        "event": "start",
        "source": "the stream of table orders",
        "function": "turnover",
        "resumed": True,
        "expected": 200,
        "checkpoint": "r-1.refire",
        "settled_before": 50,
    }
    assert by_kind[1:] == [
        {"event": "records-failed", "records": 20, "reason": "RetryAttemptsExhausted"},
        {"event": "throttle", "records": 1, "reason": "ReservedFunctionConcurrentInvocationLimitExceeded"},
        {"event": "wait", "reason": "no\x1banswer", "since_s": 1.0},
        {"event": "pause", "why": "by the operator"},
        {"event": "unpause", "why": "by the operator"},
        {"event": "stop", "reason": "interrupted"},
        {
            "event": "progress",
            "state": "stopping",
            "settled": 175,
            "expected": 200,
            "failed": 35,
            "records_per_second": 12.5,
            "messages": 2,
            "messages_deleted": 1,
        },
        {"event": "records-failed", "records": 5, "reason": "RetryAttemptsExhausted"},
    ]


def test_progress_and_snapshot_of_a_log_have_the_same_fields() -> None:
    """A line every 10 s and one on SIGUSR1 differ in their name only."""
    stream = io.StringIO()
    log, (stats, _) = DeliveryLog(make_logger("info", human=False, stream=stream)), _json(*COURSE)
    log.progress(stats.sample(110.0))
    log.snapshot(stats.sample(110.0))
    first, second = (orjson.loads(line) for line in stream.getvalue().splitlines())
    assert (first.pop("event"), second.pop("event")) == ("delivery.progress", "delivery.snapshot")
    first.pop("timestamp"), second.pop("timestamp")
    assert first == second
    assert first["settled"] == 175


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((), "reading ahead"),
        ((STARTED,), "delivering, 0 records/s, 10 failed"),
        (COURSE[:3], "delivering, 12 records/s, 30 failed"),
        ((STARTED, Waiting("no\x1banswer", 1.0)), "waiting: no\\x1banswer, 0 records/s, 10 failed"),
    ],
)
def test_the_bar_says_what_it_does(events: tuple[Event, ...], text: str) -> None:
    """State, rate of this attempt, failures of all; control characters of a service's answer never reach a terminal."""
    stats, _ = _json(*events)
    assert stats.sample(110.0).describe() == text
