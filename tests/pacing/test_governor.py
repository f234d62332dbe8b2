"""The rate limits of an attempt: the table's capacity, the user's budget and several limit sources."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import TABLE
from refire_async.model.table import Table, Throughput
from refire_async.pacing.capacity import NEW_ON_DEMAND_WRITE
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.settings import Budget
from tests.support.table_descriptions import described_table

PLAIN = described_table(throughput=Throughput(provisioned_read=400.0, provisioned_write=1_000.0))


def capacity(write: float) -> Table:
    return replace(PLAIN, throughput=Throughput(provisioned_read=400.0, provisioned_write=write))


def make_governor(budget: Budget | None = None) -> tuple[Governor, list[RateLimits]]:
    changes: list[RateLimits] = []
    governor = Governor(PLAIN, "revision", budget or Budget(), None)
    governor.subscribe(changes.append)
    return governor, changes


def test_the_first_limits_follow_from_table_and_budget():
    rate_limits = make_governor(Budget(max_rate=7.0))[0].rate_limits
    assert (rate_limits.wcu, rate_limits.scarcest_write, rate_limits.rcu, rate_limits.max_rate) == (
        800.0,
        800.0,
        320.0,
        7.0,
    )
    assert rate_limits.why == "80% of the table's provisioned capacity"
    assert not rate_limits.paused


def test_capacity_and_budget_are_followed():
    governor, changes = make_governor()
    governor.follow(capacity(500.0))
    governor.set_budget(Budget(max_wcu=123.0))
    assert [rate_limits.ceilings.write for rate_limits in changes] == [{TABLE: 400.0}, {TABLE: 123.0}]
    assert changes[-1] == governor.rate_limits
    assert governor.rate_limits.why == "--max-wcu"


def test_subscribers_receive_only_changes():
    governor, changes = make_governor()
    governor.follow(replace(PLAIN, item_count=5))
    governor.limit("headroom", share=1.0, why="there is room")
    governor.limit("unknown")
    assert changes == []
    assert governor.table.item_count == 5


def test_a_subscriber_may_set_a_limit_itself():
    """All subscribers receive the final limits last, if one of them sets a limit when it is notified."""
    governor, before = make_governor()
    governor.subscribe(
        lambda rate_limits: governor.limit(
            "source", share=min(1.0, 100.0 / rate_limits.ceilings.scarcest_write)
        )
    )
    after: list[RateLimits] = []
    governor.subscribe(after.append)
    governor.set_budget(Budget(max_wcu=400.0))
    assert before[-1] == after[-1] == governor.rate_limits
    assert governor.rate_limits.wcu == 100.0
    assert [rate_limits.wcu for rate_limits in after] == [100.0]


def test_the_lowest_limit_applies_and_names_its_reason():
    governor, changes = make_governor()
    governor.limit("headroom", share=0.5, why="live traffic")
    governor.limit("consumer", share=0.25, why="Lambda lags")
    governor.limit("headroom", share=0.75, why="live traffic")  # not the lowest: nothing changes
    governor.limit("consumer")
    governor.limit("headroom")
    assert [(t.share, t.why) for t in changes] == [
        (0.5, "live traffic"),
        (0.25, "Lambda lags"),
        (0.75, "live traffic"),
        (1.0, "80% of the table's provisioned capacity"),
    ]
    assert changes[1].wcu == 200.0


def test_a_share_of_0_is_a_pause_and_a_source_without_a_reason_is_named():
    governor, changes = make_governor()
    governor.limit("control", share=0.0)
    assert changes[0].paused
    assert changes[0].why == "control"


def test_the_lowest_rate_of_items_applies_from_any_source():
    """The user's and a limit source's, independent of shares of units. A removed limit leaves no trace."""
    governor, changes = make_governor(Budget(max_rate=100.0))
    governor.limit("consumer", max_rate=300.0)
    governor.limit("consumer", max_rate=40.0)
    governor.limit("headroom", share=0.5, why="live traffic")
    governor.limit("consumer", share=0.0, why="behind")
    governor.limit("consumer")
    assert [(t.max_rate, t.share, t.why) for t in changes[:1]] == [(40.0, 1.0, changes[0].ceilings.bound_by)]
    assert [(t.max_rate, t.share, t.why) for t in changes[1:]] == [
        (40.0, 0.5, "live traffic"),
        (100.0, 0.0, "behind"),
        (100.0, 0.5, "live traffic"),
    ]


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_must_be_above_0(rate: float):
    with pytest.raises(ValueError, match="above 0"):
        make_governor()[0].limit("consumer", max_rate=rate)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_must_be_between_0_and_1(share: float):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        make_governor()[0].limit("control", share=share)


def test_only_unknown_capacity_grows():
    governor, changes = make_governor()
    governor.grow(2.0)
    assert changes == []
    on_demand = replace(PLAIN, billing="PAY_PER_REQUEST", throughput=Throughput())
    governor.follow(on_demand)
    assert governor.rate_limits.wcu == NEW_ON_DEMAND_WRITE * 2 * 0.8
    governor.follow(replace(on_demand, throughput=Throughput(warm_write=6_000.0)))
    assert governor.rate_limits.wcu == 6_000.0 * 0.8


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0.0, 1.0)), max_size=20))
def test_no_sequence_of_limits_allows_more_than_the_lowest(steps: list[tuple[str, float | None]]):
    governor, changes = make_governor()
    wanted: dict[str, float] = {}
    for source, share in steps:
        governor.limit(source, share=share)
        wanted.pop(source, None)
        if share is not None:
            wanted[source] = share
        assert governor.rate_limits.share == min(wanted.values(), default=1.0)
    assert len(changes) <= len(steps)
