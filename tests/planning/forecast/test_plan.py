"""Duration, cost, backlog, and the plan of them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.errors import UsageError
from refire_async.model.capacity import TABLE
from refire_async.model.units import STREAM_RETENTION_S
from refire_async.planning.forecast.backlog import SAFE_AGE_S, Backlog
from refire_async.planning.forecast.cost import Prices, cost, parse_prices
from refire_async.planning.forecast.duration import IN_HAND_S, Rates, duration, hottest_partition_s, remaining
from refire_async.planning.forecast.load import Load
from refire_async.planning.forecast.plan import ConsumerRate, Settings, make_plan

LOAD = Load(items=100_000, item_bytes=1_000.0, item_wcu={TABLE: 1.0}, rcu=12_500.0)
PACE = Rates({TABLE: 1_000.0}, 1_000.0, None, "the table")
SETTINGS = Settings(32, 8, 1_000.0, None)

loads = st.builds(
    Load,
    items=st.integers(0, 10**9),
    item_bytes=st.floats(1, 400_000),
    item_wcu=st.fixed_dictionaries({TABLE: st.floats(1, 400), "by-day": st.floats(0, 400)}),
    rcu=st.floats(0, 1e9),
    hottest_share=st.floats(0, 1),
)
paces = st.builds(
    lambda table, index, read, items, among: Rates(
        {TABLE: table, "by-day": index}, read, items, partitions=among
    ),
    st.floats(1, 1e5),
    st.floats(1, 1e5),
    st.floats(1, 1e5),
    st.none() | st.floats(1, 1e5),
    st.integers(1, 1_000) | st.just(math.inf),
)


@given(loads, paces)
def test_no_resource_exceeds_its_rate(load: Load, pace: Rates) -> None:
    """In the estimated time every resource suffices, and one of them is busy all the time."""
    taken = duration(load, pace)
    busy = [load.items * units / pace.write[name] for name, units in load.item_wcu.items()]
    busy += [load.rcu / pace.read, load.items / (pace.items or math.inf)]
    busy.append(hottest_partition_s(load, pace.partitions))
    assert math.isclose(taken.seconds, max(busy), abs_tol=1e-9)


@given(loads, paces, st.floats(0.01, 1))
def test_less_capacity_takes_longer(load: Load, pace: Rates, share: float) -> None:
    """Never shorter, and with more items never shorter either."""
    assert duration(load, pace.scaled(share)).seconds >= duration(load, pace).seconds - 1e-9
    more = replace(load, items=load.items + 1)
    assert duration(more, pace).seconds >= duration(load, pace).seconds


@pytest.mark.parametrize(
    ("change", "pace", "seconds", "bound_by"),
    [
        ({}, PACE, 100.0, "the table"),
        (
            {"item_wcu": {TABLE: 1.0, "by-day": 1.0}},
            replace(PACE, write={TABLE: 1e3, "by-day": 250.0}),
            400.0,
            "index by-day",
        ),
        ({}, replace(PACE, read=50.0), 250.0, "the read budget"),
        ({}, replace(PACE, items=100.0), 1_000.0, "--max-rate"),
        (
            {"hottest_share": 0.5},
            replace(PACE, write={TABLE: 10_000.0}, partitions=10),
            (50_000 + 5_000) / 1_000 - IN_HAND_S,
            "the hottest hash key's partition",
        ),
        ({"hottest_share": 0.5}, replace(PACE, write={TABLE: 1_200.0}, partitions=2), 100 / 1.2, "the table"),
        ({"hottest_share": 0.5}, replace(PACE, write={TABLE: 2_000.0}), 50.0, "the table"),
    ],
)
def test_the_limit_of_a_run_is_named(change: dict, pace: Rates, seconds: float, bound_by: str) -> None:
    """Each limit in turn."""
    taken = duration(replace(LOAD, **change), pace)
    assert (taken.seconds, taken.bound_by) == (pytest.approx(seconds), bound_by)


@given(loads, st.integers(1, 500))
def test_the_hottest_partition_has_its_share_of_the_rest(load: Load, partitions: int) -> None:
    """The hot key's units and an equal share of the others, less the burst of a partition."""
    busy = hottest_partition_s(load, partitions)
    hot = load.items * load.hottest_share * load.item_wcu[TABLE]
    rest = load.items * load.item_wcu[TABLE] - hot
    if load.hottest_share:
        assert math.isclose(busy, max(0.0, (hot + rest / partitions) / 1_000 - IN_HAND_S), abs_tol=1e-6)
    else:
        assert busy == 0.0
    assert busy >= hottest_partition_s(load, math.inf) - 1e-6


@given(st.integers(0, 10**8), st.integers(1, 400), st.floats(0.01, 1.0), st.integers(50, 10**6))
def test_a_table_without_a_hot_key_is_bound_by_its_budget(
    items: int, partitions: int, share: float, keys: int
) -> None:
    """Many similar hash keys per partition, for any share of the capacity."""
    load = Load(
        items=items, item_bytes=500.0, item_wcu={TABLE: 1.0}, rcu=0.0, hottest_share=1.0 / (keys * partitions)
    )
    budget = Rates({TABLE: partitions * 1_000.0 * share}, 1e9, None, "the budget", partitions)
    taken = duration(load, budget)
    assert taken.bound_by == "the budget"
    assert taken.seconds <= items / budget.write[TABLE] * 1.02


def test_remaining_time_is_the_same_model() -> None:
    """Units over the budget, or items over the rate."""
    assert remaining(5_000, 2.0, 1_000.0) == 10.0
    assert remaining(5_000, 2.0, 1_000.0, 50.0) == 100.0


def test_cost_on_demand() -> None:
    """The facts sheet's example: a million items of 1 KB, read and touched, without an index."""
    found = cost(1_000_000, 125_000, "PAY_PER_REQUEST")
    assert (round(found.writes, 3), round(found.reads, 3), found.extra) == (0.625, 0.016, True)


def test_cost_of_provisioned_capacity() -> None:
    """By the hour, and not extra."""
    found = cost(3_600_000, 0, "PROVISIONED")
    assert (round(found.total, 4), found.extra) == (0.65, False)


def test_replicas_multiply_writes_not_reads() -> None:
    """Every region has the writes, one has the reads."""
    one, three = cost(1e6, 1e6, "PAY_PER_REQUEST"), cost(1e6, 1e6, "PAY_PER_REQUEST", regions=3)
    assert three.writes == pytest.approx(3 * one.writes)
    assert three.reads == one.reads


def test_own_prices() -> None:
    """Some of them; region and date are no longer those of the defaults."""
    prices = parse_prices({"write_million": 1.25})
    assert (prices.write_million, prices.read_million) == (1.25, Prices().read_million)
    assert prices.region == "as given"


@pytest.mark.parametrize(
    "bad",
    [[], {"write": 1}, {"write_million": "1"}, {"write_million": -1}, {"region": 5}, {"read_hour": True}],
)
def test_bad_prices(bad: object) -> None:
    """One line that says what to do."""
    with pytest.raises(UsageError) as caught:
        parse_prices(bad)
    assert caught.value.action


backlogs = st.builds(Backlog, st.integers(1, 10**9), st.floats(1, 1e6), st.floats(0.1, 1e5))


@given(backlogs, st.floats(0, 1))
def test_a_backlog_adds_up(backlog: Backlog, share: float) -> None:
    """Every emitted record is read or waits, at any time; at the end none waits."""
    moment = share * backlog.drained_s
    waiting = backlog.at(moment)
    emitted = min(backlog.records, backlog.emitted_rate * moment)
    assert 0 <= waiting <= emitted + 1e-6
    assert emitted - waiting <= backlog.consumer_rate * moment * (1 + 1e-9) + 1e-6
    assert backlog.at(backlog.drained_s) <= 1e-6 * backlog.records
    assert waiting <= backlog.largest * (1 + 1e-9) + 1e-6


@given(backlogs)
def test_the_safe_rate_is_safe(backlog: Backlog) -> None:
    """At that rate the age of the oldest record is at most a quarter of the retention."""
    rate = backlog.safe_rate()
    if rate is None:
        assert backlog.oldest_s <= SAFE_AGE_S
        return
    slower = Backlog(backlog.records, backlog.records / rate, backlog.consumer_rate)
    assert slower.oldest_s == pytest.approx(SAFE_AGE_S, rel=1e-6)


def test_a_consumer_that_loses_records_is_reported() -> None:
    """A hundred million records at 500/s take longer than a day."""
    backlog = Backlog(100_000_000, 3_600.0, 500.0)
    assert backlog.loses_records
    assert backlog.oldest_s > STREAM_RETENTION_S


def plan_of(load: Load, rate: float | None = None) -> dict:
    """The JSON form of a plan."""
    made = make_plan(
        load,
        PACE,
        PACE,
        billing="PAY_PER_REQUEST",
        shards=1,
        settings=SETTINGS,
        consumers=ConsumerRate(rate),
        regions=2,
    )
    return made.to_json()


def test_the_documented_fields() -> None:
    """In their order; records are those of all regions."""
    plan = plan_of(LOAD)
    assert list(plan) == [
        "items", "item_bytes_mean", "wcu", "rcu", "seconds", "cost_usd", "records", "bound_by", "settings",
    ]  # fmt: skip
    assert plan["records"] == 200_000
    assert plan["settings"]["max_rate"] is None


def test_a_slow_consumer_gets_a_recommended_rate() -> None:
    """So slow that records would be lost."""
    rate = plan_of(replace(LOAD, items=50_000_000), 500.0)["settings"]["max_rate"]
    assert 500 < rate < 1_000


@given(loads)
def test_every_load_has_a_plan(load: Load) -> None:
    """Also an empty one and one of a single item."""
    pace = Rates({TABLE: 100.0, "by-day": 100.0}, 100.0)
    made = make_plan(
        load,
        pace,
        pace,
        billing="PROVISIONED",
        shards=3,
        settings=SETTINGS,
        consumers=ConsumerRate(rate=10.0),
    )
    assert made.duration.seconds > 0
    assert made.cost.total >= 0
