"""The token bucket never grants more than its rate and depth allow, and wastes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.buckets import TokenBucket
from refire_async.sandbox.clock import SystemClock, VirtualClock

requests = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 50)), max_size=200)


@given(st.floats(0.5, 200), st.floats(1, 400), st.booleans(), requests)
def test_never_more_than_rate_and_depth(rate: float, depth: float, full: bool, attempts: list) -> None:
    """In every window between two grants, what was granted is at most rate * t + depth, plus one overdraft."""
    bucket = TokenBucket(rate, depth, balance=depth if full else 0.0)
    now = 0.0
    granted: list[tuple[float, int]] = []
    for wait, units in attempts:
        now += wait
        if bucket.take(now, units):
            granted.append((now, units))
    overdraft = max(0.0, 50 - depth)
    for first in range(len(granted)):
        total = 0
        for at, units in granted[first:]:
            total += units
            assert total <= rate * (at - granted[first][0]) + depth + overdraft + 1e-6


@given(st.floats(1, 200), requests)
def test_refuses_only_what_it_cannot_give(rate: float, attempts: list) -> None:
    """A refusal means that the balance, worked out independently, was below the request."""
    bucket = TokenBucket(rate, rate)
    now = balance = 0.0
    for wait, units in attempts:
        now += wait
        balance = min(rate, balance + wait * rate)
        if bucket.take(now, units):
            assert balance >= min(units, rate) - 1e-6
            balance -= units
        else:
            assert balance < min(units, rate) + 1e-6


def test_request_above_the_depth_needs_a_full_bucket() -> None:
    """A 5-unit write on a 1-unit bucket is admitted once, then the debt is paid off first."""
    bucket = TokenBucket(1, 1)
    assert not bucket.take(0.5, 5)
    assert bucket.take(1.0, 5)
    assert not bucket.take(4.9, 1)
    assert not bucket.take(5.9, 1)
    assert bucket.take(6.0, 1)


def test_charge_goes_below_zero() -> None:
    """What is charged afterwards is owed: nothing is left until the debt has flowed in."""
    bucket = TokenBucket(10, 10, balance=1)
    assert bucket.has_any(0)
    bucket.charge(0, 128)
    assert not bucket.has_any(12.69)
    assert bucket.has_any(12.75)


def test_reshape_keeps_what_fits() -> None:
    """A lower capacity takes the surplus away; a higher one gives nothing at once."""
    bucket = TokenBucket(100, 100, balance=100)
    bucket.reshape(0, 10, 10)
    assert bucket.take(0, 10)
    assert not bucket.take(0, 1)
    bucket = TokenBucket(10, 10, balance=10)
    bucket.reshape(0, 100, 100)
    assert not bucket.take(0.0, 11)
    assert bucket.take(0.01, 11)


def test_virtual_clock_moves_by_hand() -> None:
    """Both readings move by what was advanced, and never back."""
    clock = VirtualClock(epoch=1000.0)
    assert (clock.monotonic(), clock.time()) == (0.0, 1000.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (2.5, 1002.5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_system_clock_flows() -> None:
    """The system clock gives the machine's own readings."""
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first
    assert clock.time() > 1_700_000_000
