"""Metrics: documented names, the numbers of the events, and a one-line error if they cannot be served."""

import re
import socket
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from refire_async.errors import UsageError
from refire_async.events import (
    BatchDelivered,
    BatchFailed,
    BatchWritten,
    BudgetChanged,
    ConsumerSeen,
    DeliveryCounted,
    DeliveryStarted,
    InFlight,
    InvocationThrottled,
    Invoked,
    ItemFailed,
    LanesSeen,
    PaceChanged,
    PageAcknowledged,
    PageRead,
    Paused,
    Retried,
    SegmentFinished,
    Throttled,
)
from refire_async.model.capacity import Consumed
from refire_async.model.counts import Counts
from refire_async.model.delivery import DeliveryCounts
from refire_async.output.counters import Counters
from refire_async.output.delivery_metrics import DeliveryCollector, DeliveryCounters
from refire_async.output.metrics import Collector, MetricsServer, RunCollector
from tests.output.samples import started

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
ARN = "arn:aws:dynamodb:eu-west-1:1:table/orders"
HOSTILE = 'a"b\\c\nd'


def busy_counters() -> Counters:
    """The counters of a run with every kind of event."""
    counters = Counters()
    for event in (
        replace(started(), indexes=("by-day",)),
        PageRead(0, 100, 12.5, 0.004),
        BatchWritten(0, 25, 60.0, 0.010, Consumed(60.0, {"": 50.0, "by-day": 10.0})),
        BatchWritten(1, 25, 50.0, 3.0),
        PageAcknowledged(0, Counts(scanned=50, touched=48, conflicts=1, vanished=1, failed=1)),
        Throttled(3, 5, "TableWriteKeyRangeThroughputExceeded", ARN, lane_only=True),
        Retried(3, 4, HOSTILE, 1, 0.1),
        ItemFailed(1, 1, "ValidationException"),
        SegmentFinished(3, 2, 8),
        LanesSeen(5, 2, 0),
        LanesSeen(3, 0, 1),
        BudgetChanged(400.0, 50.0, "you"),
        Paused("you"),
        ConsumerSeen("project-orders", 12.0, 1, 0),
        ConsumerSeen("project-orders", 31.5, 3, 2, 400.0),
        ConsumerSeen("audit", None, 0, 0),
    ):
        counters.handle(event)
    return counters


def scraped(counters: Counters, share: float | None = 0.25) -> dict[str, float]:
    """The samples of a run."""
    return scraped_from(RunCollector(counters, lambda: share))


def scraped_from(collector: Collector) -> dict[str, float]:
    """Samples as a scrape reads them, by name and labels."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_numbers_are_those_of_the_run() -> None:
    """Every event counts in its metric; labels keep any text."""
    found = scraped(busy_counters())
    for name, value in {
        "refire_run run_id=run-1 table=orders": 1,
        "refire_items_total outcome=touched": 50,
        "refire_items_total outcome=vanished": 1,
        "refire_scanned_total": 100,
        "refire_conflicts_total": 1,
        "refire_expected_items": 1000,
        "refire_progress_ratio": 0.25,
        "refire_segments": 8,
        "refire_segments_finished": 2,
        "refire_lanes state=active": 6,
        "refire_lanes state=backing_off": 2,
        "refire_wcu_total resource=table": 100,
        "refire_wcu_total resource=by-day": 10,
        "refire_rcu_total": 12.5,
        "refire_budget_wcu": 400,
        "refire_budget_rcu": 50,
        "refire_allowed_wcu": 0,
        "refire_paused": 1,
        f"refire_throttled_total reason=TableWriteKeyRangeThroughputExceeded resource={ARN}": 5,
        f"refire_retries_total reason={HOSTILE}": 1,
        "refire_failed_total code=ValidationException": 1,
        "refire_consumer_age_seconds consumer=project-orders": 31.5,
        "refire_consumer_errors_total consumer=project-orders": 3,
        "refire_consumer_throttles_total consumer=project-orders": 2,
        "refire_consumer_errors_total consumer=audit": 0,
        "refire_request_seconds_count operation=write": 2,
        "refire_request_seconds_sum operation=write": 3.01,
        "refire_request_seconds_count operation=read": 1,
    }.items():
        assert found[name] == value, name
    assert "refire_consumer_age_seconds consumer=audit" not in found


def test_the_histogram_counts_each_request_once() -> None:
    """Buckets only grow, the last one has all requests, and each bound separates lower from higher latencies."""
    found = scraped(busy_counters())
    buckets = [
        (float(name.rpartition("le=")[2].split()[0]), value)
        for name, value in found.items()
        if name.startswith("refire_request_seconds_bucket") and "operation=write" in name
    ]
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (float("inf"), 2)
    assert {value for bound, value in buckets if bound < 0.01} == {0}
    assert {value for bound, value in buckets if 0.012 < bound < 3.0} == {1}
    assert {value for bound, value in buckets if bound > 3.7} == {2}


def documented(text: str) -> set[tuple[str, tuple[str, ...]]]:
    """Names and labels in the tables of a text."""
    found = set()
    for line in text.splitlines():
        if line.startswith("| `refire_"):
            names, _, labels = line.split("|")[1:4]
            known = tuple(sorted(re.findall(r"`(\w+)`", labels)))
            found |= {(name, known) for name in re.findall(r"`(\w+)`", names)}
    return found


def named(samples: Iterable[str]) -> set[tuple[str, tuple[str, ...]]]:
    """Names and labels of scraped samples."""
    found = set()
    for sample in samples:
        name, *labels = re.sub(r" le=\S+", "", sample).split(" ")
        used = tuple(sorted(label.partition("=")[0] for label in labels))
        found.add((re.sub(r"_(bucket|sum|count)$", "", name), used))
    return found


def test_the_documentation_is_complete() -> None:
    """Names and labels in docs/metrics.md are exactly those of a scrape."""
    of_run, of_delivery = DOCS.read_text().split("### Of a delivery")
    assert documented(of_run) == named(scraped(busy_counters()))
    assert documented(of_delivery) == named(scraped_from(DeliveryCollector(busy_delivery(), lambda: 0.5)))


def busy_delivery() -> DeliveryCounters:
    """The counters of a resumed delivery with every kind of event."""
    counters = DeliveryCounters()
    before = DeliveryCounts(delivered=100, failed=1, invocations=9, throttled=1)
    for event in (
        DeliveryStarted(
            run_id="r",
            source="the stream",
            function="f",
            resumed=True,
            expected=50,
            checkpoint=None,
            counts=before,
        ),
        Invoked(0.25),
        Invoked(3.0),
        InvocationThrottled("CallerRateLimitExceeded", 1.0),
        BatchFailed("shard", 0, 2, "RetryAttemptsExhausted", HOSTILE),
        PaceChanged(7, 12.5, 500.0),
        InFlight(3),
        BatchDelivered("shard", 0, 20, 0.25, 1_796_000_000.5),
        ConsumerSeen("f", 12.0, 1, 2),
        Paused("you"),
        DeliveryCounted(replace(before, delivered=120, failed=3, lost=4, messages=2, messages_deleted=1)),
    ):
        counters.handle(event)
    return counters


def test_a_delivery_counts_what_this_process_does() -> None:
    """Counts of earlier attempts are left out; nothing that a function answered is in a label."""
    found = scraped_from(DeliveryCollector(busy_delivery(), lambda: None))
    assert found["refire_records_total outcome=delivered"] == 20
    assert found["refire_records_total outcome=failed"] == 2
    assert found["refire_records_total outcome=lost"] == 4
    assert found["refire_invocations_total"] == 0
    assert found["refire_messages_total outcome=kept"] == 1
    assert found["refire_records_failed_total condition=RetryAttemptsExhausted"] == 2
    assert found["refire_invocations_throttled_total reason=CallerRateLimitExceeded"] == 1
    assert found["refire_invocation_seconds_sum"] == 3.25
    assert found["refire_allowed_invocations_per_second"] == 12.5
    assert found["refire_max_records_per_second"] == 500
    assert found["refire_invocations_in_flight"] == 3
    assert found["refire_delivered_record_timestamp_seconds"] == 1_796_000_000.5
    assert found["refire_consumer_age_seconds consumer=f"] == 12
    assert "refire_progress_ratio" not in found
    assert not any(HOSTILE in sample for sample in found)


def test_before_a_run_begins_there_is_something_to_scrape() -> None:
    """No run, no share of it: such metrics are missing, the others are 0."""
    found = scraped(Counters(), None)
    assert found["refire_items_total outcome=touched"] == 0
    assert not {"refire_progress_ratio", "refire_expected_items"} & set(found)


def test_a_port_that_is_taken_is_one_line() -> None:
    """Another process listens on it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 is already in use"):
            MetricsServer("127.0.0.1", port, RunCollector(Counters(), lambda: None))


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is missing."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match=r"pip install 'refire-async\[metrics\]'"):
        MetricsServer("127.0.0.1", 1, RunCollector(Counters(), lambda: None))


def test_items_count_before_their_page_is_done() -> None:
    """A page of a slow run takes minutes: touched, failed and scanned items count at once and never decrease."""
    counters = Counters()
    for event in (
        started(),
        PageRead(0, 500, 12.0, 0.01),
        BatchWritten(0, 25, 25.0, 0.01),
        ItemFailed(0, 2, "ValidationException"),
    ):
        counters.handle(event)
    found = scraped(counters)
    assert found["refire_items_total outcome=touched"] == 25
    assert found["refire_items_total outcome=failed"] == 2
    assert found["refire_scanned_total"] == 500
    counters.handle(PageAcknowledged(0, Counts(scanned=500, touched=25, failed=2, already=473)))
    found = scraped(counters)
    assert found["refire_items_total outcome=touched"] == 25
    assert found["refire_items_total outcome=already"] == 473
    assert found["refire_scanned_total"] == 500
