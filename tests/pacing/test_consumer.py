"""Pacing for a consumer's sake, in closed loop: a consumer that is simulated, and figures that come late."""

import statistics

import pytest
from hypothesis import Phase, example, given
from hypothesis import strategies as st

from refire_async.pacing.consumer import BLIND_S, FIRST_RATE, MOST_WAITING_S, Consumer
from refire_async.pacing.emitted_records import EmittedRecords
from refire_async.pacing.rate_estimate import MINUTE_S
from tests.pacing.simulated_consumer import EPOCH, simulate
from tests.support.examples import examples

LEARNT_S = 10 * 60.0
"""By then the consumer's speed is known, however late the figures are."""


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
    """Of a consumer that nobody knows, by figures that are up to three minutes old; and the rate comes to rest."""
    trace = simulate(lambda _: capacity, bound_s, minutes=17, lag_s=lag_s, phase_s=phase_s, budget=20_000.0)
    assert trace.oldest() < min(bound_s, 1.7 * MOST_WAITING_S)
    assert trace.busy(since_s=LEARNT_S) > 0.95
    rates = trace.rates(since_s=LEARNT_S + 180.0)
    assert statistics.mean(rates) == pytest.approx(capacity, rel=0.1)
    assert statistics.pstdev(rates) < 0.3 * capacity


def test_a_consumer_whose_speed_varies_is_busy_all_the_same():
    trace = simulate(lambda _: 500.0, 30.0, minutes=16, jitter=0.1)
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=LEARNT_S) > 0.95


def test_a_consumer_that_becomes_slower_is_followed_down_and_up_again():
    """500 records a second, then 250 for seven minutes: held near what it handles, within the bound of five minutes."""
    trace = simulate(lambda at: 250.0 if 720 <= at < 1_140 else 500.0, 300.0, minutes=30)
    assert trace.oldest() < 300.0
    assert statistics.mean(trace.rates(960, 1_140)) < 270.0
    assert statistics.mean(trace.rates(1_560)) == pytest.approx(
        500.0, rel=0.1
    )  # what was drained is filled again
    assert trace.busy(since_s=1_440) > 0.95


def test_a_consumer_that_stands_still_makes_the_run_pause_and_go_on_afterwards():
    """A failing batch is handed out again and again, so its age shows, and grows."""

    def capacity(at: float) -> float:
        return 0.01 if 720 <= at < 1_500 else 500.0

    trace = simulate(capacity, 300.0, minutes=45)
    assert max(trace.rates(1_000, 1_500)) == 0.0
    assert statistics.mean(trace.rates(2_400)) == pytest.approx(500.0, rel=0.1)


def test_a_consumer_that_is_faster_than_the_table_holds_nothing_back():
    trace = simulate(lambda _: 5_000.0, 60.0, minutes=10, budget=800.0)
    assert set(trace.rates(since_s=400.0)) == {800.0}


def test_live_events_take_their_part_of_the_consumer():
    """The application makes 200 records a second; the run gets the rest, within the bound."""
    trace = simulate(lambda _: 500.0, 60.0, minutes=16, others=lambda _: 200.0)
    assert trace.oldest() < 60.0
    assert statistics.mean(trace.rates(since_s=LEARNT_S)) == pytest.approx(300.0, rel=0.1)


@pytest.mark.parametrize(
    ("least_rate", "learnt_s"), [(FIRST_RATE, 330.0), (50.0, 270.0), (150.0, 240.0), (500.0, 90.0)]
)
def test_the_more_is_known_beforehand_the_sooner_it_is_busy(least_rate: float, learnt_s: float):
    """500 records a second and figures that are 75 s late: one burst tells, or two where nothing is known."""
    trace = simulate(
        lambda _: 500.0, 30.0, minutes=8, lag_s=75.0, budget=4_000.0, known={"least_rate": least_rate}
    )
    assert trace.oldest() < 0.6 * 30.0
    assert trace.busy(since_s=learnt_s) > 0.95


def test_a_burst_just_before_the_minute_is_over_does_not_mislead():
    """Two seconds tell nothing; a run that believed them made records that were 37 s old."""
    known = {"least_rate": 711.0}
    trace = simulate(lambda _: 737.0, 30.0, minutes=8, phase_s=58.2, budget=4_000.0, known=known)
    assert trace.oldest() < 0.6 * 30.0


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_live_events_that_are_known_of_keep_a_small_bound(share: float):
    """A burst tells the speed without them; it is not taken for what is left for the run."""
    others = share * 500.0
    known = {"least_rate": 100.0, "others": share}
    trace = simulate(lambda _: 500.0, 30.0, minutes=12, lag_s=75.0, others=lambda _: others, known=known)
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=360.0) > 0.95
    assert statistics.mean(trace.rates(since_s=420.0)) == pytest.approx(500.0 - others, rel=0.15)


def test_live_events_that_were_expected_and_do_not_come_cost_a_few_minutes():
    trace = simulate(lambda _: 500.0, 30.0, minutes=15, known={"others": 0.5})
    assert trace.oldest() < 30.0
    assert trace.busy(since_s=LEARNT_S) > 0.95


class TestWhatIsKnown:
    """Single figures, and their absence."""

    minute = int(EPOCH)
    emitted: EmittedRecords
    consumer: Consumer

    @pytest.fixture(autouse=True)
    def begin(self) -> None:
        self.emitted = EmittedRecords(EPOCH)
        self.consumer = Consumer(60.0, self.emitted)

    def burst(self) -> None:
        """Three hundred records within two seconds."""
        for half in range(1, 5):
            self.emitted.add(75, EPOCH + half / 2)

    def test_nothing_is_known_at_first_and_a_slow_consumer_is_taken_for_granted(self):
        assert self.consumer.allowed(EPOCH) == pytest.approx(FIRST_RATE * 61.0)
        self.burst()
        assert self.consumer.allowed(EPOCH + 2.0) == pytest.approx(5.0 * FIRST_RATE)
        self.emitted.add(320, EPOCH + 2.5)
        assert self.consumer.allowed(EPOCH + 3.0) == 0.0

    def test_ages_tell_how_fast_it_is(self):
        """300 records in two seconds, the last of them 8 s old: 30 a second."""
        self.burst()
        self.consumer.learn({self.minute: 8.0, self.minute + 60: 0.2}, EPOCH + 120.0)
        assert self.consumer.rate == pytest.approx(30.0, rel=0.1)

    def test_a_consumer_that_keeps_up_is_at_least_so_fast(self):
        self.burst()
        self.consumer.learn({self.minute: 0.4, self.minute + 60: 0.2}, EPOCH + 120.0)
        assert 75.0 < self.consumer.rate < 200.0

    def test_a_figure_that_may_still_grow_is_no_good_news(self):
        self.burst()
        self.consumer.learn({self.minute: 0.4}, EPOCH + 100.0)
        assert self.consumer.rate == FIRST_RATE
        self.consumer.learn({self.minute: 0.4}, EPOCH + 60.0 + 180.0)
        assert self.consumer.rate > 75.0

    def test_but_it_is_bad_news_at_once(self):
        """Reckoned were 28 s at 10 records a second."""
        self.burst()
        self.consumer.learn({self.minute: 55.0}, EPOCH + 61.0)
        assert self.consumer.rate < 0.7 * FIRST_RATE
        assert self.consumer.waiting_s(EPOCH + 61.0) > 30.0

    @pytest.mark.parametrize(("age", "waits"), [(0.5, False), (30.0, False), (59.9, True), (7_200.0, True)])
    def test_a_consumer_that_was_behind_before_the_run_is_waited_for(self, age: float, waits: bool):
        self.consumer.learn({self.minute - 120: age}, EPOCH)
        assert (self.consumer.allowed(EPOCH) == 0.0) is waits

    def test_the_age_of_others_records_says_nothing_of_its_speed(self):
        """The run makes nothing for ten minutes, in which the application's events are up to an hour old."""
        self.burst()
        self.consumer.learn({self.minute: 8.0, self.minute + 60: 0.2}, EPOCH + 120.0)
        ages = {self.minute + 60 * n: 3_600.0 if n > 1 else 0.2 for n in range(1, 10)}
        self.consumer.learn(ages, EPOCH + 780.0)
        assert self.consumer.rate == pytest.approx(30.0, rel=0.1)
        assert self.consumer.allowed(EPOCH + 780.0) == 0.0

    def test_one_that_was_behind_and_is_not_heard_of_again_has_done_it(self):
        self.consumer.learn({self.minute - 120: 7_200.0}, EPOCH)
        assert self.consumer.allowed(EPOCH + BLIND_S) > 0.0

    def test_a_run_that_is_told_nothing_slows_down_and_then_pauses(self):
        """Five minutes as reckoned, then at half the speed, and after the bound's time no more."""
        self.burst()
        assert self.consumer.allowed(EPOCH + 299.0) > FIRST_RATE
        assert self.consumer.allowed(EPOCH + 310.0) == FIRST_RATE / 2
        assert self.consumer.allowed(EPOCH + 370.0) == 0.0

    def test_a_run_that_makes_nothing_is_not_told_anything_and_does_not_mind(self):
        assert self.consumer.allowed(EPOCH + 86_400.0) > FIRST_RATE

    def test_figures_that_come_back_end_it(self):
        self.burst()
        assert self.consumer.allowed(EPOCH + 7_200.0) == 0.0
        self.consumer.learn({self.minute: 8.0, self.minute + MINUTE_S: 0.5}, EPOCH + 7_200.0)
        assert self.consumer.allowed(EPOCH + 7_200.0) > FIRST_RATE
