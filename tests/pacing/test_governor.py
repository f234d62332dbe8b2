"""What a sitting may consume: the table's capacity, the user's budget and the limits of several voices."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import TABLE
from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput
from refire_async.pacing.capacity import NEW_ON_DEMAND_WRITE
from refire_async.pacing.governor import Governor, RateLimits
from refire_async.settings import Budget

PLAIN = Table(
    "t",
    "arn",
    "id",
    "ACTIVE",
    KeySchema("pk", "S"),
    "PROVISIONED",
    Throughput(provisioned_read=400.0, provisioned_write=1_000.0),
    (),
    Stream(enabled=True),
    0,
    0,
)


def capacity(write: float) -> Table:
    return replace(PLAIN, throughput=Throughput(provisioned_read=400.0, provisioned_write=write))


def governor(budget: Budget | None = None) -> tuple[Governor, list[RateLimits]]:
    told: list[RateLimits] = []
    made = Governor(PLAIN, "revision", budget or Budget(), None)
    made.subscribe(told.append)
    return made, told


def test_at_first_it_is_what_the_table_and_the_user_say():
    rate_limits = governor(Budget(max_rate=7.0))[0].rate_limits
    assert (rate_limits.wcu, rate_limits.scarcest_write, rate_limits.rcu, rate_limits.max_rate) == (
        800.0,
        800.0,
        320.0,
        7.0,
    )
    assert rate_limits.why == "80% of the table's provisioned capacity"
    assert not rate_limits.paused


def test_capacity_and_budget_are_followed():
    made, told = governor()
    made.follow(capacity(500.0))
    made.set_budget(Budget(max_wcu=123.0))
    assert [rate_limits.ceilings.write for rate_limits in told] == [{TABLE: 400.0}, {TABLE: 123.0}]
    assert told[-1] == made.rate_limits
    assert made.rate_limits.why == "--max-wcu"


def test_what_changes_nothing_is_not_told():
    made, told = governor()
    made.follow(replace(PLAIN, item_count=5))
    made.limit("headroom", share=1.0, why="there is room")
    made.limit("nobody")
    assert told == []
    assert made.table.item_count == 5


def test_a_listener_may_speak_up_itself():
    """Whoever answers a change with a limit of its own: the last that everybody hears is what holds."""
    made, before = governor()
    made.subscribe(
        lambda rate_limits: made.limit("voice", share=min(1.0, 100.0 / rate_limits.ceilings.scarcest_write))
    )
    after: list[RateLimits] = []
    made.subscribe(after.append)
    made.set_budget(Budget(max_wcu=400.0))
    assert before[-1] == after[-1] == made.rate_limits
    assert made.rate_limits.wcu == 100.0
    assert [rate_limits.wcu for rate_limits in after] == [100.0]


def test_the_lowest_voice_rules_and_says_why():
    made, told = governor()
    made.limit("headroom", share=0.5, why="live traffic")
    made.limit("consumer", share=0.25, why="Lambda lags")
    made.limit("headroom", share=0.75, why="live traffic")  # not the lowest: nothing changes
    made.limit("consumer")
    made.limit("headroom")
    assert [(t.share, t.why) for t in told] == [
        (0.5, "live traffic"),
        (0.25, "Lambda lags"),
        (0.75, "live traffic"),
        (1.0, "80% of the table's provisioned capacity"),
    ]
    assert told[1].wcu == 200.0


def test_a_share_of_nothing_is_a_pause_and_a_voice_without_words_is_named():
    made, told = governor()
    made.limit("control", share=0.0)
    assert told[0].paused
    assert told[0].why == "control"


def test_the_lowest_rate_of_items_rules_whoever_wants_it():
    """The user's and a voice's, beside shares of units; a voice that changes its mind leaves nothing behind."""
    made, told = governor(Budget(max_rate=100.0))
    made.limit("consumer", max_rate=300.0)
    made.limit("consumer", max_rate=40.0)
    made.limit("headroom", share=0.5, why="live traffic")
    made.limit("consumer", share=0.0, why="behind")
    made.limit("consumer")
    assert [(t.max_rate, t.share, t.why) for t in told[:1]] == [(40.0, 1.0, told[0].ceilings.bound_by)]
    assert [(t.max_rate, t.share, t.why) for t in told[1:]] == [
        (40.0, 0.5, "live traffic"),
        (100.0, 0.0, "behind"),
        (100.0, 0.5, "live traffic"),
    ]


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_of_nothing_is_no_rate(rate: float):
    with pytest.raises(ValueError, match="above 0"):
        governor()[0].limit("consumer", max_rate=rate)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        governor()[0].limit("control", share=share)


def test_only_unknown_capacity_grows():
    made, told = governor()
    made.grow(2.0)
    assert told == []
    on_demand = replace(PLAIN, billing="PAY_PER_REQUEST", throughput=Throughput())
    made.follow(on_demand)
    assert made.rate_limits.wcu == NEW_ON_DEMAND_WRITE * 2 * 0.8
    made.follow(replace(on_demand, throughput=Throughput(warm_write=6_000.0)))
    assert made.rate_limits.wcu == 6_000.0 * 0.8


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0.0, 1.0)), max_size=20))
def test_no_sequence_of_voices_allows_more_than_the_lowest_of_them(words: list[tuple[str, float | None]]):
    made, told = governor()
    wanted: dict[str, float] = {}
    for voice, share in words:
        made.limit(voice, share=share)
        wanted.pop(voice, None)
        if share is not None:
            wanted[voice] = share
        assert made.rate_limits.share == min(wanted.values(), default=1.0)
    assert len(told) <= len(words)
