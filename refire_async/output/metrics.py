"""Metrics of a run for Prometheus and CloudWatch. docs/metrics.md lists the names.

Prometheus reads the counters on each scrape. A thread of prometheus-client serves them, so that no scrape delays the
run. CloudWatch Logs extracts metrics from a line of JSON at the end of the run (CloudWatch User Guide: Specification:
Embedded metric format).
"""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import orjson

from refire_async.errors import UsageError
from refire_async.model.run import Summary
from refire_async.output.counters import LATENCY_BOUNDS, Counters, Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Rows: TypeAlias = Sequence[tuple[tuple[str, ...], float]]
"""(label values, number) of each sample."""

_BOUND_EVERY = 4
"""The histogram uses every fourth bound of the counters: each is about twice the one before."""


NAMESPACE = "refire"
"""Namespace of the CloudWatch metrics."""

_UNITS = {
    **dict.fromkeys(("scanned", "touched", "already", "conflicts", "vanished", "expired", "failed"), "Count"),
    **dict.fromkeys(("throttled", "retries", "wcu", "rcu"), "Count"),
    "seconds": "Seconds",
    "items_per_second": "Count/Second",
}


def emf_line(summary: Summary, now: float) -> str:
    """The summary of a run in the embedded metric format, one line; `now` in Unix seconds."""
    return embedded(summary.to_json(), ("table", "status"), _UNITS, now)


def embedded(
    fields: Mapping[str, Any], dimensions: Sequence[str], units: Mapping[str, str], now: float
) -> str:
    """`fields` in the embedded metric format; `units` are those of the metrics among them.

    There is one set of dimensions, because CloudWatch charges each further set as separate custom metrics. The run id
    is a property, because a dimension would be charged.
    """
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}
    return orjson.dumps(
        {
            "_aws": {"Timestamp": round(now * 1000), "CloudWatchMetrics": [directive]},
            **{name: fields[name] for name in (*dimensions, "run_id", *units)},
        }
    ).decode()


class Collector(Protocol):
    """Collects metrics on each scrape."""

    def collect(self) -> "Iterator[Metric]":
        """The current metrics. Called in the server's thread."""


class RunCollector:
    """Collects the metrics of a run. `share` returns its progress (0 to 1), None while that is unknown."""

    def __init__(self, counters: Counters, share: Callable[[], float | None]) -> None:
        self._counters, self._share = counters, share

    def collect(self) -> "Iterator[Metric]":
        """The current metrics. Called in the server's thread."""
        yield from self._about()
        yield from self._work()
        yield from self._capacity()
        yield from self._trouble()
        yield from self._consumers()
        yield self._requests()

    def _about(self) -> "Iterator[Metric]":
        started = self._counters.started
        if started is None:
            return
        yield gauges(
            "run",
            "The run in progress.",
            ("run_id", "table"),
            [((started.spec.run_id, started.spec.table), 1)],
        )
        if started.expected_items is not None:
            yield gauge("expected_items", "Items of the selection, as far as known.", started.expected_items)

    def _work(self) -> "Iterator[Metric]":
        seen, counts = self._counters, self._counters.counts
        outcomes = [((name,), items) for name, items in seen.outcomes.items()]
        yield counters("items", "Items by outcome.", ("outcome",), outcomes)
        yield counters("scanned", "Items read.", (), [((), max(seen.read, counts.scanned))])
        yield counters(
            "conflicts", "Touched items that other writers had changed.", (), [((), counts.conflicts)]
        )
        finished, total = seen.segments
        yield gauge("segments", "Segments of the selection.", total)
        yield gauge("segments_finished", "Segments that were read to their end.", finished)
        lanes = list(seen.lanes.values())
        held = sum(backing_off for _, backing_off in lanes)
        states = [(("active",), sum(active for active, _ in lanes) - held), (("backing_off",), held)]
        yield gauges("lanes", "Segments with writes waiting.", ("state",), states)
        share = self._share()
        if share is not None:
            yield gauge("progress_ratio", "Progress of the run, from 0 to 1.", share)

    def _capacity(self) -> "Iterator[Metric]":
        seen = self._counters
        wcu = [((name or "table",), units) for name, units in dict(seen.wcu).items()]
        yield counters("wcu", "Write units consumed by the table and its indexes.", ("resource",), wcu)
        yield counters("rcu", "Read units consumed.", (), [((), seen.rcu)])
        yield gauge("budget_wcu", "Write units per second that the run may use.", seen.budget_wcu)
        yield gauge("budget_rcu", "Read units per second that the run may use.", seen.budget_rcu)
        yield gauge("allowed_wcu", "Write units per second after throttling and pauses.", seen.allowed_wcu)
        yield gauge("paused", "1 while the run is paused.", float(seen.paused))

    def _trouble(self) -> "Iterator[Metric]":
        seen = self._counters
        refused = [(cause, items) for cause, items in dict(seen.throttles.by_reason).items()]
        yield counters("throttled", "Attempts refused for lack of capacity.", ("reason", "resource"), refused)
        for name, text, label, numbers in (
            ("retries", "Requests retried for other reasons.", "reason", dict(seen.retries)),
            ("failed", "Items that failed.", "code", dict(seen.failed)),
        ):
            yield counters(name, text, (label,), [((value,), items) for value, items in numbers.items()])

    def _consumers(self) -> "Iterator[Metric]":
        seen = list(self._counters.consumers.values())
        ages = [((one.name,), one.age_s) for one in seen if one.age_s is not None]
        yield gauges("consumer_age_seconds", "Iterator age of consumers.", ("consumer",), ages)
        errors = [((one.name,), one.errors) for one in seen]
        yield counters("consumer_errors", "Failed invocations of consumers.", ("consumer",), errors)
        refused = [((one.name,), one.throttles) for one in seen]
        yield counters("consumer_throttles", "Throttled invocations of consumers.", ("consumer",), refused)

    def _requests(self) -> "Metric":
        requests = {"write": self._counters.writes, "read": self._counters.reads}
        return histograms("request_seconds", "Duration of requests.", requests, "operation")


def histograms(name: str, text: str, rows: Mapping[str, Histogram], label: str | None = None) -> "Metric":
    """A histogram for each value of `label`; without one, the only histogram."""
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 - an extra

    family = HistogramMetricFamily(f"refire_{name}", text, labels=() if label is None else (label,))
    for value, histogram in rows.items():
        family.add_metric([] if label is None else [value], _buckets(histogram), histogram.seconds)
    return family


def counters(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> "Metric":
    """A counter for each row of label values."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - an extra

    family = CounterMetricFamily(f"refire_{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric(list(values), number)
    return family


def gauges(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> "Metric":
    """A gauge for each row of label values."""
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - an extra

    family = GaugeMetricFamily(f"refire_{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric(list(values), number)
    return family


def gauge(name: str, text: str, value: float) -> "Metric":
    """A gauge without labels."""
    return gauges(name, text, (), [((), value)])


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    below = list(accumulate(histogram.counts))
    bounds = range(_BOUND_EVERY - 1, len(LATENCY_BOUNDS), _BOUND_EVERY)
    return [*((f"{LATENCY_BOUNDS[at]:.4g}", below[at]) for at in bounds), ("+Inf", below[-1])]


class MetricsServer:
    """Serves metrics on http://HOST:PORT/metrics until it is stopped. Starting and stopping block briefly."""

    def __init__(self, host: str, port: int, collector: Collector) -> None:
        """Raises UsageError if prometheus-client is missing or the server cannot listen on the port."""
        try:
            from prometheus_client import CollectorRegistry, start_wsgi_server  # noqa: PLC0415 - an extra
        except ImportError:
            raise UsageError(
                "--metrics-port needs prometheus-client",
                "install it with: pip install 'refire-async[metrics]'",
            ) from None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        try:
            self._server, self._thread = start_wsgi_server(port, host, registry)
        except OSError as error:
            problem = (
                f"port {port} of {host} is already in use"
                if error.errno == errno.EADDRINUSE
                else f"cannot listen on port {port} of {host}: {error.strerror}"
            )
            raise UsageError(f"--metrics-port: {problem}", "choose another port") from None

    def stop(self) -> None:
        """Stop serving and close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
