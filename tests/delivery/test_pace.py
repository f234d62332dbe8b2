"""How throttling changes the pace, without a clock."""

import math

import pytest

from refire_async.delivery.pace import HOLD_S, SLOWEST_RATE, Pace

CONCURRENCY, RATE = "ReservedFunctionConcurrentInvocationLimitExceeded", "CallerRateLimitExceeded"


def test_a_burst_of_refusals_counts_once() -> None:
    pace = Pace(100)
    for _ in range(50):
        pace.throttled(CONCURRENCY, None, 10.0)
    assert pace.concurrency == 70
    pace.throttled(CONCURRENCY, None, 10.0 + HOLD_S)
    assert pace.concurrency == 49
    assert pace.rate == math.inf


def test_concurrency_falls_to_one_and_rises_again_to_its_ceiling() -> None:
    pace = Pace(8)
    for second in range(60):
        pace.throttled(CONCURRENCY, None, float(second))
    assert pace.concurrency == 1
    invocations = 0
    while pace.concurrency < 8:
        pace.succeeded()
        invocations += 1
    assert 20 < invocations < 40, "one more at a time after about as many invocations as there are at a time"
    for _ in range(100):
        pace.succeeded()
    assert pace.concurrency == 8


def invoke(pace: Pace, seconds: float, begin: float, per_s: float = 100.0) -> tuple[float, int]:
    """Invocations of one record as fast as the pace allows, at most `per_s`; the time then, and how many."""
    now, count = begin, 0
    while now < begin + seconds:
        now = max(now + 1 / per_s, pace.starts_at())
        pace.started(1, now)
        pace.succeeded()
        count += 1
    return now, count


def test_too_many_requests_lower_the_rate_and_not_the_concurrency() -> None:
    pace = Pace(50)
    now, count = invoke(pace, 5.0, 0.0)
    assert count == pytest.approx(500, abs=2)
    pace.throttled(RATE, None, now)
    assert pace.concurrency == 50
    assert pace.rate == pytest.approx(70.0, rel=0.05)
    _, count = invoke(pace, 1.0, now, per_s=10_000.0)
    assert 65 <= count <= 80
    pace = Pace(50)
    for second in range(60):
        pace.throttled(RATE, None, float(second))
    assert pace.rate == SLOWEST_RATE


def test_a_limit_on_the_rate_that_binds_nothing_is_dropped() -> None:
    pace = Pace(50)
    now, _ = invoke(pace, 2.0, 0.0, per_s=100.0)
    pace.throttled(RATE, None, now)
    invoke(pace, 600.0, now, per_s=20.0)
    assert pace.rate == math.inf


def test_the_service_can_ask_for_a_wait() -> None:
    pace = Pace(5)
    pace.throttled(RATE, 7.0, 100.0)
    assert pace.starts_at() == 107.0
    pace = Pace(5)
    pace.throttled(CONCURRENCY, 7.0, 100.0)
    assert pace.starts_at() < 100.0, "other lanes may still run"


def test_records_per_second() -> None:
    pace = Pace(5, max_rate=10.0)
    pace.started(20, 100.0)
    assert pace.starts_at() == 102.0
    pace.set_max_rate(None)
    assert pace.starts_at() < 100.0


def test_a_pause_and_a_change_are_noticed() -> None:
    pace, changes = Pace(5), []
    pace.on_change = lambda: changes.append(pace.concurrency)
    pace.pause()
    assert pace.concurrency == 0
    pace.resume()
    pace.set_concurrency(10)
    pace.throttled(CONCURRENCY, None, 0.0)
    pace.set_concurrency(2)
    assert changes == [5, 10, 1]


def test_a_delivery_needs_an_invocation_at_a_time() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Pace(0)
