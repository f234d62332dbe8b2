"""Time and cost of a run from its dry run: with indexes, replicas, and provisioned capacity."""

import pytest

from refire_async.model.capacity import TABLE
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.table import BillingMode, Index, Table
from refire_async.planning.forecast.dry_run import price_dry_run
from refire_async.planning.forecast.duration import Rates
from tests.support.table_descriptions import described_table

INDEXES = (
    Index("g", "global", IndexKeys((("g", "S"),)), "ALL"),
    Index("l", "local", IndexKeys((("pk", "S"),), (("l", "S"),)), "ALL"),
    Index("free", "global", IndexKeys((("g", "S"),)), "KEYS_ONLY"),
)


def table(billing: BillingMode, replicas: tuple[str, ...] = ()) -> Table:
    keys = KeySchema("pk", "S", "sk", "S")
    return described_table(keys=keys, billing=billing, indexes=INDEXES, replicas=replicas)


def test_indexes_with_the_marker_cost_and_limit_the_run():
    """Two units per item: twice for the table with its local index, once for the global one, none for the third."""
    pace = Rates({TABLE: 1_000.0, "g": 100.0}, 1_000.0)
    found = price_dry_run(
        table("PAY_PER_REQUEST"), "revision", pace, items=1_000_000, table_wcu=2e6, rcu=1e6, more=False
    )
    assert found.wcu == 6e6
    assert (found.seconds, found.bound_by) == (pytest.approx(20_000.0), "index g")
    assert found.cost_usd == pytest.approx(6 * 0.625 + 0.125)
    assert found.extra_cost


def test_every_region_costs_and_provisioned_capacity_is_not_extra():
    pace = Rates({TABLE: 1_000.0, "g": 1_000.0}, 1.0)
    once = price_dry_run(
        table("PROVISIONED"), "revision", pace, items=1, table_wcu=3_600.0, rcu=0.0, more=True
    )
    twice = price_dry_run(
        table("PROVISIONED", ("us-east-1",)), "revision", pace, items=1, table_wcu=3_600.0, rcu=0.0, more=True
    )
    assert once.cost_usd == pytest.approx(3 * 0.00065)
    assert twice.cost_usd == pytest.approx(2 * once.cost_usd)
    assert not once.extra_cost
    assert once.more


def test_nothing_to_touch():
    pace = Rates({TABLE: 1_000.0, "g": 100.0}, 10.0, 5.0)
    found = price_dry_run(table("PROVISIONED"), "r", pace, items=0, table_wcu=0.0, rcu=20.0, more=False)
    assert (found.wcu, found.seconds, found.bound_by) == (0.0, 2.0, "the read budget")
