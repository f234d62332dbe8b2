"""The rough items, time and price of a run, for the questions before its first write and after a canary. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from refire_async.model.table import Table
from refire_async.model.units import WCU_BYTES
from refire_async.planning.forecast.cost import Cost, cost
from refire_async.planning.forecast.duration import Rates, duration
from refire_async.planning.forecast.load import Load, units_of


@dataclass(frozen=True, slots=True)
class Outlook:
    """About `items` of `table` in `seconds`, for `price`; all None if the number of items is unknown."""

    table: str
    items: int | None
    seconds: float | None
    price: Cost | None


def look_ahead(
    table: Table, write: Mapping[str, float], items: int | None, max_rate: float | None
) -> Outlook:
    """The outlook at `write` units per second of the table and of its indexes, from the table's description.

    The description is up to six hours old (API: TableDescription). Assumes items of mean size, and indexes that project
    all attributes; leaves out reads.
    """
    if items is None:
        return Outlook(table.name, None, None, None)
    size = table.size_bytes / table.item_count if table.item_count else float(WCU_BYTES)
    each = units_of(size)
    load = Load(items=items, item_bytes=0.0, item_wcu=dict.fromkeys(write, each), rcu=0.0)
    took = duration(load, Rates(write, 1.0, max_rate)) if items else None
    price = cost(load.wcu, 0.0, table.billing, regions=1 + len(table.replicas))
    return Outlook(table.name, items, 0.0 if took is None else took.seconds, price)
