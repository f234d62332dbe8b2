"""The service's clock from `Date` headers: missing, whole seconds, slow answers, clock changes."""

import random
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.clock import ServiceClock


class Machine:
    """A machine whose clock is `ahead` of the service's."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead
        self.service = 1_790_000_000.4
        self.clock = ServiceClock(lambda: self.service + self.ahead)

    def ask(self, there_s: float, back_s: float) -> None:
        """One request and its answer, with their transfer times."""
        sent = self.clock.wall()
        self.service += there_s
        date = formatdate(int(self.service), usegmt=True)
        self.service += back_s
        self.clock.learn(date, sent)

    @property
    def error(self) -> float:
        return self.clock.now() - self.service


@pytest.mark.parametrize("date", [None, "", "now", "Thu, 99 Foo 2026 00:00:00 GMT", "0"])
def test_a_missing_or_invalid_date_changes_nothing(date: str | None) -> None:
    clock = ServiceClock(lambda: 5.0)
    clock.learn(date, 4.9)
    assert (clock.known, clock.now()) == (False, 5.0)


@given(st.floats(-0.05, 0.05), st.integers(0, 2**32))
def test_clocks_that_agree_have_no_offset(ahead: float, seed: int) -> None:
    """A Date is rounded down to seconds and an answer takes time: neither causes an offset."""
    draw, machine = random.Random(seed), Machine(ahead)
    for _ in range(20):
        machine.ask(0.06 + draw.random(), 0.06 + draw.random() * 3)
        machine.service += draw.random()
    assert machine.clock.offset_s == 0.0


@given(st.sampled_from([-1.0, 1.0]), st.floats(3.0, 1e6), st.integers(0, 2**32))
def test_a_wrong_clock_is_corrected_more_precisely_with_every_answer(
    sign: float, off: float, seed: int
) -> None:
    """One answer limits the error to a second; 200 limit it to the duration of an answer."""
    draw, machine = random.Random(seed), Machine(sign * off)
    machine.ask(0.01, 0.01)
    assert abs(machine.error) < 1.1
    for _ in range(200):
        machine.ask(0.01, 0.01)
        machine.service += draw.random() * 0.05
    assert abs(machine.error) < 0.1


def test_a_clock_change_is_detected() -> None:
    """An hour forward, then back: the next answer shows it."""
    machine = Machine(0.0)
    machine.ask(0.01, 0.01)
    for ahead in (3_600.0, 0.0, -7_200.0):
        machine.ahead = ahead
        machine.ask(0.01, 0.01)
        assert abs(machine.error) < 1.1
        assert machine.clock.known
