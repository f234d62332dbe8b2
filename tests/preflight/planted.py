"""Cases with a planted problem: the table and its consumers, and the findings that a check must have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refire_async.model.finding import Finding
from tests.preflight.harness import Consumers, Harness

BIG = {"ItemCount": 10_000_000, "TableSizeBytes": 10_000_000_000}


def provisioned(write: int, **more: Any) -> dict[str, Any]:
    units = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": write}
    return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units, **more}


def index(
    name: str = "by-day",
    *,
    key: str = "day",
    write: int | None = None,
    most: int | None = None,
    keys_only: bool = False,
) -> Any:
    made: dict[str, Any] = {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY" if keys_only else "ALL"},
    }
    if write is not None:
        made["ProvisionedThroughput"] = {"ReadCapacityUnits": 10, "WriteCapacityUnits": write}
    if most is not None:
        made["OnDemandThroughput"] = {"MaxWriteRequestUnits": most}
    return made


def indexed(by: Any, kind: str = "S") -> dict[str, Any]:
    key = by["KeySchema"][0]["AttributeName"]
    types = {"pk": "S", key: kind}
    return {
        "GlobalSecondaryIndexes": [by],
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
    }


@dataclass(frozen=True)
class Planted:
    """A change to a healthy table, and every stop and warning that a check must find, or the note that it must."""

    name: str
    plant: Callable[[Harness], Any]
    found: tuple[str, ...] = ()
    note: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    asks: bool = False
    listened: bool = True
    """Whether a healthy function is mapped to the stream, if other services are queried."""


async def found_in(planted: Planted, consumers: Consumers) -> list[Finding]:
    harness = Harness(consumers if planted.asks else None, **planted.spec)
    harness.fill()
    if planted.asks and planted.listened:
        harness.consumer(MaximumRetryAttempts=5)
    planted.plant(harness)
    before = harness.db.items(harness.name)
    found = await harness.check()
    assert harness.db.items(harness.name) == before
    assert "PutItem" not in harness.db.calls
    return found
