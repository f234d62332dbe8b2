"""Precedence: the operator overrides the timetable, which overrides the options."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.table import Throughput
from refire_async.pacing.governor import Governor
from refire_async.pacing.overrides import OPERATOR, TIMETABLE, Override, Overrides, apply_to
from refire_async.pacing.rate import PAUSE, Rate
from refire_async.pacing.timetable import ScheduledRate
from refire_async.settings import Budget
from tests.support.table_descriptions import described_table

OPTIONS = Budget(wcu_percent=70.0, max_rate=9.0)
FIFTH = ScheduledRate(Rate(percent=20.0), 5.0, "until 20:00 CET")
NIGHT = ScheduledRate(PAUSE, 9.0, "until 08:00 CET")
NOTHING = ScheduledRate(None, None, "")


def made() -> tuple[Overrides, list[Override]]:
    applied: list[Override] = []
    return Overrides(OPTIONS, applied.append), applied


def test_the_options_apply_without_an_override() -> None:
    overrides, applied = made()
    assert applied == [overrides.override]
    assert (overrides.override.budget, overrides.override.by) == (OPTIONS, "options")


def test_the_timetable_overrides_the_options() -> None:
    overrides, _ = made()
    overrides.timetable(FIFTH)
    budget = Budget(
        wcu_percent=20.0, max_wcu=None, max_rcu=None, max_rate=9.0, set_by="timetable until 20:00 CET"
    )
    assert overrides.override == Override(budget, TIMETABLE, "20% by timetable until 20:00 CET")
    overrides.timetable(NIGHT)
    assert overrides.override == Override(None, TIMETABLE, "paused by timetable until 08:00 CET")
    overrides.timetable(NOTHING)
    assert overrides.override.budget == OPTIONS


def test_the_operator_overrides_the_timetable() -> None:
    """Including its pauses, until `automatic`."""
    overrides, _ = made()
    overrides.timetable(NIGHT)
    overrides.set_rate(Rate(wcu=3_000.0))
    assert overrides.override == Override(
        Budget(wcu_percent=70.0, max_wcu=3_000.0, max_rcu=None, max_rate=9.0, set_by=OPERATOR),
        OPERATOR,
        "3000 by refire rate",
    )
    overrides.timetable(FIFTH)
    assert overrides.override.by == OPERATOR
    overrides.automatic()
    assert overrides.override.by == TIMETABLE


def test_resume_ends_a_pause_of_the_operator() -> None:
    """The earlier rate of the operator applies again; a new rate ends a pause too."""
    overrides, _ = made()
    overrides.set_rate(Rate(wcu=300.0))
    overrides.set_rate(PAUSE)
    assert overrides.override == Override(None, OPERATOR, "paused by refire rate")
    overrides.resume()
    assert overrides.override.description == "300 by refire rate"
    overrides.set_rate(PAUSE)
    overrides.set_rate(Rate(percent=5.0))
    assert overrides.override.description == "5% by refire rate"


def test_resume_does_not_end_a_pause_of_the_timetable() -> None:
    """`resume` only ends `pause`. To run in such a pause, the operator sets a rate."""
    overrides, _ = made()
    overrides.timetable(NIGHT)
    overrides.resume()
    assert overrides.override.budget is None


acts = st.sampled_from(
    [
        lambda o: o.timetable(FIFTH),
        lambda o: o.timetable(NIGHT),
        lambda o: o.timetable(NOTHING),
        lambda o: o.set_rate(PAUSE),
        lambda o: o.set_rate(Rate(percent=50.0)),
        lambda o: o.resume(),
        lambda o: o.automatic(),
    ]
)


@given(st.lists(acts, max_size=30))
def test_the_governor_follows_the_current_override(steps: list[object]) -> None:
    """After any sequence; each override is applied once."""
    capacity = Throughput(provisioned_read=100.0, provisioned_write=1_000.0)
    governor = Governor(described_table(throughput=capacity), "revision", OPTIONS)
    applied: list[Override] = []
    apply = apply_to(governor)
    overrides = Overrides(OPTIONS, lambda override: (applied.append(override), apply(override))[0])
    for step in steps:
        step(overrides)  # type: ignore[operator]
        override = overrides.override
        assert applied[-1] == override
        assert governor.rate_limits.paused == (override.budget is None)
        if override.budget is not None:
            assert governor.budget == override.budget
            assert governor.rate_limits.wcu == 10.0 * override.budget.wcu_percent
    assert all(one != other for one, other in itertools.pairwise(applied))
