"""How far autoscaling may raise a table's write capacity, where that may be asked."""

from collections.abc import Sequence

from refire_async.aws.other_services import Services, UnansweredError, reading
from refire_async.model.capacity import TABLE

PATIENCE_S = 2.0
_DIMENSIONS = ("dynamodb:table:WriteCapacityUnits", "dynamodb:index:WriteCapacityUnits")


async def largest_writes(services: Services, table: str, resources: Sequence[str]) -> dict[str, float]:
    """MaxCapacity of write units by resource (`TABLE` and index names), of those that are scaled automatically.

    (Application Auto Scaling API reference: DescribeScalableTargets.) Empty where nobody may, or can, tell: the run
    follows what autoscaling does in any case; this only says beforehand how far that may go.
    """
    ids = {f"table/{table}" if name == TABLE else f"table/{table}/index/{name}": name for name in resources}
    try:
        async with services.open("application-autoscaling", PATIENCE_S) as client:
            answer = await client.describe_scalable_targets(
                ServiceNamespace="dynamodb", ResourceIds=list(ids)[:50]
            )
        with reading("application-autoscaling"):
            return {
                ids[target["ResourceId"]]: float(target["MaxCapacity"])
                for target in answer.get("ScalableTargets", ())
                if target.get("ResourceId") in ids and target.get("ScalableDimension") in _DIMENSIONS
            }
    except UnansweredError:
        return {}
