"""Rates and quantiles are right, recent, and in bounded memory."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from refire_async.output.rolling import LatencyWindow, RateWindow


def test_no_rate_before_two_samples() -> None:
    """One sample is no rate; the second makes one."""
    window = RateWindow(10)
    assert window.per_second is None
    window.sample(5.0, 100)
    assert window.per_second is None
    window.sample(5.0, 100)
    assert window.per_second is None, "no time has passed"
    window.sample(7.0, 300)
    assert window.per_second == 100


def test_rate_forgets_what_is_older_than_the_window() -> None:
    """After the span of the window at another rate the old rate has no effect."""
    window = RateWindow(10)
    total = 0.0
    for step in range(400):
        total += 50 if step < 200 else 5
        window.sample(step * 0.25, total)
    assert window.per_second == 20


@given(
    st.lists(st.tuples(st.floats(0.001, 5), st.integers(0, 1000)), min_size=3, max_size=300),
    st.floats(1, 60),
)
def test_rate_is_the_mean_over_a_window_of_at_least_its_span(
    steps: list[tuple[float, int]], span_s: float
) -> None:
    """Whatever the pattern of calls: between the lowest and the highest rate of any step, in bounded memory."""
    window = RateWindow(span_s, resolution=20)
    now, total, rates = 0.0, 0, []
    window.sample(now, total)
    for gap_s, more in steps:
        now, total = now + gap_s, total + more
        window.sample(now, total)
        rates.append(more / gap_s)
        assert len(window._samples) <= 23
    assert window.per_second is not None
    assert min(rates) - 1e-6 <= window.per_second <= max(rates) * (1 + 1e-6)


def test_no_latency_before_the_first() -> None:
    """Without a latency there is no quantile."""
    assert LatencyWindow().quantiles(0.5) is None


@given(st.lists(st.floats(0.0002, 60), min_size=1, max_size=500))
def test_quantiles_are_within_a_bucket(latencies: list[float]) -> None:
    """The median and the highest are within 10% of the true ones."""
    window = LatencyWindow()
    for latency in latencies:
        window.add(latency)
    found = window.quantiles(0.5, 1.0)
    assert found is not None
    low, high = statistics.median_low(latencies), max(latencies)
    assert low / 1.1 <= found[0] <= low * 1.1
    assert high / 1.1 <= found[1] <= high * 1.1


def test_extreme_latencies_have_a_place() -> None:
    """Zero and hours do not break anything."""
    window = LatencyWindow()
    window.add(0.0)
    window.add(1e6)
    found = window.quantiles(0.0, 0.5, 1.0)
    assert found is not None
    assert found[1] < 0.0002
    assert found[2] > 60


def test_old_latencies_are_forgotten() -> None:
    """A slow period has an effect for at most two turns."""
    window = LatencyWindow(turn_s=10)
    window.turn(0)
    window.add(5.0)
    for now in range(1, 25):
        window.turn(now)
        window.add(0.001)
    found = window.quantiles(1.0)
    assert found is not None
    assert found[0] < 0.0012
