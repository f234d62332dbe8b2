"""Metrics of a delivery for Prometheus and CloudWatch. docs/metrics.md lists the names."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from refire_async.events import (
    BatchDelivered,
    BatchFailed,
    ConsumerSeen,
    DeliveryCounted,
    DeliveryEnded,
    DeliveryStarted,
    InFlight,
    InvocationThrottled,
    Invoked,
    PaceChanged,
    Paused,
    Resumed,
    Subscriber,
)
from refire_async.model.delivery import DeliveryCounts, DeliverySummary
from refire_async.output.counters import Histogram, add_count
from refire_async.output.metrics import counters, embedded, gauge, gauges, histograms

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_UNITS = {
    **dict.fromkeys(("selected", "delivered", "failed", "filtered", "lost", "invocations"), "Count"),
    **dict.fromkeys(("repeated", "retries", "throttled", "messages", "messages_deleted"), "Count"),
    "seconds": "Seconds",
    "records_per_second": "Count/Second",
}


def delivery_emf_line(summary: DeliverySummary, now: float) -> str:
    """The summary of a delivery in the embedded metric format, one line; `now` in Unix seconds."""
    return embedded(summary.to_json(), ("function", "status"), _UNITS, now)


class DeliveryCounters(Subscriber):
    """Counts the events of a delivery in this process for `DeliveryCollector`."""

    def __init__(self) -> None:
        self.started: DeliveryStarted | None = None
        self.counts = DeliveryCounts()
        self.durations = Histogram()
        self.throttled: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.pace: PaceChanged | None = None
        self.in_flight = 0
        self.delivered_at: float | None = None
        """When the record that was delivered last was created, in Unix seconds."""
        self.consumers: dict[str, float | None] = {}
        self.paused = False
        self.handlers = {
            DeliveryStarted: self._started,
            DeliveryCounted: self._counted,
            DeliveryEnded: lambda event: self._counted(DeliveryCounted(event.summary.counts)),
            Invoked: lambda event: self.durations.add(event.latency_s),
            InvocationThrottled: lambda event: add_count(self.throttled, event.reason, 1),
            BatchFailed: lambda event: add_count(self.failed, event.condition, event.records),
            PaceChanged: self._pace_changed,
            InFlight: self._in_flight_changed,
            BatchDelivered: self._delivered,
            ConsumerSeen: self._consumer_seen,
            Paused: lambda _: self._set_paused(paused=True),
            Resumed: lambda _: self._set_paused(paused=False),
        }

    def _started(self, event: DeliveryStarted) -> None:
        self.started = event

    def _counted(self, event: DeliveryCounted) -> None:
        before = DeliveryCounts() if self.started is None else self.started.counts
        self.counts = event.counts.since(before)

    def _pace_changed(self, event: PaceChanged) -> None:
        self.pace = event

    def _in_flight_changed(self, event: InFlight) -> None:
        self.in_flight = event.invocations

    def _delivered(self, event: BatchDelivered) -> None:
        self.delivered_at = event.created_at

    def _consumer_seen(self, event: ConsumerSeen) -> None:
        self.consumers[event.name] = event.age_s

    def _set_paused(self, *, paused: bool) -> None:
        self.paused = paused


class DeliveryCollector:
    """Collects the metrics of a delivery. `share` returns its progress (0 to 1), None while that is unknown."""

    def __init__(self, seen: DeliveryCounters, share: Callable[[], float | None]) -> None:
        self._seen, self._share = seen, share

    def collect(self) -> "Iterator[Metric]":
        """The current metrics. Called in the server's thread."""
        yield from self._about()
        yield from self._records()
        yield from self._invocations()

    def _about(self) -> "Iterator[Metric]":
        started = self._seen.started
        if started is None:
            return
        labels = ("run_id", "function")
        yield gauges(
            "delivery", "The delivery in progress.", labels, [((started.run_id, started.function), 1)]
        )
        if started.expected is not None:
            yield gauge("expected_records", "Records to deliver.", started.expected)
        share = self._share()
        if share is not None:
            yield gauge("progress_ratio", "Progress of the delivery, from 0 to 1.", share)

    def _records(self) -> "Iterator[Metric]":
        counts = self._seen.counts
        outcomes = [((name,), getattr(counts, name)) for name in ("delivered", "failed", "filtered", "lost")]
        yield counters("records", "Records by outcome.", ("outcome",), outcomes)
        yield counters("records_repeated", "Records delivered again.", (), [((), counts.repeated)])
        if self._seen.delivered_at is not None:
            yield gauge(
                "delivered_record_timestamp_seconds",
                "When the record that was delivered last was created, in Unix seconds.",
                self._seen.delivered_at,
            )
        failed = [((condition,), records) for condition, records in dict(self._seen.failed).items()]
        yield counters("records_failed", "Records that were given up.", ("condition",), failed)
        messages = [
            (("deleted",), counts.messages_deleted),
            (("kept",), counts.messages - counts.messages_deleted),
        ]
        yield counters("messages", "Messages of a queue that are worked off.", ("outcome",), messages)

    def _invocations(self) -> "Iterator[Metric]":
        seen, counts = self._seen, self._seen.counts
        yield counters("invocations", "Invocations of the target.", (), [((), counts.invocations)])
        yield counters(
            "invocations_retried", "Invocations that repeated an earlier one.", (), [((), counts.retries)]
        )
        refused = [((reason,), times) for reason, times in dict(seen.throttled).items()]
        yield counters("invocations_throttled", "Invocations that the service refused.", ("reason",), refused)
        yield histograms("invocation_seconds", "Duration of invocations.", {"": seen.durations})
        yield gauge("invocations_in_flight", "Invocations in progress.", seen.in_flight)
        yield gauge("paused", "1 while the delivery is paused.", float(seen.paused))
        ages = [((name,), age_s) for name, age_s in dict(seen.consumers).items() if age_s is not None]
        yield gauges(
            "consumer_age_seconds", "Iterator age of the function's own mapping.", ("consumer",), ages
        )
        if seen.pace is not None:
            yield gauge("concurrency", "Invocations at a time that are allowed.", seen.pace.concurrency)
            if seen.pace.invocations_per_s < math.inf:
                rate = seen.pace.invocations_per_s
                yield gauge(
                    "allowed_invocations_per_second", "Limit after throttling; absent without one.", rate
                )
            if seen.pace.max_rate is not None:
                most = seen.pace.max_rate
                yield gauge("max_records_per_second", "Limit by --max-rate or refire rate.", most)
