"""Numbers of the capacity model that can be set, with their defaults and where these come from."""

from __future__ import annotations

import dataclasses
from typing import Literal

ThrottleError = Literal[
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"
]


@dataclasses.dataclass(frozen=True, slots=True)
class CapacitySettings:
    """How a sandbox enforces capacity. Seconds, bytes and units a second; ``validate`` says what is wrong.

    ``burst_seconds``
        Unused provisioned throughput that is kept for later (Developer Guide: Burst and adaptive capacity:
        300). A bucket never holds less than one second of capacity. With 0, burst is off and buckets also
        start empty, so that a new table grants no more than its rate; otherwise they start full (what a new
        table of the service has at first is undocumented).
    ``split_after``
        Seconds of sustained heat after which a partition is split; None never splits for heat. The service's
        delay is undocumented; published load tests saw splits after about ten minutes (AWS Database Blog:
        Scaling DynamoDB, parts 1 and 2).
    ``split_heat``
        Share of a partition's write or read limit that counts as heat, as does any key-range throttling
        ("near its throughput capacity limit", Scaling DynamoDB, part 3; the share itself is undocumented).
    ``partition_write_units``, ``partition_read_units``
        What a partition can serve each second (Developer Guide: Key range throughput exceeded).
    ``partition_bytes``
        Size at which a partition is split (Scaling DynamoDB, part 3: 10 GB).
    ``on_demand_write_units``, ``on_demand_read_units``
        What a new on-demand table or index serves at once (Developer Guide: On-demand capacity mode).
    ``on_demand_growth_after``
        Seconds after which a new peak raises what an on-demand table serves at once to twice that peak
        (Developer Guide: On-demand capacity mode: exceeding twice the previous peak within 30 minutes may
        throttle).
    ``on_demand_peak_window``
        Seconds over which traffic is averaged to find its peak (undocumented).
    ``quota_write_units``, ``quota_read_units``
        Per-table quota of a Region, for each table and each index by itself (Developer Guide: Quotas). On-demand
        traffic above it is throttled with AccountLimitExceeded; any throughput can be provisioned, as if the quota
        had been raised.
    ``account_write_units``, ``account_read_units``
        What all provisioned tables and indexes of an account may add up to (Developer Guide: Quotas). DescribeLimits
        tells it; nothing enforces it.
    ``key_range_error``
        Exception type that carries KeyRangeThroughputExceeded. The Developer Guide's diagnosis page says
        ProvisionedThroughputExceededException, its GSI page and the BatchWriteItem API ThrottlingException.
        None: the former from provisioned tables, the latter from on-demand ones.
    ``account_limit_error``
        Exception type that carries AccountLimitExceeded: ThrottlingException on the GSI page,
        RequestLimitExceeded on the error page.
    """

    burst_seconds: float = 300.0
    split_after: float | None = 600.0
    split_heat: float = 0.9
    partition_write_units: float = 1000.0
    partition_read_units: float = 3000.0
    partition_bytes: int = 10 * 1024**3
    on_demand_write_units: float = 4000.0
    on_demand_read_units: float = 12000.0
    on_demand_growth_after: float = 1800.0
    on_demand_peak_window: float = 60.0
    quota_write_units: float = 40000.0
    quota_read_units: float = 40000.0
    account_write_units: float = 80000.0
    account_read_units: float = 80000.0
    key_range_error: ThrottleError | None = None
    account_limit_error: ThrottleError = "ThrottlingException"

    def with_growth_after(self, seconds: float) -> CapacitySettings:
        """On-demand capacity that grows ``seconds`` after a peak. The window is no longer than a fifth of that."""
        window = min(self.on_demand_peak_window, seconds / 5)
        return dataclasses.replace(self, on_demand_growth_after=seconds, on_demand_peak_window=window)

    def validate(self) -> CapacitySettings:
        """Return self, or raise ``ValueError`` with one line that names the setting and its bound."""
        if not 0 <= self.burst_seconds <= 86_400:
            raise ValueError(f"burst_seconds: {self.burst_seconds} is not between 0 and 86400")
        if self.split_after is not None and not self.split_after > 0:
            raise ValueError(
                f"split_after: {self.split_after} is not more than 0; leave it out to never split"
            )
        if not 0 < self.split_heat <= 1:
            raise ValueError(f"split_heat: {self.split_heat} is not a share above 0 and up to 1")
        for field in dataclasses.fields(self):
            if field.name.endswith(("_units", "_bytes", "_after", "_window")):
                value = getattr(self, field.name)
                if value is not None and not value > 0:
                    raise ValueError(f"{field.name}: {value} is not more than 0")
        return self
