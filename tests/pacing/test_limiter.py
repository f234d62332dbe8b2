"""The limiter: never more than rate x t + burst, in the order of arrival, every debt paid in full."""

import random
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.limiter import BURST_S, Limiter
from tests.support.examples import examples
from tests.support.virtual_time import VIRTUAL_TIME, run_virtual

SLACK_S = 1e-4
"""The virtual clock itself takes about 0.1 µs per turn of the loop."""


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


@dataclass(frozen=True)
class Grant:
    """A request for `share` of the burst, `after_s` the previous one. Its cost is known `latency_s` later."""

    after_s: float
    share: float
    actual: float
    latency_s: float
    gives_up_after_s: float | None
    rate: float | None  # a change of the rate before it, as a factor on the first one


@dataclass
class Recorded:
    """Spent units with the times of grant and request, rates by time, and the order of grants."""

    spent: list[tuple[float, float, float]] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)
    granted: list[int] = field(default_factory=list)

    def highest_rate(self, begin: float, end: float) -> float:
        in_force = [rate for at, rate in self.rates if at < begin][-1:]
        return max(in_force + [rate for at, rate in self.rates if begin <= at <= end])


def grants(largest_share: float, most_actual: float) -> st.SearchStrategy[list[Grant]]:
    """Sequences of requests; `actual` is a factor on what was reserved."""
    seconds = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05, 0.2, 1.0])
    return st.lists(
        st.builds(
            Grant,
            after_s=seconds,
            share=st.floats(0.0, largest_share),
            actual=st.sampled_from([1.0, 1.0, 0.0, most_actual]) | st.floats(0.0, most_actual),
            latency_s=seconds,
            gives_up_after_s=st.none() | st.none() | seconds,
            rate=st.none() | st.none() | st.sampled_from([0.02, 0.5, 1.0, 4.0]),
        ),
        min_size=1,
        max_size=25,
    )


async def play(sequence: list[Grant], rate: float) -> tuple[Recorded, Limiter]:
    limiter = Limiter(rate)
    seen = Recorded(rates=[(anyio.current_time(), rate)])

    async def spend(number: int, grant: Grant, amount: float) -> None:
        requested_at = anyio.current_time()
        with anyio.move_on_after(grant.gives_up_after_s) as scope:
            await limiter.acquire(amount)
        if scope.cancelled_caught:
            return
        seen.granted.append(number)
        seen.spent.append((anyio.current_time(), amount, requested_at))
        await anyio.sleep(grant.latency_s)
        limiter.correct(amount, amount * grant.actual)
        now = anyio.current_time()
        seen.spent.append((now, amount * grant.actual - amount, now))

    async with anyio.create_task_group() as tasks:
        for number, grant in enumerate(sequence):
            await anyio.sleep(grant.after_s)
            if grant.rate is not None:
                limiter.set_rate(rate * grant.rate)
                seen.rates.append((anyio.current_time(), limiter.rate))
            tasks.start_soon(spend, number, grant, grant.share * limiter.burst)
    return seen, limiter


@examples(10, 500)
@given(grants(largest_share=1.0, most_actual=1.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_no_window_sees_more_than_its_rate_and_two_bursts(sequence: list[Grant], rate: float):
    """For any requests of up to a burst, estimates that are too high, cancellations and changes of rate.

    One burst is the bucket, the other is credit from estimates that were too high.
    """
    seen, _ = run_virtual(play, sequence, rate)
    for first, (begin, _, oldest_requested_at) in enumerate(seen.spent):
        total, oldest = 0.0, oldest_requested_at
        for end, units, requested_at in seen.spent[first:]:
            total += units
            oldest = min(oldest, requested_at)
            # The size of an amount depends on the rate at the time of the request.
            highest = seen.highest_rate(oldest - BURST_S, end)
            assert total <= highest * (end - begin + 2 * BURST_S + SLACK_S)


@examples(10, 500)
@given(grants(largest_share=6.0, most_actual=8.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_every_spent_unit_is_paid_for_or_owed(sequence: list[Grant], rate: float):
    """Requests far above the bucket's size and costs far above the estimate delay later requests."""
    seen, limiter = run_virtual(play, [*sequence, Grant(0.0, 0.0, 1.0, 0.0, None, None)], rate)
    begin, end = seen.rates[0][0], seen.spent[-1][0]
    paid = sum(units for _, units, _ in seen.spent) - limiter.owed
    highest = seen.highest_rate(begin, end)
    assert paid <= highest * (end - begin + BURST_S + SLACK_S) + 1e-6


@examples(10, 500)
@given(grants(largest_share=6.0, most_actual=3.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_all_requests_are_granted_in_the_order_of_arrival(sequence: list[Grant], rate: float):
    """Small requests do not overtake a large one, and a cancelled request does not block others."""
    seen, _ = run_virtual(play, sequence, rate)
    assert seen.granted == sorted(seen.granted)
    uncancelled = {number for number, grant in enumerate(sequence) if grant.gives_up_after_s is None}
    assert uncancelled <= set(seen.granted)


async def saturate(limiter: Limiter, seconds: float, estimate: float, actual: list[float]) -> float:
    """Spend as fast as the limiter allows, eight at once. Returns the consumed units."""
    draw, consumed, end = random.Random(7), 0.0, anyio.current_time() + seconds

    async def spender() -> None:
        nonlocal consumed
        while True:
            await limiter.acquire(estimate)
            if anyio.current_time() > end:
                return
            cost = draw.choice(actual)
            consumed += cost
            await anyio.sleep(draw.uniform(0.002, 0.030))
            limiter.correct(estimate, cost)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(spender)
    return consumed


@pytest.mark.parametrize("actual", [[25.0], [20.0], [400.0], [1.0, 1.0, 1.0, 400.0], [24.0, 26.0]])
async def test_over_a_long_time_exactly_the_budget_is_used(actual: list[float]):
    """With any error of the estimates: errors do not accumulate. 1,000 units/s for 2 minutes."""
    limiter = Limiter(1_000.0)
    consumed = await saturate(limiter, 120.0, 25.0, actual)
    in_flight = 8 * max(actual)
    assert consumed <= 120_000 + 2 * limiter.burst + in_flight
    assert consumed >= 120_000 * 0.985 - in_flight


async def test_estimates_far_too_high_slow_the_run_down_and_never_exceed_the_budget():
    """Credit beyond a burst is lost: the promise comes before the speed."""
    limiter = Limiter(1_000.0)
    consumed = await saturate(limiter, 20.0, 25.0, [5.0])
    assert 20_000 * 0.2 < consumed <= 20_000 + 2 * limiter.burst


async def test_credit_is_worth_one_burst_at_most():
    """An hour of estimates that were too high must not cause a large burst."""
    limiter = Limiter(100.0)
    for _ in range(1_000):
        limiter.correct(10.0, 0.0)
    assert limiter.owed == -limiter.burst
    before = anyio.current_time()
    await limiter.acquire(100.0 + 2 * limiter.burst)
    assert anyio.current_time() - before == pytest.approx(1.0, abs=0.001)


async def test_a_debt_is_paid_by_the_next_request():
    limiter = Limiter(100.0)
    limiter.correct(0.0, 50.0)
    before = anyio.current_time()
    await limiter.acquire(0.0)
    assert anyio.current_time() - before == pytest.approx(0.5 - BURST_S, abs=0.001)
    assert limiter.owed == 0.0


async def test_a_cancelled_request_leaves_only_the_rest_of_the_debt():
    limiter = Limiter(100.0)
    limiter.correct(0.0, 50.0)
    with anyio.move_on_after(0.2):
        await limiter.acquire(1_000.0)
    # 0.2 s and the full bucket have paid 25 of the 50 units.
    assert limiter.owed == pytest.approx(25.0, abs=5.1)
    before = anyio.current_time()
    await limiter.acquire(0.0)
    assert anyio.current_time() - before == pytest.approx(0.25, abs=0.06)


async def test_a_change_of_rate_applies_to_waiting_tasks():
    """Half at the old rate, half at ten times that rate; then back."""
    limiter = Limiter(10.0)
    before = anyio.current_time()

    async def change() -> None:
        await anyio.sleep(5.0)
        limiter.set_rate(100.0)
        await anyio.sleep(0.3)
        limiter.set_rate(10.0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change)
        await limiter.acquire(100.0)
    # 50 units in 5 s, 30 in 0.3 s, the rest at 10 units/s; the instalment of 5 that the task waited for when the
    # rate fell may have to be paid again at the new one.
    assert 5.0 + 0.3 + 2.0 - 0.1 <= anyio.current_time() - before <= 5.0 + 0.3 + 2.5 + 0.1


async def test_a_lower_rate_shrinks_the_credit():
    limiter = Limiter(1_000.0)
    limiter.correct(50.0, 0.0)
    limiter.set_rate(10.0)
    assert limiter.owed == -limiter.burst == pytest.approx(-0.5)


@pytest.mark.parametrize("rate", [0.0, -1.0])
async def test_a_rate_of_0_is_rejected(rate: float):
    """It would wait for ever."""
    with pytest.raises(ValueError, match="above 0"):
        Limiter(rate)
    with pytest.raises(ValueError, match="above 0"):
        Limiter(1.0).set_rate(rate)


async def test_nothing_is_granted_in_a_pause_and_the_debt_remains():
    """A pause stops all tasks, even those with credit; afterwards they pay the earlier debt."""
    limiter = Limiter(100.0)
    await limiter.acquire(5.0)
    limiter.correct(5.0, 25.0)
    limiter.pause()
    begun, granted = anyio.current_time(), []

    async def one(amount: float) -> None:
        await limiter.acquire(amount)
        granted.append(anyio.current_time() - begun)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, 0.0)
        tasks.start_soon(one, 10.0)
        await anyio.sleep(60.0)
        assert granted == []
        limiter.resume()
    # 20 units owed, 5 of them from the bucket that filled meanwhile; then 10 more.
    assert granted == pytest.approx([60.15, 60.25], abs=0.02)


async def test_a_pause_discards_credit():
    limiter = Limiter(100.0)
    limiter.correct(5.0, 0.0)
    limiter.pause()
    limiter.resume()
    assert limiter.owed == 0.0


async def test_a_wait_that_began_at_a_high_rate_pays_the_lower_rate():
    """An instalment that is in progress when the rate falls costs more time."""
    limiter = Limiter(10_000.0)
    await limiter.acquire(500.0)  # the bucket is empty
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire, 500.0)
        await anyio.sleep(0.01)
        limiter.set_rate(100.0)
    assert anyio.current_time() - begun == pytest.approx(5.0, rel=0.02)


async def test_a_task_that_waits_in_a_pause_can_be_cancelled():
    limiter = Limiter(100.0)
    limiter.pause()
    with anyio.move_on_after(5.0) as scope:
        await limiter.acquire(1.0)
    assert scope.cancelled_caught
    limiter.resume()
    await limiter.acquire(1.0)
