"""Whose word holds: the operator's over the timetable's over the options'."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.keys import KeySchema
from refire_async.model.table import Stream, Table, Throughput
from refire_async.pacing.governor import Steering
from refire_async.pacing.overrides import OPERATOR, TIMETABLE, Order, Orders, obey
from refire_async.pacing.rate import PAUSE, Rate
from refire_async.pacing.timetable import Ruling
from refire_async.settings import Budget

OPTIONS = Budget(wcu_percent=70.0, max_rate=9.0)
FIFTH = Ruling(Rate(percent=20.0), 5.0, "until 20:00 CET")
NIGHT = Ruling(PAUSE, 9.0, "until 08:00 CET")
NOTHING = Ruling(None, None, "")


def made() -> tuple[Orders, list[Order]]:
    carried_out: list[Order] = []
    return Orders(OPTIONS, carried_out.append), carried_out


def test_the_options_hold_where_nobody_says_anything() -> None:
    orders, carried_out = made()
    assert carried_out == [orders.order]
    assert (orders.order.budget, orders.order.by) == (OPTIONS, "options")


def test_the_timetable_rules_over_the_options() -> None:
    orders, _ = made()
    orders.timetable(FIFTH)
    budget = Budget(20.0, None, None, 9.0, "timetable until 20:00 CET")
    assert orders.order == Order(budget, TIMETABLE, "20% by timetable until 20:00 CET")
    orders.timetable(NIGHT)
    assert orders.order == Order(None, TIMETABLE, "paused by timetable until 08:00 CET")
    orders.timetable(NOTHING)
    assert orders.order.budget == OPTIONS


def test_the_operator_rules_over_the_timetable() -> None:
    """Also over its pauses, until `automatic`."""
    orders, _ = made()
    orders.timetable(NIGHT)
    orders.set_rate(Rate(wcu=3_000.0))
    assert orders.order == Order(Budget(70.0, 3_000.0, None, 9.0, OPERATOR), OPERATOR, "3000 by refire rate")
    orders.timetable(FIFTH)
    assert orders.order.by == OPERATOR
    orders.automatic()
    assert orders.order.by == TIMETABLE


def test_a_pause_of_the_operator_is_taken_back_by_resume() -> None:
    """What they had set before holds again; a new rate ends a pause too."""
    orders, _ = made()
    orders.set_rate(Rate(wcu=300.0))
    orders.set_rate(PAUSE)
    assert orders.order == Order(None, OPERATOR, "paused by refire rate")
    orders.resume()
    assert orders.order.said == "300 by refire rate"
    orders.set_rate(PAUSE)
    orders.set_rate(Rate(percent=5.0))
    assert orders.order.said == "5% by refire rate"


def test_a_pause_of_the_timetable_is_not_the_operators_to_resume() -> None:
    """`resume` takes back what `pause` did. To run at night all the same is to say how fast."""
    orders, _ = made()
    orders.timetable(NIGHT)
    orders.resume()
    assert orders.order.budget is None


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
def test_steering_does_what_holds(steps: list[object]) -> None:
    """After any sequence; each order is carried out once."""
    keys = KeySchema("pk", "S")
    capacity = Throughput(provisioned_read=100.0, provisioned_write=1_000.0)
    stream = Stream(enabled=True)
    table = Table("t", "arn", "id", "ACTIVE", keys, "PROVISIONED", capacity, (), stream, 0, 0)
    steering = Steering(table, "revision", OPTIONS)
    carried_out: list[Order] = []
    carry_out = obey(steering)
    orders = Orders(OPTIONS, lambda order: (carried_out.append(order), carry_out(order))[0])
    for step in steps:
        step(orders)  # type: ignore[operator]
        order = orders.order
        assert carried_out[-1] == order
        assert steering.target.paused == (order.budget is None)
        if order.budget is not None:
            assert steering.budget == order.budget
            assert steering.target.wcu == 10.0 * order.budget.wcu_percent
    assert all(one != other for one, other in itertools.pairwise(carried_out))
