"""Tables and consumers with a known problem, and every stop and warning that it must be found by."""

import json
from collections.abc import Callable
from typing import Any

from refire_async.settings import Budget, SelectionSettings
from tests.preflight.planted import BIG, Planted, index, indexed, provisioned
from tests.preflight.world import World

ONLY_INSERT = json.dumps({"eventName": ["INSERT"]})


def case(name: str, *found: str, **more: Any) -> Callable[[Callable[[World], Any]], None]:
    """A table without known consumers: other services are not asked."""

    def add(plant: Callable[[World], Any]) -> None:
        CASES.append(Planted(name, plant, found, **more))

    return add


def heard(name: str, *found: str, **more: Any) -> Callable[[Callable[[World], Any]], None]:
    """A table whose consumers are in moto."""
    return case(name, *found, **{"asks": True, **more})


CASES: list[Planted] = []


# The table and its stream


@case("being-created", "table-status")
def _(world: World) -> None:
    world.describe_as(TableStatus="CREATING")


@case("its-key-is-gone", "table-status")
def _(world: World) -> None:
    world.describe_as(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS")


@case("no-stream", "stream-disabled", spec={"StreamSpecification": {"StreamEnabled": False}}, listened=False)
def _(world: World) -> None:
    pass


@case("a-stream-that-was", "stream-disabled")
def _(world: World) -> None:
    world.db("UpdateTable", TableName=world.name, StreamSpecification={"StreamEnabled": False})


@case("another-stream", "stream-other")
def _(world: World) -> None:
    world.settings["stream_arn"] = world.stream_arn[:-3] + "999"


@case("global-table", "global-table")
def _(world: World) -> None:
    world.describe_as(Replicas=[{"RegionName": "us-east-1"}])


@case("keys-only", note="view-type", spec={"view_type": "KEYS_ONLY"})
def _(world: World) -> None:
    pass


@case("no-backups", note="pitr-off")
def _(world: World) -> None:
    del world.db.answers["DescribeContinuousBackups"]


# Capacity


@case("more-than-provisioned", "over-capacity", spec=provisioned(100))
def _(world: World) -> None:
    world.settings["budget"] = Budget(max_wcu=101)


@case("more-than-the-maximum", "over-capacity", spec={"OnDemandThroughput": {"MaxWriteRequestUnits": 50}})
def _(world: World) -> None:
    world.settings["budget"] = Budget(max_wcu=60)


@case("a-maximum", note="on-demand-maximum", spec={"OnDemandThroughput": {"MaxWriteRequestUnits": 50}})
def _(world: World) -> None:
    pass


@case("an-index-with-a-maximum", "index-scarce", note="on-demand-maximum", spec=indexed(index(most=50)))
def _(world: World) -> None:
    pass


@heard("busy-already", "live-writes", spec=provisioned(100))
def _(world: World) -> None:
    world.measured("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", world.name, 60 * 30)


@case("a-small-index", "index-scarce", spec={**provisioned(100), **indexed(index(write=10))})
def _(world: World) -> None:
    pass


@case("an-index-being-built", "index-status", spec=indexed(index(keys_only=True)))
def _(world: World) -> None:
    described = world.db("DescribeTable", TableName=world.name)["Table"]["GlobalSecondaryIndexes"]
    world.describe_as(GlobalSecondaryIndexes=[{**described[0], "IndexStatus": "CREATING"}])


@case("an-index-that-carries-it", note="index-cost", spec=indexed(index()))
def _(world: World) -> None:
    pass


@heard("scaled", note="autoscaling", spec=provisioned(100))
def _(world: World) -> None:
    world.scale(100, 1_000)


# Consumers


@heard("nobody", "no-consumer", listened=False)
def _(world: World) -> None:
    pass


@heard("all-disabled", "no-listener", "mapping-disabled", listened=False)
def _(world: World) -> None:
    world.consumer(Enabled=False)


@heard("inserts-only", "no-listener", "filter-no-modify", listened=False)
def _(world: World) -> None:
    world.consumer(ONLY_INSERT)


@heard("one-disabled", "mapping-disabled")
def _(world: World) -> None:
    world.consumer(Enabled=False)


@heard("one-for-inserts", "filter-no-modify")
def _(world: World) -> None:
    world.consumer(ONLY_INSERT, json.dumps({"eventName": [{"anything-but": ["MODIFY"]}]}))


@heard("one-for-deletions-by-ttl", "filter-no-match")
def _(world: World) -> None:
    world.consumer(json.dumps({"userIdentity": {"principalId": ["dynamodb.amazonaws.com"]}}))


@heard("an-image-that-is-not-there", "filter-no-match", spec={"view_type": "NEW_IMAGE"})
def _(world: World) -> None:
    world.consumer(json.dumps({"dynamodb": {"OldImage": {"status": {"S": [{"prefix": "O"}]}}}}))


@heard("a-transition", "filter-no-match")
def _(world: World) -> None:
    images = {"NewImage": {"status": {"S": ["SHIPPED"]}}, "OldImage": {"status": {"S": ["OPEN"]}}}
    world.consumer(json.dumps({"eventName": ["MODIFY"], "dynamodb": images}))


@heard("a-range-of-numbers", "filter-no-match")
def _(world: World) -> None:
    world.consumer(json.dumps({"dynamodb": {"NewImage": {"revision": {"N": [{"numeric": [">", 0]}]}}}}))


@heard("items-that-were-never-touched", "filter-no-match")
def _(world: World) -> None:
    world.consumer(json.dumps({"dynamodb": {"NewImage": {"revision": {"N": [{"exists": False}]}}}}))


@heard("another-key", "filter-no-match")
def _(world: World) -> None:
    world.settings["selection"] = SelectionSettings(key_values=("o-1",))
    world.consumer(json.dumps({"dynamodb": {"Keys": {"pk": {"S": ["o-2"]}}}}))


@heard("the-old-image", "filter-old-image")
def _(world: World) -> None:
    world.consumer(json.dumps({"dynamodb": {"OldImage": {"status": {"S": ["OPEN"]}}}}))


@heard("some-items", note="filter-some")
def _(world: World) -> None:
    world.consumer(json.dumps({"dynamodb": {"NewImage": {"status": {"S": [{"suffix": "N"}]}}}}))


@heard("inserts-too", note="filter-insert")
def _(world: World) -> None:
    world.consumer(json.dumps({"eventName": ["INSERT", "MODIFY"]}))


@heard("records-that-expire", "records-expire", listened=False)
def _(world: World) -> None:
    world.describe_as(**BIG)
    world.consumer(MaximumRecordAgeInSeconds=60, BatchSize=1_000)


@heard("one-by-one", "consumer-slow")
def _(world: World) -> None:
    world.describe_as(**BIG)
    world.consumer(BatchSize=1)


@heard("how-many-at-once", note="consumer-load")
def _(world: World) -> None:
    pass


@heard("a-failing-batch-waits", note="consumer-blocks")
def _(world: World) -> None:
    world.consumer(MaximumRetryAttempts=-1)


@heard("behind", "consumer-behind")
def _(world: World) -> None:
    world.measured("AWS/Lambda", "IteratorAge", "FunctionName", world.consumer(), 61_000)


@heard("failing", "consumer-failing")
def _(world: World) -> None:
    world.measured("AWS/Lambda", "Errors", "FunctionName", world.consumer(), 3)


@heard("throttled", "consumer-failing")
def _(world: World) -> None:
    world.measured("AWS/Lambda", "Throttles", "FunctionName", world.consumer(), 3)


@heard("one-kinesis-shard", "kinesis-slow")
def _(world: World) -> None:
    world.kinesis(1)


@heard("kinesis", note="kinesis-destination")
def _(world: World) -> None:
    world.kinesis(8)


@case("what-events-do", note="consumer-effects")
def _(world: World) -> None:
    pass


# The marker


@case("a-key", "marker-key")
def _(world: World) -> None:
    world.settings["marker_attribute"] = "pk"


@case("a-key-of-an-index", "marker-index-key", spec=indexed(index(key="revision"), "N"))
def _(world: World) -> None:
    pass


@case("what-items-expire-by", "marker-ttl")
def _(world: World) -> None:
    expiry = {"Enabled": True, "AttributeName": "revision"}
    world.db("UpdateTimeToLive", TableName=world.name, TimeToLiveSpecification=expiry)


@case("a-text", "marker-type")
def _(world: World) -> None:
    world.fill(revision=lambda n: {"S": "v1"} if n % 3 else {"N": "1"})


@case("a-number-without-room", "marker-type")
def _(world: World) -> None:
    world.fill(revision=lambda n: {"N": f"0.{'1' * 38}"} if n == 7 else None)


@case("a-lock-by-its-values", "marker-lock")
def _(world: World) -> None:
    world.fill(revision=lambda n: {"N": str(1 + n * n % 40)})


@case("a-lock-by-its-name", "marker-lock")
def _(world: World) -> None:
    world.settings["marker_attribute"] = "lock_version"
    world.fill(lock_version={"N": "1"})


@case("an-amount", "marker-lock")
def _(world: World) -> None:
    world.settings["marker_attribute"] = "amount"
    world.fill(amount=lambda n: {"N": f"{n}.5"})


@case("a-status", "marker-overwrites")
def _(world: World) -> None:
    world.settings |= {"marker": "stamp", "marker_attribute": "status"}
    world.fill(status={"S": "OPEN"})


# Items and permissions


@case("a-large-item", "item-near-limit")
def _(world: World) -> None:
    world.fill(1, payload={"S": "x" * 402_000})


@case("expired-items", note="ttl-expired")
def _(world: World) -> None:
    expiry = {"Enabled": True, "AttributeName": "expires"}
    world.db("UpdateTimeToLive", TableName=world.name, TimeToLiveSpecification=expiry)
    world.fill(expires=lambda n: {"N": "1"} if n % 2 else {"N": "99999999999"})


@case("scan-not-allowed", "permission-missing")
def _(world: World) -> None:
    world.deny("Scan")


@case("look-ups-not-allowed", "permission-missing")
def _(world: World) -> None:
    world.deny("BatchGetItem")


@case("writes-not-allowed", "permission-missing")
def _(world: World) -> None:
    world.deny("BatchExecuteStatement")


@case("time-to-live-not-allowed", "permission-missing")
def _(world: World) -> None:
    world.deny("DescribeTimeToLive")


@case("query-of-an-index-not-allowed", "permission-missing", spec=indexed(index(keys_only=True)))
def _(world: World) -> None:
    world.settings["selection"] = SelectionSettings(index="by-day", key_values=("d1",))
    world.deny("Query")


@case("backups-not-told", note="not-asked")
def _(world: World) -> None:
    world.deny("DescribeContinuousBackups")
