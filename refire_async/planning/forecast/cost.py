"""The cost of a run in US dollars. Pure; prices are data with a date."""

from dataclasses import dataclass, fields
from typing import Any

from refire_async.errors import UsageError
from refire_async.model.table import BillingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars for a million request units, an hour of one provisioned unit, and a million Lambda requests.

    The defaults are those of us-east-1, Standard table class, in AWS's Price List of 2026-07-30. Lambda reads streams
    free of charge (DynamoDB Developer Guide: Evaluate your Streams usage); the functions' run time is not included.

    Of a delivery: a million GB-seconds of a function's run time (x86) and a million calls of GetRecords, of which the
    first 2.5 million of a month are free.

    Of a run on several machines: a million PUT requests of S3, an hour of a vCPU and of a GB on Fargate (Linux, x86)
    and on EMR Serverless (x86), and of a DPU of Glue. These are the list prices of us-east-1 on the services' pricing
    pages, as quoted in 2026; the price of a DPU does not depend on Glue's version.
    """

    write_million: float = 0.625
    read_million: float = 0.125
    write_hour: float = 0.00065
    read_hour: float = 0.00013
    lambda_million: float = 0.20
    lambda_gb_second_million: float = 16.6667
    stream_read_million: float = 0.20
    put_million: float = 5.0
    fargate_vcpu_hour: float = 0.04048
    fargate_gb_hour: float = 0.004445
    emr_vcpu_hour: float = 0.052624
    emr_gb_hour: float = 0.0057785
    glue_dpu_hour: float = 0.44
    region: str = "us-east-1"
    date: str = "2026-07-30"


DEFAULT_PRICES = Prices()


def parse_prices(data: Any) -> Prices:
    """Prices from a JSON object with some or all of the fields of `Prices`. Raises UsageError that names the field."""
    if not isinstance(data, dict):
        raise UsageError("the prices are not a JSON object", 'for example {"write_million": 0.725}')
    known = {field.name: field.type for field in fields(Prices)}
    for name, value in data.items():
        if name not in known:
            raise UsageError(f"prices: {name!r} is not known", f"use {', '.join(known)}")
        is_text = name in ("region", "date")
        if is_text and not isinstance(value, str):
            raise UsageError(f"prices: {name} is not text", "write it in quotes")
        if not is_text and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9
        ):
            raise UsageError(f"prices: {name} is not a price", "give US dollars as a number")
    # Given prices do not have the region and date of the defaults.
    base = {"region": "as given", "date": "as given"}
    return Prices(**{**base, **data})


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars. `extra` is false if the consumed capacity is paid for by the hour anyway."""

    writes: float
    reads: float
    consumers: float
    extra: bool

    @property
    def total(self) -> float:
        """The sum."""
        return self.writes + self.reads + self.consumers


def cost(
    wcu: float,
    rcu: float,
    billing: BillingMode,
    *,
    prices: Prices = DEFAULT_PRICES,
    lambda_requests: float = 0.0,
    regions: int = 1,
) -> Cost:
    """The cost of these units for a table in `regions` regions, each of which has the writes and its own consumers."""
    consumers = lambda_requests * regions * prices.lambda_million / 1e6
    if billing == "PROVISIONED":
        writes = wcu * regions / 3600.0 * prices.write_hour
        return Cost(writes, rcu / 3600.0 * prices.read_hour, consumers, extra=False)
    writes = wcu * regions * prices.write_million / 1e6
    return Cost(writes, rcu * prices.read_million / 1e6, consumers, extra=True)
