"""Tasks, workers, limits and price of a run on several machines."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.model.capacity import TABLE
from refire_async.planning.forecast.cost import DEFAULT_PRICES, Prices
from refire_async.planning.forecast.duration import Rates
from refire_async.planning.forecast.fleet import (
    PLACES,
    Fleet,
    choose_fleet,
    fleet_cost,
    process_rate,
    store_rate,
    task_rate,
)
from refire_async.planning.forecast.load import Load
from refire_async.planning.forecast.plan import ONE_PROCESS, ConsumerRate, Plan, Settings, make_plan
from refire_async.settings import FleetPlace, FleetSettings

BUDGET = "the table's capacity"


def plan_at(wcu: float, fleet: FleetSettings | None, *, item_wcu: float = 1.0) -> Plan:
    """The plan of 4,000,000,000 items at `wcu` units per second, all of the table's."""
    load = Load(items=4_000_000_000, item_bytes=900.0, item_wcu={TABLE: item_wcu}, rcu=0.0)
    rates = Rates({TABLE: wcu}, wcu, None, BUDGET)
    return make_plan(
        load,
        rates,
        rates,
        billing="PROVISIONED",
        shards=100,
        settings=Settings(32, 8, wcu, None),
        consumers=ConsumerRate(),
        fleet_settings=fleet,
    )


@pytest.mark.parametrize(
    ("wcu", "tasks", "workers", "archive", "bound_by"),
    [
        (20_000, 1, 2, False, BUDGET),
        (40_000, 2, 2, False, BUDGET),
        (100_000, 5, 3, False, BUDGET),
        (400_000, 20, 6, False, BUDGET),
        (1_000_000, 50, 14, True, BUDGET),
        (4_000_000, 200, 51, True, BUDGET),
    ],
)
def test_a_task_per_20_000_units(wcu: int, tasks: int, workers: int, archive: bool, bound_by: str) -> None:
    """On Glue four tasks share a worker, and one more worker is the driver. The budget stays the limit up to 4,000,000
    units: the tasks have CPU in hand, and pages go to S3 where one table could not take them."""
    plan = plan_at(wcu, FleetSettings(on="glue"))
    assert plan.fleet == Fleet(tasks, "glue", archive)
    assert (plan.fleet.workers, plan.duration.bound_by) == (workers, bound_by)


def test_too_few_tasks_are_the_limit() -> None:
    plan = plan_at(400_000, FleetSettings(on="ecs", tasks=3))
    assert plan.duration.bound_by == "the CPU of 3 tasks"
    assert plan.duration.seconds == pytest.approx(4e9 / (3 * task_rate()), rel=1e-3)
    # At other shares of the capacity as well: more capacity would not make it faster.
    assert plan.others[-1][1] == plan.duration.seconds


def test_large_items_need_less_cpu_and_a_smaller_store() -> None:
    """The same units in fewer items: neither the CPU nor the checkpoint table sees the difference in units."""
    plan = plan_at(4_000_000, FleetSettings(on="ecs"), item_wcu=10.0)
    assert plan.fleet == Fleet(200, "ecs", archive=False)
    assert plan.duration.bound_by == BUDGET


def test_one_machine_says_when_it_is_the_limit() -> None:
    assert plan_at(80_000, None).duration.bound_by == BUDGET
    plan = plan_at(400_000, None)
    assert plan.duration.bound_by == ONE_PROCESS
    assert plan.duration.seconds == pytest.approx(4e9 / process_rate(), rel=1e-3)
    assert "cluster" not in plan.to_json()


@pytest.mark.parametrize(
    ("on", "hourly", "start_s"),
    [
        ("ecs", 8 * (0.04048 + 2 * 0.004445), 60),
        ("batch", 8 * (0.04048 + 2 * 0.004445), 120),
        ("glue", 3 * 0.44, 60),
        ("emr", 2 * (4 * 0.052624 + 8 * 0.0057785) + 2 * 0.052624 + 4 * 0.0057785, 120),
    ],
)
def test_the_price_of_eight_tasks_for_an_hour(on: FleetPlace, hourly: float, start_s: float) -> None:
    """By hand from the list prices, with the start of the workers, and 20 units of the checkpoint table per page."""
    cost = fleet_cost(Fleet(8, on, archive=False), 500_000, 3_600.0 - start_s, DEFAULT_PRICES)
    assert cost.seconds == 3_600.0
    assert cost.compute == pytest.approx(hourly)
    assert cost.store == pytest.approx(1_000 * 20 * 0.625 / 1e6)


def test_services_bill_a_minute_at_least() -> None:
    """Without a start there would be one second."""
    place = replace(PLACES["glue"], start_s=0.0)
    assert place.least_s == 60.0
    one = fleet_cost(Fleet(1, "glue", archive=False), 0, 0.0, Prices(glue_dpu_hour=60.0))
    assert one.compute == pytest.approx(2 * 60.0 * 60 / 3_600)


def test_own_machines_have_no_price() -> None:
    plan = plan_at(100_000, FleetSettings(tasks=4))
    assert plan.fleet == Fleet(4, None, archive=False)
    assert plan.fleet_cost is not None
    assert plan.fleet_cost.compute is None
    assert plan.to_json()["cluster"] == {
        "on": None,
        "tasks": 4,
        "workers": 4,
        "worker": None,
        "archive": False,
        "seconds": round(plan.duration.seconds, 1),
        "compute_usd": None,
        "checkpoint_usd": round(4e9 / 500 * 20 * 0.625 / 1e6, 4),
    }


@given(
    st.floats(1, 1e7), st.floats(0, 1e7), st.none() | st.integers(1, 10_000), st.sampled_from(sorted(PLACES))
)
def test_pages_leave_the_table_only_where_it_would_be_the_limit(
    wcu: float, items: float, tasks: int | None, on: FleetPlace
) -> None:
    fleet = choose_fleet(wcu, items, tasks, on)
    wanted = min(items, fleet.tasks * task_rate())
    assert fleet.archive == (wanted > store_rate(20.0))
    assert fleet.tasks == (tasks or max(1, math.ceil(wcu / 20_000)))
    place = PLACES[on]
    assert (fleet.workers - place.drivers) * place.tasks >= fleet.tasks
