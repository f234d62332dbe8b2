"""What probes cost at the most, and a meter that stops them there. Pure."""

from dataclasses import dataclass, fields

_PRICES = {
    "writes": 0.625e-6,
    "reads": 0.125e-6,
    "stream_reads": 0.2e-6,
    "provisioned_unit_hours": 0.00065,
    "invocations": 0.2e-6 + 128 / 1024 * 3 * 0.0000166667,
    "queue_requests": 0.4e-6,
    "object_requests": 5e-6,
    "export_gb": 0.10,
    "backup_gb_months": 0.20,
}
"""Dollars of a unit in us-east-1 (AWS Price List, 2026-07): a write and read request unit, a GetRecords call, a write
unit of provisioned capacity for an hour (a read unit costs less), an invocation of at most 3 s with 128 MB, a request
to SQS, a PUT or LIST of S3, an exported GB, a GB of point-in-time recovery for a month."""

DEAREST_REGION = 2.0
"""Factor: no region asks for more than this in place of the prices above (São Paulo: about 1.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Upper bounds of what a probe consumes."""

    writes: int = 40
    reads: int = 40
    stream_reads: int = 150
    provisioned_unit_hours: float = 0.0
    invocations: int = 0
    queue_requests: int = 0
    object_requests: int = 0
    export_gb: float = 0.0
    backup_gb_months: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(Cost)}
        )

    @property
    def dollars(self) -> float:
        """The bound in US dollars, in the dearest region."""
        return DEAREST_REGION * sum(getattr(self, name) * price for name, price in _PRICES.items())


NOTHING = Cost(writes=0, reads=0, stream_reads=0)


def total(costs: "list[Cost]") -> Cost:
    """The sum of the bounds."""
    return sum(costs, start=NOTHING)


class TooDearError(Exception):
    """The meter has reached its bound."""


class Meter:
    """Adds up what requests cost. `limit` in dollars."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.dollars = 0.0

    def add(self, **units: float) -> None:
        """Count units by the names of `Cost`. Raises TooDearError once the bound is reached."""
        self.dollars += DEAREST_REGION * sum(_PRICES[name] * number for name, number in units.items())
        self.check()

    def check(self) -> None:
        """Raises TooDearError if the bound is reached."""
        if self.dollars >= self.limit:
            raise TooDearError(f"stopped at ${self.dollars:.4f}, the bound of --max-dollars")
