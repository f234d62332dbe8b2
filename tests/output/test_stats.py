"""Progress from the events of a run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.events import (
    BatchWritten,
    BudgetChanged,
    Event,
    ItemFailed,
    PageAcknowledged,
    PageRead,
    Paused,
    RateChanged,
    Recovered,
    Resumed,
    Retried,
    RunEnded,
    SegmentFinished,
    Stopping,
    Suspended,
    Throttled,
    Waiting,
)
from refire_async.model.counts import Counts
from refire_async.output.counters import MOST_SEGMENTS, OTHER_SEGMENTS
from refire_async.output.stats import RunStats
from tests.output.samples import started, summary

HOT = "TableWriteKeyRangeThroughputExceeded"


def stats_of(*events: Event) -> RunStats:
    """Stats that began at 0 and have seen these events."""
    stats = RunStats(0.0)
    for event in events:
        stats.handle(event)
    return stats


def test_before_anything_happens() -> None:
    """A run that has not begun can be shown."""
    now = RunStats(100.0).sample(101.5)
    assert (now.state, now.elapsed_s, now.done, now.share, now.remaining_s) == (
        "starting",
        1.5,
        0,
        None,
        None,
    )


def test_rates_share_and_remaining_time() -> None:
    """100 items/s of 1,000: after 5 s half is done and 5 s are left."""
    stats = stats_of(started(1000))
    for second in range(6):
        now = stats.sample(float(second))
        for _ in range(4):
            stats.handle(BatchWritten(0, 25, 50.0, 0.004))
    assert now.done == 500
    assert now.share == 0.5
    assert now.items_rate == 100
    assert now.wcu_rate == 200
    assert now.remaining_s == 5
    assert now.state == "running"
    assert now.latency_s is not None
    assert now.latency_s[0] == pytest.approx(0.004, rel=0.1)


def test_remaining_time_follows_the_last_minute() -> None:
    """A slow first hour does not spoil the estimate for long."""
    stats = stats_of(started(10_000))
    for second in range(0, 3600, 10):
        stats.handle(BatchWritten(0, 1, 1.0, 0.01))
        stats.sample(float(second))
    for second in range(3600, 3680):
        stats.handle(BatchWritten(0, 20, 20.0, 0.01))
        now = stats.sample(float(second))
    assert now.remaining_s == pytest.approx((10_000 - 360 - 1600) / 20, rel=0.05)


def test_items_without_a_write_count_with_their_page() -> None:
    """A page whose items are all expired is done without any batch; failures are counted there too."""
    stats = stats_of(
        started(100),
        PageRead(0, 10, 1.5, 0.002),
        PageAcknowledged(0, Counts(scanned=10, expired=8, failed=2)),
    )
    now = stats.sample(1.0)
    assert (now.done, now.failed, now.rcu) == (10, 2, 1.5)


def test_batches_and_their_page_are_not_counted_twice() -> None:
    """Batches are ahead of the page that they belong to."""
    stats = stats_of(started(100), BatchWritten(0, 25, 25.0, 0.01), BatchWritten(0, 15, 15.0, 0.01))
    assert stats.sample(1.0).done == 40
    stats.handle(PageAcknowledged(0, Counts(scanned=40, touched=40)))
    assert stats.sample(2.0).done == 40


def test_resumed_run_begins_where_it_was() -> None:
    """Items of earlier attempts count for the share, not for the rate."""
    stats = RunStats(-1.0)
    stats.sample(-1.0)
    stats.handle(started(1000, before=Counts(scanned=600, touched=590, failed=10)))
    stats.sample(0.0)
    stats.handle(BatchWritten(0, 100, 100.0, 0.01))
    now = stats.sample(10.0)
    assert (now.done, now.share, now.items_rate, now.failed) == (700, 0.7, 10, 10)
    assert now.remaining_s == pytest.approx(30)


@pytest.mark.parametrize(
    ("index", "seconds"), [(1_600.0, 1.125), (400.0, 2.25)], ids=["the table bounds", "the index bounds"]
)
def test_an_index_may_limit_the_remaining_time(index: float, seconds: float) -> None:
    """Before a rate is known: 900 items left, a unit each in the table and in the index, 800 units/s."""
    stats = stats_of(replace(started(1000), indexes={"by-day": index}), BatchWritten(0, 100, 200.0, 0.01))
    assert stats.sample(0.0).remaining_s == pytest.approx(seconds, rel=0.02)


def test_more_items_than_expected() -> None:
    """The table's count can be hours old: then the segments give the share, and 100% is not shown early."""
    stats = stats_of(started(100), BatchWritten(0, 150, 150.0, 0.01), SegmentFinished(3, 6, 8))
    assert stats.sample(1.0).share == 0.75


@pytest.mark.parametrize("expected", [None, 0])
def test_unknown_number_of_items(expected: int | None) -> None:
    """Without a count the segments give the share."""
    stats = stats_of(started(expected), BatchWritten(0, 10, 10.0, 0.01))
    assert stats.sample(1.0).share == 0.0
    stats.handle(SegmentFinished(0, 4, 8))
    assert stats.sample(2.0).share == 0.5


def test_share_is_one_only_at_the_end() -> None:
    """There may be more items than counted, so the share is below 1 until the run ends."""
    stats = stats_of(started(100), BatchWritten(0, 100, 100.0, 0.01))
    assert stats.sample(1.0).share == 0.999
    stats.handle(RunEnded(summary()))
    now = stats.sample(2.0)
    assert (now.share, now.state, now.remaining_s) == (1.0, "ended", None)


def test_stopped_run_is_not_complete() -> None:
    """A stopped run ends with the share that it had."""
    stats = stats_of(started(100), BatchWritten(0, 30, 30.0, 0.01), Stopping("interrupted"))
    assert stats.sample(1.0).state == "draining"
    assert stats.sample(1.0).detail == "interrupted"
    stats.handle(RunEnded(summary("stopped")))
    assert stats.sample(2.0).share == 0.3


def test_throttling_by_reason() -> None:
    """Reasons are separate, the most frequent first; retries and failures have their own numbers."""
    stats = stats_of(
        started(),
        Throttled(1, 3, "ThrottlingException", "orders", lane_only=False),
        Throttled(1, 25, HOT, "orders", lane_only=True),
        Throttled(2, 5, HOT, "orders", lane_only=True),
        Retried(1, 4, "ConnectionReset", 1, 0.1),
        ItemFailed(1, 2, "ValidationError"),
    )
    now = stats.sample(1.0)
    assert now.throttled == ((HOT, 30), ("ThrottlingException", 3))
    assert now.throttled_total == 33
    assert now.retries == 1


def test_throttling_by_resource_and_segment() -> None:
    """Each refused attempt is counted once in either."""
    index = "arn:aws:dynamodb:eu-west-1:1:table/orders/index/by-day"
    stats = stats_of(
        started(),
        Throttled(3, 25, HOT, "orders", lane_only=True),
        Throttled(3, 5, HOT, index, lane_only=True),
        Throttled(7, 1, "RequestLimitExceeded", "", lane_only=False),
    )
    assert stats.throttles.by_reason == {
        (HOT, "orders"): 25,
        (HOT, index): 5,
        ("RequestLimitExceeded", ""): 1,
    }
    assert stats.throttles.by_segment == {3: 30, 7: 1}
    assert stats.throttles.total == stats.sample(1.0).throttled_total == 31


def test_segments_that_are_throttled_are_bounded() -> None:
    """Beyond `MOST_SEGMENTS` they are counted together, so that the sum is right."""
    stats = stats_of(*(Throttled(n, 2, HOT, "orders", lane_only=True) for n in range(MOST_SEGMENTS + 100)))
    assert len(stats.throttles.by_segment) == MOST_SEGMENTS + 1
    assert stats.throttles.by_segment[OTHER_SEGMENTS] == 200
    assert sum(stats.throttles.by_segment.values()) == stats.throttles.total


def test_reasons_are_bounded() -> None:
    """A service that invents reasons does not fill memory."""
    stats = stats_of(*(Throttled(0, 1, f"reason {n}", "orders", lane_only=False) for n in range(1000)))
    now = stats.sample(1.0)
    assert len(now.throttled) <= 25
    assert now.throttled_total == 1000
    assert now.throttled[0][0] == "other"


def test_a_budget_that_changes_is_shown_with_its_reason() -> None:
    """From the change on, the new budget is shown."""
    now = stats_of(started(), BudgetChanged(400.0, 50.0, "live traffic")).sample(1.0)
    assert (now.max_wcu, now.max_rcu, now.bound_by) == (400.0, 50.0, "live traffic")


def test_a_pause_is_a_state_until_it_ends() -> None:
    """The state has its reason; an orderly stop replaces it."""
    stats = stats_of(started(), Paused("asked to"))
    assert (stats.sample(1.0).state, stats.sample(1.0).detail) == ("paused", "asked to")
    stats.handle(Resumed("the table"))
    assert stats.sample(2.0).state == "running"
    assert stats_of(started(), Paused("asked to"), Stopping("interrupted")).sample(1.0).state == "draining"


def test_rate_that_throttling_reduces() -> None:
    """The shared rate is shown while throttling keeps it below its ceiling."""
    stats = stats_of(started(), RateChanged(300.0, 800.0, HOT))
    assert stats.sample(1.0).held_to_wcu == 300.0
    stats.handle(RateChanged(800.0, 800.0, "recovered"))
    assert stats.sample(2.0).held_to_wcu is None


@pytest.mark.parametrize("progress", [BatchWritten(0, 1, 1.0, 0.01), PageRead(0, 0, 0.5, 0.01)])
def test_waiting_ends_with_the_next_answer(progress: Event) -> None:
    """Waiting ends with any response, even an empty page."""
    stats = stats_of(started(), Waiting("no network", 3.0))
    assert (stats.sample(1.0).state, stats.sample(1.0).detail) == ("waiting", "no network")
    stats.handle(progress)
    assert stats.sample(2.0).state == "running"


def test_the_end_of_a_wait_ends_it() -> None:
    stats = stats_of(started(), Waiting("no network", 3.0), Recovered(4.0))
    assert stats.sample(1.0).state == "running"


EVENTS = st.one_of(
    st.builds(BatchWritten, st.integers(0, 7), st.integers(0, 25), st.floats(0, 100), st.floats(0, 30)),
    st.builds(PageRead, st.integers(0, 7), st.integers(0, 1000), st.floats(0, 128), st.floats(0, 30)),
    st.builds(PageAcknowledged, st.integers(0, 7), st.builds(Counts, touched=st.integers(0, 50))),
    st.builds(Waiting, st.just("no network"), st.floats(0, 9)),
    st.builds(Stopping, st.just("interrupted")),
    st.builds(SegmentFinished, st.just(1), st.integers(0, 8), st.just(8)),
)


@given(st.lists(EVENTS, max_size=60), st.one_of(st.none(), st.integers(0, 500)))
def test_any_sequence_of_events_can_be_shown(events: list[Event], expected: int | None) -> None:
    """Shares are between 0 and 1, the number of items only grows, and no number is negative."""
    stats = stats_of(started(expected))
    done = 0
    for second, event in enumerate(events):
        stats.handle(event)
        now = stats.sample(second * 0.3)
        assert now.done >= done
        assert now.share is None or 0 <= now.share < 1
        assert all(rate is None or rate >= 0 for rate in (now.items_rate, now.wcu_rate, now.remaining_s))
        done = now.done


@pytest.mark.parametrize("event", [Paused("you"), Waiting("ConnectError", 6.0)])
def test_a_paused_run_has_no_rate(event: Event) -> None:
    """Neither the earlier rate nor a remaining time is shown; afterwards the rate is measured anew."""
    stats = stats_of(started(1_000))
    stats.sample(0.0)
    for second in range(1, 4):
        stats.handle(BatchWritten(0, 100, 100.0, 0.01))
        now = stats.sample(float(second))
    assert now.items_rate == 100
    stats.handle(event)
    now = stats.sample(3.5)
    assert (now.items_rate, now.wcu_rate, now.rcu_rate, now.remaining_s) == (0.0, 0.0, 0.0, None)
    stats.sample(60.0)
    stats.handle(Resumed("you"))
    stats.handle(BatchWritten(0, 50, 50.0, 0.01))
    stats.sample(61.0)
    stats.handle(BatchWritten(0, 50, 50.0, 0.01))
    now = stats.sample(62.0)
    assert now.items_rate == 50
    assert now.remaining_s == pytest.approx(600 / 50)


def test_a_limit_on_items_ends_the_run_before_its_selection() -> None:
    """Of 100,000 items the attempt reads 500, of which 300 remain."""
    before = Counts(scanned=1_000, touched=1_000)
    stats = stats_of(replace(started(100_000, before=before), max_items=500))
    stats.sample(0.0)
    stats.handle(BatchWritten(0, 100, 100.0, 0.01))
    stats.sample(1.0)
    stats.handle(BatchWritten(0, 100, 100.0, 0.01))
    assert stats.sample(2.0).remaining_s == pytest.approx(3.0)


def test_suspended_time_is_excluded() -> None:
    """Ctrl-Z for ten minutes affects neither elapsed time nor rates; that of other processes counts once."""
    stats = stats_of(started(1_000))
    stats.sample(0.0)
    stats.handle(BatchWritten(0, 100, 100.0, 0.01))
    stats.sample(1.0)
    stats.handle(Suspended(600.0))
    stats.handle(Suspended(600.0, part=1))
    stats.sample(602.0)
    stats.handle(BatchWritten(0, 100, 100.0, 0.01))
    now = stats.sample(603.0)
    assert now.elapsed_s == pytest.approx(3.0)
    assert now.items_rate == 100
    assert now.remaining_s == pytest.approx(8.0)


def test_a_retried_request_counts_once_for_any_number_of_items() -> None:
    """As in the summary."""
    assert (
        stats_of(Retried(0, 25, "Timeout", 1, 0.1), Retried(1, 1, "Timeout", 1, 0.1)).sample(1.0).retries == 2
    )
