"""The ceilings of the budgets, from a table's description."""

import pytest

from refire_async.model.capacity import TABLE
from refire_async.model.keys import KeySchema
from refire_async.model.table import BillingMode, Index, Table, Throughput
from refire_async.pacing.capacity import NEW_ON_DEMAND_READ, NEW_ON_DEMAND_WRITE, ceilings
from refire_async.settings import Budget
from tests.support.table_descriptions import described_table

PROVISIONED = Throughput(provisioned_read=400.0, provisioned_write=1_000.0)
ALL = Budget(wcu_percent=100.0)


def table(
    throughput: Throughput = PROVISIONED, billing: BillingMode = "PROVISIONED", *indexes: Index
) -> Table:
    return described_table(billing=billing, throughput=throughput, indexes=indexes)


def index(
    name: str, write: float, projection: str = "ALL", scope: str = "global", read: float = 50.0
) -> Index:
    throughput = Throughput(provisioned_read=read, provisioned_write=write)
    return Index(name, scope, KeySchema("g", "S"), projection, throughput=throughput)  # type: ignore[arg-type]


def test_a_share_of_provisioned_capacity():
    limits = ceilings(table(), "revision", Budget(wcu_percent=80.0))
    assert limits.write == {TABLE: 800.0}
    assert limits.read == 320.0
    assert limits.bound_by == "80% of the table's provisioned capacity"
    assert limits.scarcest_write == 800.0


@pytest.mark.parametrize(
    ("throughput", "write", "read"),
    [
        (Throughput(), NEW_ON_DEMAND_WRITE, NEW_ON_DEMAND_READ),
        (Throughput(warm_write=9_000.0, warm_read=20_000.0), 9_000.0, 20_000.0),
        (Throughput(warm_write=9_000.0, maximum_write=500.0, maximum_read=600.0), 500.0, 600.0),
        # DescribeTable of a table that was in provisioned mode before; these units are not its on-demand capacity.
        (Throughput(provisioned_write=5.0, provisioned_read=5.0), NEW_ON_DEMAND_WRITE, NEW_ON_DEMAND_READ),
    ],
)
def test_on_demand_capacity_is_the_maximum_else_the_warm_throughput_else_that_of_a_new_table(
    throughput: Throughput, write: float, read: float
):
    limits = ceilings(table(throughput, "PAY_PER_REQUEST"), "revision", ALL)
    assert limits.write == {TABLE: write}
    assert limits.read == read
    assert limits.bound_by == "100% of the table's on-demand capacity"


def test_each_global_index_that_projects_the_marker_has_a_ceiling_of_its_own():
    """Keys-only and local indexes have none: the first costs nothing, the second consumes the table's units."""
    indexes = (
        index("small", 100.0),
        index("keys", 1.0, "KEYS_ONLY"),
        index("other", 1.0, "INCLUDE"),
        index("local", 1.0, scope="local"),
    )
    limits = ceilings(table(PROVISIONED, "PROVISIONED", *indexes), "revision", Budget(wcu_percent=50.0))
    assert limits.write == {TABLE: 500.0, "small": 50.0}
    assert limits.bound_by == "index small"
    assert limits.scarcest_write == 50.0


def test_limits_of_the_user_override_the_share():
    limits = ceilings(table(), "revision", Budget(wcu_percent=10.0, max_wcu=5_000.0, max_rcu=7.0))
    assert limits.write == {TABLE: 5_000.0}
    assert limits.read == 7.0
    assert limits.bound_by == "--max-wcu"


@pytest.mark.parametrize(
    ("budget", "bound_by"),
    [
        (Budget(max_wcu=5.5, set_by="refire rate"), "5.5 WCU/s (refire rate)"),
        (Budget(wcu_percent=50.0, set_by="x"), "50% of the table's provisioned capacity (x)"),
    ],
)
def test_the_source_of_a_budget_other_than_the_options_is_named(budget: Budget, bound_by: str):
    assert ceilings(table(), "revision", budget).bound_by == bound_by


def test_the_capacity_of_an_index_limits_any_budget_of_the_user():
    limits = ceilings(
        table(PROVISIONED, "PROVISIONED", index("g", 30.0), index("h", 900.0)),
        "revision",
        Budget(max_wcu=500.0),
    )
    assert limits.write == {TABLE: 500.0, "g": 30.0, "h": 500.0}
    assert limits.bound_by == "index g"


def test_reads_consume_the_capacity_of_the_table_or_index_that_is_read():
    """A global index has its own, a local one has the table's."""
    indexes = (index("g", 100.0, read=50.0), index("l", 0.0, scope="local"))
    described = table(PROVISIONED, "PROVISIONED", *indexes)
    assert ceilings(described, "revision", ALL, "g").read == 50.0
    assert ceilings(described, "revision", ALL, "l").read == 400.0
    assert ceilings(described, "revision", ALL, None).read == 400.0


def test_a_table_without_numbers_has_at_least_one_unit():
    """A rate of 0 would wait without end."""
    limits = ceilings(table(Throughput()), "revision", ALL)
    assert limits.write == {TABLE: 1.0}
    assert limits.read == 1.0
