"""The limiter: never more than rate x t + burst, in the order of arrival, debts paid to the last unit."""

import random
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.pacing.limiter import BURST_S, Limiter
from tests.support.virtual_time import VIRTUAL_TIME, run_virtual

SLACK_S = 1e-4
"""For what the virtual clock itself takes, about 0.1 µs per turn of the loop."""


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


@dataclass(frozen=True)
class Ask:
    """A request for `share` of the burst, `after_s` the one before. What it costs is known `latency_s` later."""

    after_s: float
    share: float
    actual: float
    latency_s: float
    gives_up_after_s: float | None
    rate: float | None  # a change of the rate before it, as a factor on the first one


@dataclass
class Recorded:
    """Units spent with when and when they were asked for, rates by time, and the order of grants."""

    spent: list[tuple[float, float, float]] = field(default_factory=list)
    rates: list[tuple[float, float]] = field(default_factory=list)
    granted: list[int] = field(default_factory=list)

    def highest_rate(self, begin: float, end: float) -> float:
        in_force = [rate for at, rate in self.rates if at < begin][-1:]
        return max(in_force + [rate for at, rate in self.rates if begin <= at <= end])


def asks(largest_share: float, most_actual: float) -> st.SearchStrategy[list[Ask]]:
    """Sequences of requests; `actual` is a factor on what was reserved."""
    seconds = st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05, 0.2, 1.0])
    return st.lists(
        st.builds(
            Ask,
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


async def play(sequence: list[Ask], rate: float) -> tuple[Recorded, Limiter]:
    limiter = Limiter(rate)
    seen = Recorded(rates=[(anyio.current_time(), rate)])

    async def spend(number: int, ask: Ask, amount: float) -> None:
        asked_at = anyio.current_time()
        with anyio.move_on_after(ask.gives_up_after_s) as scope:
            await limiter.acquire(amount)
        if scope.cancelled_caught:
            return
        seen.granted.append(number)
        seen.spent.append((anyio.current_time(), amount, asked_at))
        await anyio.sleep(ask.latency_s)
        limiter.correct(amount, amount * ask.actual)
        now = anyio.current_time()
        seen.spent.append((now, amount * ask.actual - amount, now))

    async with anyio.create_task_group() as tasks:
        for number, ask in enumerate(sequence):
            await anyio.sleep(ask.after_s)
            if ask.rate is not None:
                limiter.set_rate(rate * ask.rate)
                seen.rates.append((anyio.current_time(), limiter.rate))
            tasks.start_soon(spend, number, ask, ask.share * limiter.burst)
    return seen, limiter


@given(asks(largest_share=1.0, most_actual=1.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_no_window_sees_more_than_its_rate_and_two_bursts(sequence: list[Ask], rate: float):
    """For any requests of up to a burst, estimates that are too high, cancellations and changes of rate.

    One burst is the bucket, the other is credit from estimates that were too high.
    """
    seen, _ = run_virtual(play, sequence, rate)
    for first, (begin, _, oldest_asked_at) in enumerate(seen.spent):
        total, oldest = 0.0, oldest_asked_at
        for end, units, asked_at in seen.spent[first:]:
            total += units
            oldest = min(oldest, asked_at)
            # Amounts are of the size that fitted when they were asked for.
            highest = seen.highest_rate(oldest - BURST_S, end)
            assert total <= highest * (end - begin + 2 * BURST_S + SLACK_S)


@given(asks(largest_share=6.0, most_actual=8.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_everything_that_was_spent_is_paid_for_or_still_owed(sequence: list[Ask], rate: float):
    """Requests far above the bucket's size and costs far above the estimate delay what comes after them."""
    seen, limiter = run_virtual(play, [*sequence, Ask(0.0, 0.0, 1.0, 0.0, None, None)], rate)
    begin, end = seen.rates[0][0], seen.spent[-1][0]
    paid = sum(units for _, units, _ in seen.spent) - limiter.owed
    highest = seen.highest_rate(begin, end)
    assert paid <= highest * (end - begin + BURST_S + SLACK_S) + 1e-6


@given(asks(largest_share=6.0, most_actual=3.0), st.sampled_from([0.5, 25.0, 1_000.0, 40_000.0]))
def test_requests_are_granted_in_the_order_of_their_arrival_and_all_of_them(sequence: list[Ask], rate: float):
    """A large request is not overtaken by small ones, and who gave up does not stand in the way."""
    seen, _ = run_virtual(play, sequence, rate)
    assert seen.granted == sorted(seen.granted)
    patient = {number for number, ask in enumerate(sequence) if ask.gives_up_after_s is None}
    assert patient <= set(seen.granted)


async def saturate(limiter: Limiter, seconds: float, estimate: float, actual: list[float]) -> float:
    """Spend as fast as the limiter allows, eight at once; units consumed in fact."""
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
async def test_over_a_long_time_the_whole_budget_is_used_and_no_more(actual: list[float]):
    """However wrong the estimates are: their error does not add up. 1,000 units a second for 2 minutes."""
    limiter = Limiter(1_000.0)
    consumed = await saturate(limiter, 120.0, 25.0, actual)
    in_flight = 8 * max(actual)
    assert consumed <= 120_000 + 2 * limiter.burst + in_flight
    assert consumed >= 120_000 * 0.985 - in_flight


async def test_estimates_far_too_high_cost_speed_and_never_more_than_the_budget():
    """Credit beyond a burst is forgone: what keeps the promise comes before what keeps the speed."""
    limiter = Limiter(1_000.0)
    consumed = await saturate(limiter, 20.0, 25.0, [5.0])
    assert 20_000 * 0.2 < consumed <= 20_000 + 2 * limiter.burst


async def test_credit_is_worth_one_burst_at_most():
    """An hour of estimates that were too high must not end in a flood."""
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


async def test_a_request_that_is_cancelled_leaves_the_rest_of_the_debt_and_nothing_of_its_own():
    limiter = Limiter(100.0)
    limiter.correct(0.0, 50.0)
    with anyio.move_on_after(0.2):
        await limiter.acquire(1_000.0)
    # 0.2 s and the full bucket have paid 25 of the 50 units.
    assert limiter.owed == pytest.approx(25.0, abs=5.1)
    before = anyio.current_time()
    await limiter.acquire(0.0)
    assert anyio.current_time() - before == pytest.approx(0.25, abs=0.06)


async def test_a_change_of_rate_reaches_those_who_wait():
    """Half at the old rate, half at ten times of it; then back to a tenth."""
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
    # 50 units in 5 s, 30 in 0.3 s, the rest at 10 a second; the instalment of 5 that was being waited for when the
    # rate fell may have to be paid again at the new one.
    assert 5.0 + 0.3 + 2.0 - 0.1 <= anyio.current_time() - before <= 5.0 + 0.3 + 2.5 + 0.1


async def test_a_lower_rate_shrinks_the_credit():
    limiter = Limiter(1_000.0)
    limiter.correct(50.0, 0.0)
    limiter.set_rate(10.0)
    assert limiter.owed == -limiter.burst == pytest.approx(-0.5)


@pytest.mark.parametrize("rate", [0.0, -1.0])
async def test_a_rate_of_nothing_is_refused(rate: float):
    """It would wait for ever."""
    with pytest.raises(ValueError, match="above 0"):
        Limiter(rate)
    with pytest.raises(ValueError, match="above 0"):
        Limiter(1.0).set_rate(rate)


async def test_nothing_is_granted_while_paused_not_even_for_credit_and_debt_is_kept():
    """A pause holds everybody; afterwards what was owed before is paid for as if there had been none."""
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


async def test_a_pause_forgets_credit():
    limiter = Limiter(100.0)
    limiter.correct(5.0, 0.0)
    limiter.pause()
    limiter.resume()
    assert limiter.owed == 0.0


async def test_a_wait_that_began_at_a_high_rate_is_not_granted_at_the_low_one():
    """What was being waited for when the rate fell costs what it costs now."""
    limiter = Limiter(10_000.0)
    await limiter.acquire(500.0)  # the bucket is empty
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire, 500.0)
        await anyio.sleep(0.01)
        limiter.set_rate(100.0)
    assert anyio.current_time() - begun == pytest.approx(5.0, rel=0.02)


async def test_whoever_waits_through_a_pause_can_be_cancelled():
    limiter = Limiter(100.0)
    limiter.pause()
    with anyio.move_on_after(5.0) as scope:
        await limiter.acquire(1.0)
    assert scope.cancelled_caught
    limiter.resume()
    await limiter.acquire(1.0)
