"""DescribeScalableTargets of Application Auto Scaling: the limits within which write capacity is scaled."""

from collections.abc import Iterable
from dataclasses import dataclass

from refire_async.aws.other_services import TIMEOUT_S, Services, UnansweredError, reading
from refire_async.model.capacity import TABLE

MAX_RESOURCE_IDS = 50
"""ResourceIds of one request (Application Auto Scaling API reference: DescribeScalableTargets)."""

START_TIMEOUT_S = 2.0
"""Seconds that the start of a run waits for an answer that only its log shows."""

_DIMENSIONS = ("dynamodb:table:WriteCapacityUnits", "dynamodb:index:WriteCapacityUnits")


@dataclass(frozen=True, slots=True)
class ScalableTarget:
    """MinCapacity and MaxCapacity (WCU/s) of `resource`: `TABLE` or the name of a global index."""

    resource: str
    min_wcu: int
    max_wcu: int


async def describe_scalable_writes(
    services: Services, table: str, resources: Iterable[str], timeout_s: float = TIMEOUT_S
) -> tuple[ScalableTarget, ...]:
    """The scalable targets of write capacity among `resources` (`TABLE` and names of global indexes).

    Raises:
        UnansweredError: the service did not answer within `timeout_s`, or its answer is incomplete.
    """
    ids = {resource_id(table, resource): resource for resource in resources}
    async with services.open("application-autoscaling", timeout_s) as client:
        answer = await client.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=list(ids)[:MAX_RESOURCE_IDS]
        )
    with reading("application-autoscaling"):
        return tuple(
            ScalableTarget(ids[target["ResourceId"]], int(target["MinCapacity"]), int(target["MaxCapacity"]))
            for target in answer.get("ScalableTargets", ())
            if target["ResourceId"] in ids and target["ScalableDimension"] in _DIMENSIONS
        )


def resource_id(table: str, resource: str) -> str:
    """The ResourceId, for example `table/orders` or `table/orders/index/by-day`."""
    return f"table/{table}" if resource == TABLE else f"table/{table}/index/{resource}"


async def max_scaled_writes(services: Services, table: str, resources: Iterable[str]) -> dict[str, float]:
    """MaxCapacity (WCU/s) by resource. Empty if the service does not answer; then the start line does not show it."""
    try:
        targets = await describe_scalable_writes(services, table, resources, START_TIMEOUT_S)
    except UnansweredError:
        return {}
    return {target.resource: float(target.max_wcu) for target in targets}
