"""The line of text that states how much a run may consume, and why."""

from dataclasses import replace

import pytest

from refire_async.model.capacity import TABLE
from refire_async.model.keys import KeySchema
from refire_async.model.table import Index, Throughput
from refire_async.pacing.describe import budget_line
from refire_async.pacing.governor import Governor
from refire_async.settings import Budget
from tests.pacing.test_governor import PLAIN

ON_DEMAND = replace(PLAIN, billing="PAY_PER_REQUEST", throughput=Throughput())
BY_DAY = Index("by-day", "global", KeySchema("g", "S"), "ALL", throughput=Throughput(50.0, 250.0))
NEW = "what a new table serves; more while nothing throttles"
INDEXED = replace(PLAIN, indexes=(BY_DAY,))


@pytest.mark.parametrize(
    ("table", "budget", "line"),
    [
        (PLAIN, Budget(), "800 WCU/s: 80% of the table's provisioned capacity (1,000 WCU/s)"),
        (PLAIN, Budget(max_wcu=2_500.0), "2,500 WCU/s: --max-wcu"),
        (PLAIN, Budget(max_wcu=12.5, max_rate=5.0), "12.5 WCU/s: --max-wcu; at most 5 items/s"),
        (
            INDEXED,
            Budget(),
            "200 WCU/s: bounded by index by-day, 80% of its 250 WCU/s; the table alone would allow 800 WCU/s",
        ),
        (
            INDEXED,
            Budget(max_wcu=600.0),
            "250 WCU/s: bounded by index by-day, its 250 WCU/s; the table alone would allow 600 WCU/s",
        ),
        (
            ON_DEMAND,
            Budget(),
            f"3,200 WCU/s: 80% of the table's on-demand capacity (4,000 WCU/s, {NEW})",
        ),
        (
            replace(ON_DEMAND, throughput=Throughput(warm_write=9_000.0)),
            Budget(),
            "7,200 WCU/s: 80% of the table's on-demand capacity (9,000 WCU/s, its warm throughput)",
        ),
        (
            replace(ON_DEMAND, throughput=Throughput(warm_write=9_000.0, maximum_write=100.0)),
            Budget(wcu_percent=50.0),
            "50 WCU/s: 50% of the table's on-demand capacity (100 WCU/s, its maximum)",
        ),
    ],
)
def test_the_line_states_amount_and_reason(table: object, budget: Budget, line: str):
    rate_limits = Governor(table, "revision", budget).rate_limits  # type: ignore[arg-type]
    assert budget_line(rate_limits, table, budget, {}) == line  # type: ignore[arg-type]


def test_a_limit_source_below_the_budget_is_the_reason():
    governor = Governor(PLAIN, "revision", Budget())
    governor.limit("headroom", share=0.25, why="live writes")
    assert budget_line(governor.rate_limits, PLAIN, Budget(), {}) == "200 WCU/s: live writes"
    governor.limit("overrides", share=0.0, why="the timetable")
    assert budget_line(governor.rate_limits, PLAIN, Budget(), {}) == "paused: the timetable"


@pytest.mark.parametrize(
    ("scaled_to", "most"),
    [
        ({TABLE: 4_000.0, "by-day": 1_000.0}, "800"),
        ({TABLE: 4_000.0, "by-day": 9_000.0}, "3,200"),
        ({"by-day": 9_000.0}, "800"),
    ],
)
def test_the_line_states_how_far_autoscaling_may_raise_the_budget(scaled_to: dict[str, float], most: str):
    """Up to the scarcest resource after scaling."""
    rate_limits = Governor(INDEXED, "revision", Budget()).rate_limits
    line = budget_line(rate_limits, INDEXED, Budget(), scaled_to)
    assert line.endswith(f"; autoscaling may raise it to {most} WCU/s")


@pytest.mark.parametrize("scaled_to", [{}, {TABLE: 4_000.0}, {TABLE: 500.0, "by-day": 200.0}])
def test_autoscaling_that_cannot_raise_it_is_not_mentioned(scaled_to: dict[str, float]):
    rate_limits = Governor(INDEXED, "revision", Budget()).rate_limits
    assert "autoscaling" not in budget_line(rate_limits, INDEXED, Budget(), scaled_to)
    fixed = Budget(max_wcu=100.0)
    assert "autoscaling" not in budget_line(
        Governor(PLAIN, "revision", fixed).rate_limits, PLAIN, fixed, {TABLE: 9_000.0}
    )
