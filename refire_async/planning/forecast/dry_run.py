"""The units, time and cost of a run, from the results of its dry run. Pure."""

from refire_async.model.capacity import TABLE
from refire_async.model.run import DryRun
from refire_async.model.table import Table
from refire_async.planning.forecast.cost import cost
from refire_async.planning.forecast.duration import Rates, duration
from refire_async.planning.forecast.load import Load


def price_dry_run(
    table: Table, marker_attribute: str, rates: Rates, *, items: int, table_wcu: float, rcu: float, more: bool
) -> DryRun:
    """The forecast. `table_wcu` are the write units of the items without indexes, `rcu` the read units of the dry run.

    Assumes that an index entry is as large as its item; entries of an index that projects less cost no more.
    """
    each = table_wcu / items if items else 0.0
    touched = [index for index in table.indexes if index.projects(marker_attribute, table.keys)]
    locals_ = sum(index.scope == "local" for index in touched)
    item_wcu = {TABLE: each * (1 + locals_)}
    item_wcu |= {index.name: each for index in touched if index.scope == "global"}
    load = Load(items=items, item_bytes=0.0, item_wcu=item_wcu, rcu=rcu)
    takes = duration(load, rates)
    regions = 1 + len(table.replicas)
    costs = cost(load.wcu, rcu, table.billing, regions=regions)
    return DryRun(
        items=items,
        wcu=load.wcu,
        rcu=rcu,
        more=more,
        seconds=takes.seconds,
        bound_by=takes.bound_by,
        cost_usd=costs.total,
        extra_cost=costs.extra,
    )
