"""The shared rate under throttling: down by a factor, up in steps, back at the ceiling within 10 seconds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.backoff import (
    FAILURE_CEILING_S,
    THROTTLE_BASE_S,
    THROTTLE_CEILING_S,
    failure_delay,
    throttle_delay,
)
from refire_async.pacing.controller import DECREASE, FLOOR, HOLD_S, RateController
from tests.support.examples import examples

ceilings = st.floats(1.0, 100_000.0)
answers = st.lists(st.tuples(st.booleans(), st.floats(0.0, 3.0)), max_size=60)


@given(ceilings, answers)
def test_the_rate_stays_between_floor_and_ceiling(ceiling: float, sequence: list[tuple[bool, float]]):
    """For any sequence. Each answer moves the rate only in its own direction, and every change is returned."""
    control, now = RateController(ceiling), 0.0
    for good, after_s in sequence:
        now += after_s
        before = control.rate
        changed = control.recover(now) if good else control.throttled(now)
        assert changed or control.rate == before
        assert control.rate >= before if good else control.rate <= before
        assert ceiling * FLOOR * 0.999 <= control.rate <= ceiling


@given(ceilings, st.integers(1, 100), st.sampled_from([5.0, 20.0, 200.0]))
def test_the_rate_is_back_at_the_ceiling_within_ten_seconds(ceiling: float, cuts: int, batches_per_s: float):
    """After the last throttling, from any lower rate, if writes succeed."""
    control, now = RateController(ceiling), 0.0
    for _ in range(cuts):
        now += HOLD_S
        control.throttled(now)
    end = now + 10.0
    while now < end:
        now += 1 / batches_per_s
        control.recover(now)
    assert control.rate == ceiling


@examples(15, 200)
@given(ceilings, st.floats(0.05, 0.95))
def test_the_rate_converges_to_the_true_capacity(ceiling: float, part: float):
    """For any capacity below the ceiling: it stays near it, without long dips."""
    control, now, capacity = RateController(ceiling), 0.0, ceiling * part
    seen = []
    for _ in range(2_000):
        now += 0.02
        if control.rate > capacity:
            control.throttled(now)
        else:
            control.recover(now)
        seen.append(control.rate)
    steady = seen[1_000:]
    # One increase can exceed the capacity before the hold time allows the next decrease.
    assert max(steady) <= capacity + ceiling * 0.12 * (HOLD_S + 0.04)
    assert min(steady) >= capacity * DECREASE * DECREASE * 0.99
    assert sum(steady) / len(steady) >= capacity * 0.7


def test_one_burst_of_throttled_writes_counts_once():
    control = RateController(100.0)
    assert control.throttled(1.0)
    assert not control.throttled(1.0 + HOLD_S * 0.9)
    assert control.rate == pytest.approx(70.0)
    assert control.throttled(1.0 + HOLD_S)
    assert control.rate == pytest.approx(49.0)


def test_throttling_at_the_floor_is_not_reported_as_a_change():
    """Otherwise every throttled write of a long throttling would emit an event."""
    control = RateController(100.0)
    changed = [control.throttled(HOLD_S * number) for number in range(1, 40)]
    assert control.rate == pytest.approx(2.0)
    assert not any(changed[15:])


def test_the_rate_does_not_rise_within_the_hold_time():
    control = RateController(100.0)
    control.throttled(1.0)
    assert not control.recover(1.0 + HOLD_S * 0.5)
    assert control.rate == pytest.approx(70.0)
    assert control.recover(1.0 + HOLD_S * 1.5)
    assert control.rate == pytest.approx(70.0 + 12.0 * HOLD_S)


@given(ceilings, ceilings, answers)
def test_another_ceiling_keeps_the_share(old: float, new: float, sequence: list[tuple[bool, float]]):
    """A process that gets another share of the budget keeps the effect of throttling."""
    control, now = RateController(old), 0.0
    for good, after_s in sequence:
        now += after_s
        if good:
            control.recover(now)
        else:
            control.throttled(now)
    share = control.rate / old
    control.set_ceiling(new)
    assert control.rate == pytest.approx(new * share)
    assert (control.rate == new) == (share == 1.0)


@given(st.integers(1, 10_000), st.integers())
def test_delays_are_below_a_bound_that_doubles_up_to_its_ceiling(attempt: int, seed: int):
    draw = random.Random(seed)
    assert (
        0
        <= throttle_delay(attempt, draw)
        <= min(THROTTLE_CEILING_S, THROTTLE_BASE_S * 2.0 ** min(attempt, 20))
    )
    assert 0 <= failure_delay(attempt, draw) <= FAILURE_CEILING_S


def test_delays_use_the_whole_range():
    """Full jitter: requests that were throttled together are not retried together."""
    draw = random.Random(1)
    delays = [throttle_delay(10, draw) for _ in range(1_000)]
    assert min(delays) < THROTTLE_CEILING_S * 0.05
    assert max(delays) > THROTTLE_CEILING_S * 0.95


@given(ceilings, ceilings, st.integers(0, 20))
def test_a_lower_ceiling_does_not_lower_a_throttled_rate_again(old: float, new: float, cuts: int):
    """Throttling has lowered the rate already, so it falls only to the new ceiling, not in proportion."""
    control = RateController(old)
    for number in range(1, cuts + 1):
        control.throttled(number * HOLD_S)
    before = control.rate
    control.follow(new)
    if new < old:
        assert control.rate == min(before, new)
    else:
        assert control.rate == pytest.approx(new * before / old)
    assert control.ceiling == new


def test_the_first_success_after_an_outage_restores_the_rate():
    """Everything was refused: that says nothing about the rate. A rate that works again is not exceeded later."""
    controller = RateController(1_000.0)
    controller.recover(0.0)
    for tenth in range(1, 100):
        controller.throttled(tenth / 10)
    assert controller.rate == 1_000.0 * FLOOR
    assert controller.recover(10.0)
    assert controller.rate == 1_000.0
    assert not controller.recover(10.1)


def test_some_successes_are_no_outage():
    """Capacity below the rate: now and then a write is accepted, and the rate stays low."""
    controller = RateController(1_000.0)
    controller.recover(0.0)
    for tenth in range(1, 200):
        controller.throttled(tenth / 10)
        if tenth % 8 == 0:
            controller.recover(tenth / 10)
    assert controller.rate < 100.0


def test_a_capacity_that_does_not_come_back_in_full_lowers_the_rate_again():
    """After the restored rate is refused too, the next success starts from the rate that worked."""
    controller = RateController(1_000.0)
    controller.recover(0.0)
    for tenth in range(1, 50):
        controller.throttled(tenth / 10)
    controller.recover(5.0)
    highest = []
    for tenth in range(51, 200):
        accepted = controller.rate <= 300.0
        controller.recover(tenth / 10) if accepted else controller.throttled(tenth / 10)
        if tenth > 100:
            highest.append(controller.rate)
    assert max(highest) < 400.0
