"""The consumer model in a closed loop with a simulated consumer and late metrics."""

import statistics

import pytest
from hypothesis import Phase, example, given
from hypothesis import strategies as st

from refire_async.pacing.consumer import BLIND_S, FIRST_RATE, MAX_WAITING_S, ConsumerModel
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.rate_estimate import MINUTE_S
from tests.pacing.simulated_consumer import EPOCH, simulate
from tests.support.examples import examples, thinned

LEARNT_S = 10 * 60.0
"""Seconds after which the consumer's rate is known, with any delay of the metrics."""


@examples(3, 50, phases=[Phase.explicit, Phase.generate])
@given(
    capacity=st.floats(20.0, 2_000.0),
    bound_s=st.sampled_from([30.0, 60.0, 300.0, 3_600.0]),
    lag_s=st.floats(5.0, 110.0),
    phase_s=st.floats(0.0, 59.0),
)
@example(capacity=500.0, bound_s=30.0, lag_s=60.0, phase_s=17.0)
def test_the_age_stays_below_the_bound_and_the_consumer_is_busy(
    capacity: float, bound_s: float, lag_s: float, phase_s: float
):
    """For an unknown consumer and metrics that are up to three minutes old. The rate becomes steady."""
    trace = simulate(lambda _: capacity, bound_s, minutes=17, lag_s=lag_s, phase_s=phase_s, budget=20_000.0)
    assert trace.oldest() < min(bound_s, 1.7 * MAX_WAITING_S)
    assert trace.busy(since_s=LEARNT_S) > 0.95
    rates = trace.rates(since_s=LEARNT_S + 180.0)
    assert statistics.mean(rates) == pytest.approx(capacity, rel=0.1)
    assert statistics.pstdev(rates) < 0.3 * capacity


def test_a_consumer_with_a_varying_rate_stays_busy():
    trace = simulate(lambda _: 500.0, 30.0, minutes=16, jitter=0.1)
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=LEARNT_S) > 0.95


def test_a_consumer_that_becomes_slower_is_followed_down_and_up_again():
    """500 records/s, then 250 for seven minutes: the run stays near that rate, within the bound of five minutes."""
    trace = simulate(lambda at: 250.0 if 720 <= at < 1_140 else 500.0, 300.0, minutes=30)
    assert trace.oldest() < 300.0
    assert statistics.mean(trace.rates(960, 1_140)) < 270.0
    assert statistics.mean(trace.rates(1_560)) == pytest.approx(
        500.0, rel=0.1
    )  # the drained queue is filled again
    assert trace.busy(since_s=1_440) > 0.95


def test_a_stalled_consumer_pauses_the_run_until_it_recovers():
    """Lambda retries a failing batch, so its age shows, and grows."""

    def capacity(at: float) -> float:
        return 0.01 if 480 <= at < 960 else 500.0

    trace = simulate(capacity, 300.0, minutes=28)
    assert max(trace.rates(760, 960)) == 0.0
    assert statistics.mean(trace.rates(1_400)) == pytest.approx(500.0, rel=0.1)


def test_a_consumer_that_is_faster_than_the_table_does_not_limit_the_run():
    trace = simulate(lambda _: 5_000.0, 60.0, minutes=10, budget=800.0)
    assert set(trace.rates(since_s=400.0)) == {800.0}


def test_live_events_use_their_share_of_the_consumer():
    """The application emits 200 records/s; the run gets the rest, within the bound."""
    trace = simulate(lambda _: 500.0, 60.0, minutes=16, live=lambda _: 200.0)
    assert trace.oldest() < 60.0
    assert statistics.mean(trace.rates(since_s=LEARNT_S)) == pytest.approx(300.0, rel=0.1)


@pytest.mark.parametrize(
    ("min_rate", "learnt_s"), [(FIRST_RATE, 330.0), (50.0, 270.0), (150.0, 240.0), (500.0, 90.0)]
)
def test_a_higher_known_rate_makes_the_consumer_busy_sooner(min_rate: float, learnt_s: float):
    """500 records/s and metrics that are 75 s late: one burst is enough, or two without a known rate."""
    trace = simulate(
        lambda _: 500.0, 30.0, minutes=8, lag_s=75.0, budget=4_000.0, known={"min_rate": min_rate}
    )
    assert trace.oldest() < 0.6 * 30.0
    assert trace.busy(since_s=learnt_s) > 0.95


def test_a_burst_just_before_the_end_of_a_minute_does_not_mislead():
    """Two seconds prove nothing; a run that trusted them let records become 37 s old."""
    known = {"min_rate": 711.0}
    trace = simulate(lambda _: 737.0, 30.0, minutes=8, phase_s=58.2, budget=4_000.0, known=known)
    assert trace.oldest() < 0.6 * 30.0


@pytest.mark.parametrize("share", thinned({"0.2": 0.2, "0.4": 0.4, "0.6": 0.6}, "0.4"))
def test_known_live_events_keep_a_small_bound(share: float):
    """A burst shows the rate without live events, which is not the rate left for the run."""
    live = share * 500.0
    known = {"min_rate": 100.0, "live_share": share}
    trace = simulate(lambda _: 500.0, 30.0, minutes=12, lag_s=75.0, live=lambda _: live, known=known)
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=360.0) > 0.95
    assert statistics.mean(trace.rates(since_s=420.0)) == pytest.approx(500.0 - live, rel=0.15)


def test_expected_live_events_that_do_not_arrive_cost_a_few_minutes():
    trace = simulate(lambda _: 500.0, 30.0, minutes=15, known={"live_share": 0.5})
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=LEARNT_S) > 0.95


class TestDataPoints:
    """Single data points, and their absence."""

    minute = int(EPOCH)
    emitted: EmittedRecords
    consumer: ConsumerModel

    @pytest.fixture(autouse=True)
    def begin(self) -> None:
        self.emitted = EmittedRecords(EPOCH)
        self.consumer = ConsumerModel(60.0, self.emitted)

    def burst(self) -> None:
        """Emit 300 records within two seconds."""
        for half in range(1, 5):
            self.emitted.add(75, EPOCH + half / 2)

    def test_an_unknown_consumer_counts_as_slow(self):
        assert self.consumer.allowed(EPOCH) == pytest.approx(FIRST_RATE * 61.0)
        self.burst()
        assert self.consumer.allowed(EPOCH + 2.0) == pytest.approx(5.0 * FIRST_RATE)
        self.emitted.add(320, EPOCH + 2.5)
        assert self.consumer.allowed(EPOCH + 3.0) == 0.0

    def test_ages_give_the_rate(self):
        """300 records in two seconds, the last of them 8 s old: 30 records/s."""
        self.burst()
        self.consumer.learn({self.minute: 8.0, self.minute + 60: 0.2}, EPOCH + 120.0)
        assert self.consumer.rate == pytest.approx(30.0, rel=0.1)

    def test_a_consumer_that_keeps_up_has_at_least_the_rate_of_the_run(self):
        self.burst()
        self.consumer.learn({self.minute: 0.4, self.minute + 60: 0.2}, EPOCH + 120.0)
        assert 75.0 < self.consumer.rate < 200.0

    def test_an_incomplete_data_point_does_not_raise_the_rate(self):
        self.burst()
        self.consumer.learn({self.minute: 0.4}, EPOCH + 100.0)
        assert self.consumer.rate == FIRST_RATE
        self.consumer.learn({self.minute: 0.4}, EPOCH + 60.0 + 180.0)
        assert self.consumer.rate > 75.0

    def test_an_incomplete_high_data_point_lowers_the_rate_at_once(self):
        """The prediction was 28 s at 10 records/s."""
        self.burst()
        self.consumer.learn({self.minute: 55.0}, EPOCH + 61.0)
        assert self.consumer.rate < 0.7 * FIRST_RATE
        assert self.consumer.waiting_s(EPOCH + 61.0) > 30.0

    @pytest.mark.parametrize(("age", "waits"), [(0.5, False), (30.0, False), (59.9, True), (7_200.0, True)])
    def test_the_run_waits_for_a_consumer_that_was_behind_before_it(self, age: float, waits: bool):
        self.consumer.learn({self.minute - 120: age}, EPOCH)
        assert (self.consumer.allowed(EPOCH) == 0.0) is waits

    def test_the_age_of_live_events_does_not_change_the_rate(self):
        """The run emits nothing for ten minutes, in which live events are up to an hour old."""
        self.burst()
        self.consumer.learn({self.minute: 8.0, self.minute + 60: 0.2}, EPOCH + 120.0)
        ages = {self.minute + 60 * n: 3_600.0 if n > 1 else 0.2 for n in range(1, 10)}
        self.consumer.learn(ages, EPOCH + 780.0)
        assert self.consumer.rate == pytest.approx(30.0, rel=0.1)
        assert self.consumer.allowed(EPOCH + 780.0) == 0.0

    def test_a_consumer_that_was_behind_and_shows_no_new_data_point_has_caught_up(self):
        self.consumer.learn({self.minute - 120: 7_200.0}, EPOCH)
        assert self.consumer.allowed(EPOCH + BLIND_S) > 0.0

    def test_a_run_without_metrics_slows_down_and_then_pauses(self):
        """Five minutes as predicted, then at half the rate, and after the time of the bound it pauses."""
        self.burst()
        assert self.consumer.allowed(EPOCH + 299.0) > FIRST_RATE
        assert self.consumer.allowed(EPOCH + 310.0) == FIRST_RATE / 2
        assert self.consumer.allowed(EPOCH + 370.0) == 0.0

    def test_a_run_that_emits_nothing_needs_no_metrics(self):
        assert self.consumer.allowed(EPOCH + 86_400.0) > FIRST_RATE

    def test_new_metrics_end_the_pause(self):
        self.burst()
        assert self.consumer.allowed(EPOCH + 7_200.0) == 0.0
        self.consumer.learn({self.minute: 8.0, self.minute + MINUTE_S: 0.5}, EPOCH + 7_200.0)
        assert self.consumer.allowed(EPOCH + 7_200.0) > FIRST_RATE
