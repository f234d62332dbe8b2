"""The capacity of a table from its description, and the ceilings of a run's budgets. Pure."""

from dataclasses import dataclass, field

from refire_async.model.capacity import TABLE, partitions_needed
from refire_async.model.table import BillingMode, Table, Throughput
from refire_async.settings import Budget

NEW_ON_DEMAND_WRITE = 4_000.0
NEW_ON_DEMAND_READ = 12_000.0
"""Units per second that a new on-demand table serves (DynamoDB Developer Guide: On-demand capacity mode)."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Units per second by resource for writes (`TABLE` and global index names), for reads, and what bounds the writes.

    `capacity` is the whole write capacity of the same resources; `write` is the part that the run may consume.
    """

    write: dict[str, float]
    read: float
    bound_by: str
    capacity: dict[str, float] = field(default_factory=dict)

    @property
    def indexes(self) -> dict[str, float]:
        """Units per second for writes of the global indexes alone."""
        return {name: units for name, units in self.write.items() if name != TABLE}

    @property
    def scarcest_write(self) -> float:
        """Write units per second of the scarcest resource, which limits the touches."""
        return min(self.write.values())


def write_capacity(throughput: Throughput, billing: BillingMode, growth: float = 1.0) -> float:
    """Write units per second that a table or global index grants.

    `growth` is the assumed capacity as a multiple of a new on-demand table's, if the description states none.
    """
    if billing == "PROVISIONED":
        return throughput.provisioned_write or 1.0
    return throughput.maximum_write or throughput.warm_write or NEW_ON_DEMAND_WRITE * growth


def read_capacity(throughput: Throughput, billing: BillingMode, growth: float = 1.0) -> float:
    """Read units per second that a table or global index grants; `growth` as in `write_capacity`."""
    if billing == "PROVISIONED":
        return throughput.provisioned_read or 1.0
    return throughput.maximum_read or throughput.warm_read or NEW_ON_DEMAND_READ * growth


def is_guessed(throughput: Throughput, billing: BillingMode) -> bool:
    """Whether the description does not state the write capacity, so that a new on-demand table is assumed."""
    return billing != "PROVISIONED" and not (throughput.maximum_write or throughput.warm_write)


def partitions_of_capacity(table: Table) -> int:
    """The fewest partitions that the table's capacity needs, according to its description.

    An on-demand maximum does not reduce the number of partitions.
    """
    described, on_demand = table.throughput, table.billing != "PROVISIONED"
    write = max(
        described.provisioned_write or 0.0,
        described.warm_write or (NEW_ON_DEMAND_WRITE if on_demand else 0.0),
    )
    read = max(
        described.provisioned_read or 0.0, described.warm_read or (NEW_ON_DEMAND_READ if on_demand else 0.0)
    )
    return partitions_needed(write, read)


def partitions(table: Table) -> int:
    """The fewest partitions that the table's capacity and its size need."""
    return max(partitions_of_capacity(table), partitions_needed(0.0, 0.0, table.size_bytes))


def ceilings(
    table: Table,
    marker_attribute: str,
    budget: Budget,
    read_index: str | None = None,
    *,
    growth: float = 1.0,
) -> Ceilings:
    """The highest rates of a run: the limits that the user set, else a share of the capacity.

    The table and every global index that projects the marker limit writes, each with its own capacity; the capacity of
    `read_index` (None: the table), which the run reads, limits reads. `growth` as in `write_capacity`.
    """
    share = budget.wcu_percent / 100.0
    capacities = {TABLE: write_capacity(table.throughput, table.billing, growth)}
    for index in table.indexes:
        if index.scope == "global" and index.projects(marker_attribute, table.keys):
            capacities[index.name] = write_capacity(index.throughput, table.billing, growth)
    if budget.max_wcu is None:
        write = {name: capacity * share for name, capacity in capacities.items()}
    else:
        # --max-wcu applies to the table. An index is limited by its own capacity.
        write = {name: min(budget.max_wcu, capacity) for name, capacity in capacities.items()}
        write[TABLE] = budget.max_wcu
    source = table.index(read_index) if read_index else None
    of_index = source is not None and source.scope == "global"
    throughput = source.throughput if source is not None and of_index else table.throughput
    read = budget.max_rcu or read_capacity(throughput, table.billing, growth) * share
    return Ceilings(write, read, _bound_by(table, budget, write), capacities)


def _bound_by(table: Table, budget: Budget, write: dict[str, float]) -> str:
    scarcest = min(write, key=lambda name: write[name])
    if scarcest != TABLE:
        return f"index {scarcest}"
    set_by = f" ({budget.set_by})" if budget.set_by else ""
    if budget.max_wcu is not None:
        return f"{budget.max_wcu:g} WCU/s{set_by}" if set_by else "--max-wcu"
    mode = "provisioned" if table.billing == "PROVISIONED" else "on-demand"
    return f"{budget.wcu_percent:g}% of the table's {mode} capacity{set_by}"
