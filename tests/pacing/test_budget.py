"""Budgets: reserved before, corrected after, per resource, within the promise of 110% in any second."""

import random
from dataclasses import replace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import TABLE, Consumed
from refire_async.model.keys import KeySchema
from refire_async.model.table import Index, Throughput
from refire_async.pacing.budget import START_CREDIT_S, START_DEBT_S, ReadBudget, WriteBudget
from refire_async.pacing.controller import DECREASE, HOLD_S
from refire_async.pacing.governor import Governor
from refire_async.pacing.limiter import BURST_S
from refire_async.settings import Budget
from tests.pacing.test_governor import PLAIN
from tests.support.examples import examples
from tests.support.virtual_time import VIRTUAL_TIME, run_virtual


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


def by_index(total: float, **by_index: float) -> Consumed:
    return Consumed(total, {TABLE: total - sum(by_index.values()), **by_index})


async def test_every_resource_is_charged_with_its_own_units():
    """A batch that costs the index three times the estimate is charged to the index only."""
    budget = WriteBudget({TABLE: 1_000.0, "g": 100.0})
    reservation = await budget.reserve(5.0, 5)
    assert budget.correct(reservation, by_index(20.0, g=15.0)) == 20.0
    before = anyio.current_time()
    await budget.reserve(0.0, 1)
    # The index still owes 10 units of its bucket's 5 and pays at 100 a second.
    assert anyio.current_time() - before == pytest.approx(0.1, abs=0.01)


async def test_units_of_local_indexes_and_of_failed_members_are_the_tables():
    """Failed members are in the total and in no resource; a local index consumes the table's units."""
    budget = WriteBudget({TABLE: 100.0, "g": 100.0})
    reservation = await budget.reserve(5.0, 5)
    consumed = Consumed(35.0, {TABLE: 10.0, "g": 5.0, "local": 5.0})  # 15 for failed members
    assert budget.correct(reservation, consumed) == 35.0
    before = anyio.current_time()
    await budget.reserve(0.0, 1)
    assert anyio.current_time() - before == pytest.approx((30.0 - 5.0) / 100.0, abs=0.01)


async def test_the_price_by_resource_is_learned():
    """From the first reply on, reservations equal the real cost of such batches."""
    budget = WriteBudget({TABLE: 1_000.0, "g": 1_000.0})
    for _ in range(3):
        budget.correct(await budget.reserve(10.0, 10), by_index(60.0, g=20.0))
    reservation = await budget.reserve(10.0, 10)
    assert reservation.granted == pytest.approx({TABLE: 40.0, "g": 20.0})


async def test_the_learned_price_follows_slowly():
    """One unusual batch changes the price of the others only a little."""
    budget = WriteBudget({TABLE: 10_000.0})
    budget.correct(await budget.reserve(10.0, 10), by_index(10.0))
    budget.correct(await budget.reserve(10.0, 10), by_index(1_000.0))
    reservation = await budget.reserve(10.0, 10)
    assert reservation.granted[TABLE] == pytest.approx(10.0 * (1 + 0.1 * 99))


async def test_throttled_members_do_not_make_the_others_look_cheap():
    """They cost nothing, and the price is learned from the processed members."""
    budget = WriteBudget({TABLE: 1_000.0})
    budget.correct(await budget.reserve(25.0, 25), by_index(25.0))
    for _ in range(50):
        budget.correct(await budget.reserve(25.0, 25), by_index(2.0), throttled=23)
    reservation = await budget.reserve(25.0, 25)
    assert reservation.granted[TABLE] == pytest.approx(25.0)


async def test_throttled_writes_keep_their_reservation():
    """They cost nothing, but with their units returned they would be sent again at once."""
    budget = WriteBudget({TABLE: 10.0})
    before = anyio.current_time()
    for _ in range(10):
        assert budget.correct(await budget.reserve(0.5, 1), None, throttled=1) == 0.0
    for _ in range(10):
        budget.correct(await budget.reserve(0.5, 2), by_index(0.25), throttled=1)
    assert anyio.current_time() - before == pytest.approx(10.0 / 10.0, abs=0.06)


async def test_without_reported_capacity_the_estimate_counts():
    budget = WriteBudget({TABLE: 100.0, "g": 50.0})
    reservation = await budget.reserve(4.0, 4)
    assert budget.correct(reservation, None) == 8.0
    before = anyio.current_time()
    for _ in range(25):
        budget.correct(await budget.reserve(4.0, 4), None)
    assert anyio.current_time() - before == pytest.approx(100.0 / 50.0, rel=0.1)


async def test_without_reported_capacity_items_are_rounded_up_on_average():
    """Otherwise items of 1.1 to 1.9 KB, two units each, would always count as one and a half."""
    budget = WriteBudget({TABLE: 100.0})
    assert budget.estimate(1_536.0) == 1.5
    budget.correct(await budget.reserve(1.0, 1), None, throttled=1)  # proves nothing either way
    assert budget.estimate(1_536.0) == 1.5
    budget.correct(await budget.reserve(1.0, 1), None)
    assert budget.estimate(1_536.0) == 2.0
    assert budget.estimate(900.0) == 1.0
    budget.correct(await budget.reserve(1.0, 1), by_index(1.0))
    assert budget.estimate(1_536.0) == 1.5


async def test_a_batch_that_was_not_sent_returns_its_units():
    budget = WriteBudget({TABLE: 10.0, "g": 10.0})
    before = anyio.current_time()
    for _ in range(100):
        budget.release(await budget.reserve(0.5, 1))
    assert anyio.current_time() - before < 0.01


@pytest.mark.parametrize(
    ("capacity", "unused_s", "first_s"),
    [
        (1_000.0, 0.0, START_DEBT_S),  # no spare capacity: this much remains unused once
        (1_000.0, 0.05, START_DEBT_S - 0.05),
        (1_000.0, 0.3, -START_CREDIT_S),  # saved while the run prepared
        (1_250.0, 0.0, -START_CREDIT_S),  # the budget is 80% of it
    ],
)
async def test_the_budget_of_the_first_second_depends_on_the_spare_capacity_of_the_table(
    capacity: float, unused_s: float, first_s: float
):
    """The time for the first 1,000 units, with a full bucket: one second plus the debt or minus the credit."""
    budget = WriteBudget({TABLE: 1_000.0})
    budget.start({TABLE: capacity}, anyio.current_time())
    await anyio.sleep(unused_s)
    begun = anyio.current_time()
    for _ in range(40):
        await budget.reserve(25.0, 25)
    assert anyio.current_time() - begun == pytest.approx(1.0 - BURST_S + first_s, abs=0.002)


async def test_a_first_second_stays_below_110_percent():
    """For any spare capacity: bucket and credit at the start are less than a tenth of a second's budget."""
    budget = WriteBudget({TABLE: 1_000.0})
    budget.start({TABLE: 1_000_000.0}, anyio.current_time())
    await anyio.sleep(3_600.0)
    begun, sent = anyio.current_time(), 0.0
    while anyio.current_time() - begun < 1.0:
        sent += 25.0
        await budget.reserve(25.0, 25)
    assert 1_000.0 < sent - 25.0 <= 1_080.0


async def test_items_per_second_are_limited_to_protect_consumers():
    """For any cost, and whether or not DynamoDB processed them."""
    budget = WriteBudget({TABLE: 1_000_000.0}, max_rate=10.0)
    before = anyio.current_time()
    for _ in range(50):
        budget.release(await budget.reserve(1.0, 2))
    assert anyio.current_time() - before == pytest.approx(10.0, abs=0.2)


async def test_the_scarcest_resource_limits_the_rate():
    budget = WriteBudget({TABLE: 1_000.0, "g": 50.0})
    before = anyio.current_time()
    for _ in range(50):
        budget.correct(await budget.reserve(2.0, 2), by_index(4.0, g=2.0))
    assert anyio.current_time() - before == pytest.approx(2.0, abs=0.1)


async def test_throttling_lowers_the_rate_of_the_scarce_resource():
    budget = WriteBudget({TABLE: 1_000.0, "g": 100.0})
    now = anyio.current_time()
    assert budget.throttled("g", now) == "g"
    assert budget.rates() == {TABLE: (1_000.0, 1_000.0), "g": (100.0 * DECREASE, 100.0)}
    assert budget.throttled("g", now) is None
    # An index without a budget of its own (it does not project the marker): the table slows down.
    assert budget.throttled("unknown", now) == TABLE
    assert budget.rate == 1_000.0 * DECREASE


async def test_a_resource_is_reported_once_when_it_is_back_at_its_ceiling():
    budget = WriteBudget({TABLE: 1_000.0, "g": 100.0})
    now = anyio.current_time()
    budget.throttled("g", now)
    recovered = [name for step in range(200) for name in budget.recover(now + HOLD_S + step * 0.1)]
    assert recovered == ["g"]
    assert budget.rates()["g"] == (100.0, 100.0)


@given(st.floats(0.1, 1e5), st.floats(1.0, 400.0), st.integers(1, 25), st.none() | st.floats(0.1, 1e5))
def test_a_batch_fits_in_half_the_burst_or_is_a_single_item(
    rate: float, item_units: float, largest: int, max_rate: float | None
):
    """The promise of 110% in a second depends on it, because a batch is sent at once."""
    budget = WriteBudget({TABLE: rate, "g": rate * 2}, max_rate)
    items = budget.batch_limit(item_units, largest)
    assert 1 <= items <= largest
    half = BURST_S / 2
    fits = items * item_units <= rate * half and (max_rate is None or items <= max_rate * half)
    assert fits or items == 1


async def test_a_batch_is_not_smaller_than_necessary():
    budget = WriteBudget({TABLE: 1_000.0})
    assert budget.batch_limit(1.0, 25) == 25
    assert budget.batch_limit(5.0, 25) == 5
    budget.correct(await budget.reserve(5.0, 5), by_index(10.0))  # twice the estimate
    assert budget.batch_limit(1.0, 25) == 12


async def test_a_share_of_the_budget_applies_to_every_resource():
    budget = WriteBudget({TABLE: 100.0, "g": 50.0}, max_rate=40.0)
    budget.throttled("g", anyio.current_time())
    budget.set_share(0.5)
    assert budget.rates() == {TABLE: (50.0, 50.0), "g": (pytest.approx(25.0 * DECREASE), 25.0)}
    before = anyio.current_time()
    for _ in range(20):
        budget.release(await budget.reserve(0.001, 2))
    assert anyio.current_time() - before == pytest.approx(2.0, abs=0.2)
    budget.set_share(1.0)
    assert budget.rates()[TABLE] == (100.0, 100.0)


@pytest.mark.parametrize("spread", [(1.0, 1.0), (1.0, 8.0), (0.2, 100.0)])
async def test_no_second_sees_more_than_110_percent(spread: tuple[float, float]):
    """A simulated table that reports its consumption: 12 workers, items of any size, learned prices.

    A batch can cost more than a burst, because only the mean size is known. The difference is paid for by waiting
    afterwards, so a second can contain one such batch at its beginning and another one at its end.
    """
    rate, draw = 1_000.0, random.Random(5)
    budget = WriteBudget({TABLE: rate})
    taken: list[tuple[float, float]] = []
    warm_at, end = anyio.current_time() + 2.0, anyio.current_time() + 12.0

    def units() -> float:
        low, high = spread
        return max(1.0, draw.uniform(low, high) if high <= 8 else draw.lognormvariate(0.5, 1.5))

    async def worker() -> None:
        while anyio.current_time() < end:
            mean = (spread[0] + spread[1]) / 2 if spread[1] <= 8 else 4.0
            items = budget.batch_limit(mean, 25)
            reservation = await budget.reserve(items * mean, items)
            cost = sum(units() for _ in range(items))
            if anyio.current_time() > warm_at:
                taken.append((anyio.current_time(), cost))
            await anyio.sleep(draw.uniform(0.003, 0.020))
            budget.correct(reservation, by_index(cost))

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(worker)
    dearest = sorted(cost for _, cost in taken)[-2:]
    surprise = sum(max(0.0, cost - rate * BURST_S) for cost in dearest)
    for first, (begin, _) in enumerate(taken):
        window = sum(cost for at, cost in taken[first:] if at < begin + 1.0)
        assert window <= rate * 1.1 + surprise
    assert sum(cost for _, cost in taken) >= rate * 10.0 * 0.95


@examples(10, 100)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 1.5),
            st.sampled_from(["capacity", "budget", "limit", "index", "throttled", "recovered", "share"]),
            st.floats(0.0, 1.0),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 1_000),
    st.sampled_from([50.0, 3_000.0]),
)
def test_under_all_changes_no_window_exceeds_its_rate_and_two_bursts_and_no_task_starves(
    changes: list[tuple[float, str, float]], seed: int, rate: float
):
    """Eight writers of batches with varying prices, while limits, capacity, indexes and shares change."""
    granted, rates, left = run_virtual(_with_changes, changes, seed, rate)
    assert left == 0
    for first, (begin, _) in enumerate(granted):
        total = largest = 0.0
        for end, units in granted[first:]:
            if end > begin + 1.0:
                break
            total += units
            largest = max(largest, units)
            before = [r for at, r in rates if at <= begin - BURST_S][-1:]
            highest = max(before + [r for at, r in rates if begin - BURST_S < at <= end])
            # A batch may have been paid for in instalments that began before the window.
            assert total <= highest * (end - begin + 2 * BURST_S + 1e-3) + largest


async def _with_changes(
    changes: list[tuple[float, str, float]], seed: int, rate: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], int]:
    """Units granted and returned by time, the table's rate by time, and writers that still wait at the end."""
    draw = random.Random(seed)
    index = Index("g", "global", KeySchema("g", "S"), "ALL", throughput=Throughput(rate, rate))
    table = replace(PLAIN, throughput=Throughput(rate, rate))
    governor = Governor(table, "revision", Budget(wcu_percent=100.0))
    budget = WriteBudget(governor.rate_limits.ceilings.write)
    granted: list[tuple[float, float]] = []
    rates = [(anyio.current_time(), budget.rate)]
    governor.subscribe(budget.follow)
    waiting, over = 0, False

    async def write() -> None:
        nonlocal waiting
        while not over:
            items = budget.batch_limit(1.0, 25)
            waiting += 1
            reservation = await budget.reserve(float(items), items)
            waiting -= 1
            granted.append((anyio.current_time(), reservation.granted[TABLE]))
            await anyio.sleep(draw.uniform(0.001, 0.1))
            cost = items * draw.choice([1.0, 1.0, 0.5])
            budget.correct(
                reservation, by_index(cost, **dict.fromkeys(set(reservation.granted) - {TABLE}, 0.0))
            )
            returned = max(0.0, reservation.granted[TABLE] - cost)  # a higher cost becomes debt
            granted.append((anyio.current_time(), -returned))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(write)
        for after_s, what, amount in changes:
            await anyio.sleep(after_s)
            now = anyio.current_time()
            match what:
                case "capacity":
                    governor.follow(replace(table, throughput=Throughput(rate, max(1.0, rate * amount))))
                case "index":
                    governor.follow(replace(governor.table, indexes=(index,) if amount > 0.5 else ()))
                case "budget":
                    governor.set_budget(Budget(max_wcu=max(1.0, rate * amount)))
                case "limit":
                    governor.limit("source", share=0.0 if amount < 0.3 else amount)
                case "throttled":
                    budget.throttled(TABLE, now)
                case "recovered":
                    budget.recover(now)
                case "share":
                    budget.set_share(max(0.05, amount))
            rates.append((anyio.current_time(), budget.rate))
        governor.limit("source")
        governor.follow(table)
        governor.set_budget(Budget(wcu_percent=100.0))
        budget.set_share(1.0)
        rates.append((anyio.current_time(), budget.rate))
        over = True
        await anyio.sleep(60.0)
        left = waiting
        tasks.cancel_scope.cancel()
    return granted, rates, left


async def test_items_of_very_different_sizes_are_written_in_smaller_batches():
    """The price of a batch is a mean; with a margin of two deviations a batch rarely costs more than a burst."""
    equal, mixed = WriteBudget({TABLE: 2_000.0}), WriteBudget({TABLE: 2_000.0})
    draw = random.Random(7)
    for _ in range(100):
        equal.correct(await equal.reserve(40.0, 10), by_index(40.0))
        cost = sum(draw.lognormvariate(0.6, 1.25) for _ in range(10))
        mixed.correct(await mixed.reserve(40.0, 10), by_index(cost))
    assert equal.batch_limit(8.0, 25) == 6
    assert 2 <= mixed.batch_limit(8.0, 25) <= 5
    assert equal.batch_limit(40.0, 25) == mixed.batch_limit(40.0, 25) == 1


async def test_reads_are_charged_with_their_consumption():
    budget = ReadBudget(100.0)
    before = anyio.current_time()
    for _ in range(50):
        await budget.reserve(1.0)
        assert budget.correct(1.0, 4.0) == 4.0
    assert anyio.current_time() - before == pytest.approx(2.0, abs=0.15)


async def test_reads_use_only_their_share():
    budget = ReadBudget(100.0)
    budget.set_share(0.1)
    before = anyio.current_time()
    for _ in range(40):
        await budget.reserve(1.0)
    assert anyio.current_time() - before == pytest.approx(4.0, abs=0.2)


@given(st.floats(0.5, 1e5), st.floats(0.0, 50.0), st.integers(1, 5_000))
def test_a_page_has_between_one_item_and_the_limit(rate: float, item_rcu: float, largest: int):
    items = ReadBudget(rate).page_limit(item_rcu, largest)
    assert 1 <= items <= largest
    assert items == 1 or items * item_rcu <= rate * 2 * BURST_S * 1.000001


async def test_the_scarcest_resource_is_the_one_that_limits_the_run():
    """By rate and price: it is the probable cause of throttling without a reason."""
    budget = WriteBudget({TABLE: 1_000.0, "g": 400.0})
    assert budget.scarcest == "g"
    # The index is touched by every tenth item only.
    budget.correct(await budget.reserve(10.0, 10), by_index(11.0, g=1.0))
    assert budget.scarcest == TABLE
