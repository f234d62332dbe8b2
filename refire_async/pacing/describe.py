"""Describe the budget of a run in one line of text. Pure."""

from collections.abc import Mapping

from refire_async.model.capacity import TABLE
from refire_async.model.table import BillingMode, Table, Throughput
from refire_async.pacing.governor import RateLimits
from refire_async.settings import Budget


def budget_line(rate_limits: RateLimits, table: Table, budget: Budget, scaled_to: Mapping[str, float]) -> str:
    """For example `800 WCU/s: 80% of the table's provisioned capacity (1,000 WCU/s)`.

    `scaled_to` is the known MaxCapacity of autoscaling by resource.
    """
    if rate_limits.paused:
        return f"paused: {rate_limits.why}"
    limits = rate_limits.ceilings
    scarcest = min(limits.write, key=lambda name: limits.write[name])
    parts = [f"{_units(rate_limits.scarcest_write)} WCU/s: {_reason(rate_limits, scarcest, table, budget)}"]
    if scarcest != TABLE:
        parts.append(f"the table alone would allow {_units(rate_limits.wcu)} WCU/s")
    most = _most(rate_limits, budget, scaled_to)
    if most is not None:
        parts.append(f"autoscaling may raise it to {_units(most)} WCU/s")
    if rate_limits.max_rate is not None:
        parts.append(f"at most {_units(rate_limits.max_rate)} items/s")
    return "; ".join(parts)


def _reason(rate_limits: RateLimits, scarcest: str, table: Table, budget: Budget) -> str:
    limits = rate_limits.ceilings
    if rate_limits.why != limits.bound_by:
        return rate_limits.why  # set by a limit source
    capacity = limits.capacity[scarcest]
    if scarcest != TABLE:
        share = f"{budget.wcu_percent:g}% of " if limits.write[scarcest] < capacity else ""
        return f"bounded by {limits.bound_by}, {share}its {_units(capacity)} WCU/s"
    if budget.max_wcu is not None:
        return rate_limits.why
    return f"{rate_limits.why} ({_units(capacity)} WCU/s{_origin(table.throughput, table.billing)})"


def _origin(throughput: Throughput, billing: BillingMode) -> str:
    if billing == "PROVISIONED":
        return ""
    if throughput.maximum_write:
        return ", its maximum"
    if throughput.warm_write:
        return ", its warm throughput"
    return ", what a new table serves; more while nothing throttles"


def _most(rate_limits: RateLimits, budget: Budget, scaled_to: Mapping[str, float]) -> float | None:
    """The budget after autoscaling to its maximum; None if that is no more than now."""
    if budget.max_wcu is not None:
        return None
    share = budget.wcu_percent / 100.0 * rate_limits.share
    capacity = rate_limits.ceilings.capacity
    most = min(max(have, scaled_to.get(name, 0.0)) for name, have in capacity.items()) * share
    return most if most > rate_limits.scarcest_write * 1.001 else None


def _units(number: float) -> str:
    return f"{number:,.4g}" if number < 1_000 else f"{number:,.0f}"
