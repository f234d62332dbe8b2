"""Tables and consumers as tests plant them: what a table is made of, and what a check must find in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refire_async.model.finding import Finding
from tests.preflight.world import Consumers, World

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
    """What is planted in a healthy table, and every stop and warning that a check must find then, or `note`."""

    name: str
    plant: Callable[[World], Any]
    found: tuple[str, ...] = ()
    note: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    asks: bool = False
    listened: bool = True
    """Whether a healthy function is mapped to the stream, if other services are asked."""


async def found_in(planted: Planted, consumers: Consumers) -> list[Finding]:
    world = World(consumers if planted.asks else None, **planted.spec)
    world.fill()
    if planted.asks and planted.listened:
        world.consumer(MaximumRetryAttempts=5)
    planted.plant(world)
    before = world.db.items(world.name)
    found = await world.check()
    assert world.db.items(world.name) == before
    assert "PutItem" not in world.db.calls
    return found
