"""Tables and consumers with a known problem, and every stop and warning that a check must find."""

import json
from collections.abc import Callable
from typing import Any

from refire_async.settings import Budget, SelectionSettings
from tests.preflight.harness import Harness
from tests.preflight.planted import BIG, Planted, index, indexed, provisioned

ONLY_INSERT = json.dumps({"eventName": ["INSERT"]})


def case(name: str, *found: str, **more: Any) -> Callable[[Callable[[Harness], Any]], None]:
    """A table without known consumers: other services are not queried."""

    def add(plant: Callable[[Harness], Any]) -> None:
        CASES.append(Planted(name, plant, found, **more))

    return add


def with_consumers(name: str, *found: str, **more: Any) -> Callable[[Callable[[Harness], Any]], None]:
    """A table whose consumers are in moto."""
    return case(name, *found, **{"asks": True, **more})


CASES: list[Planted] = []


# The table and its stream


@case("being-created", "table-status")
def _(harness: Harness) -> None:
    harness.describe_as(TableStatus="CREATING")


@case("its-key-is-gone", "table-status")
def _(harness: Harness) -> None:
    harness.describe_as(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS")


@case("no-stream", "stream-disabled", spec={"StreamSpecification": {"StreamEnabled": False}}, listened=False)
def _(harness: Harness) -> None:
    pass


@case("a-stream-that-was", "stream-disabled")
def _(harness: Harness) -> None:
    harness.db("UpdateTable", TableName=harness.name, StreamSpecification={"StreamEnabled": False})


@case("another-stream", "stream-other")
def _(harness: Harness) -> None:
    harness.settings["stream_arn"] = harness.stream_arn[:-3] + "999"


@case("global-table", "global-table")
def _(harness: Harness) -> None:
    harness.describe_as(Replicas=[{"RegionName": "us-east-1"}])


@case("keys-only", note="view-type", spec={"view_type": "KEYS_ONLY"})
def _(harness: Harness) -> None:
    pass


@case("no-backups", note="pitr-off")
def _(harness: Harness) -> None:
    del harness.db.answers["DescribeContinuousBackups"]


# Capacity


@case("more-than-provisioned", "over-capacity", spec=provisioned(100))
def _(harness: Harness) -> None:
    harness.settings["budget"] = Budget(max_wcu=101)


@case("more-than-the-maximum", "over-capacity", spec={"OnDemandThroughput": {"MaxWriteRequestUnits": 50}})
def _(harness: Harness) -> None:
    harness.settings["budget"] = Budget(max_wcu=60)


@case("a-maximum", note="on-demand-maximum", spec={"OnDemandThroughput": {"MaxWriteRequestUnits": 50}})
def _(harness: Harness) -> None:
    pass


@case("an-index-with-a-maximum", "index-scarce", note="on-demand-maximum", spec=indexed(index(most=50)))
def _(harness: Harness) -> None:
    pass


@with_consumers("busy-already", "live-writes", spec=provisioned(100))
def _(harness: Harness) -> None:
    harness.measured("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", harness.name, 60 * 30)


@case("a-small-index", "index-scarce", spec={**provisioned(100), **indexed(index(write=10))})
def _(harness: Harness) -> None:
    pass


@case("an-index-being-built", "index-status", spec=indexed(index(keys_only=True)))
def _(harness: Harness) -> None:
    described = harness.db("DescribeTable", TableName=harness.name)["Table"]["GlobalSecondaryIndexes"]
    harness.describe_as(GlobalSecondaryIndexes=[{**described[0], "IndexStatus": "CREATING"}])


@case("an-index-that-carries-it", note="index-cost", spec=indexed(index()))
def _(harness: Harness) -> None:
    pass


@with_consumers("scaled", note="autoscaling", spec=provisioned(100))
def _(harness: Harness) -> None:
    harness.scale(100, 1_000)


# Consumers


@with_consumers("no-function", "no-consumer", listened=False)
def _(harness: Harness) -> None:
    pass


@with_consumers("a-pipe-reads-it", listened=False)
def _(harness: Harness) -> None:
    harness.consumers.pipe(harness.stream_arn)


@with_consumers("a-pipe-filters-it-out", "no-listener", "filter-no-modify", listened=False)
def _(harness: Harness) -> None:
    harness.consumers.pipe(harness.stream_arn, '{"eventName": ["REMOVE"]}')


@with_consumers("all-disabled", "no-listener", "mapping-disabled", listened=False)
def _(harness: Harness) -> None:
    harness.consumer(Enabled=False)


@with_consumers("inserts-only", "no-listener", "filter-no-modify", listened=False)
def _(harness: Harness) -> None:
    harness.consumer(ONLY_INSERT)


@with_consumers("one-disabled", "mapping-disabled")
def _(harness: Harness) -> None:
    harness.consumer(Enabled=False)


@with_consumers("one-for-inserts", "filter-no-modify")
def _(harness: Harness) -> None:
    harness.consumer(ONLY_INSERT, json.dumps({"eventName": [{"anything-but": ["MODIFY"]}]}))


@with_consumers("one-for-deletions-by-ttl", "filter-no-match")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"userIdentity": {"principalId": ["dynamodb.amazonaws.com"]}}))


@with_consumers("an-image-that-is-not-there", "filter-no-match", spec={"view_type": "NEW_IMAGE"})
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"dynamodb": {"OldImage": {"status": {"S": [{"prefix": "O"}]}}}}))


@with_consumers("a-transition", "filter-no-match")
def _(harness: Harness) -> None:
    images = {"NewImage": {"status": {"S": ["SHIPPED"]}}, "OldImage": {"status": {"S": ["OPEN"]}}}
    harness.consumer(json.dumps({"eventName": ["MODIFY"], "dynamodb": images}))


@with_consumers("a-range-of-numbers", "filter-no-match")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"dynamodb": {"NewImage": {"revision": {"N": [{"numeric": [">", 0]}]}}}}))


@with_consumers("items-that-were-never-touched", "filter-no-match")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"dynamodb": {"NewImage": {"revision": {"N": [{"exists": False}]}}}}))


@with_consumers("another-key", "filter-no-match")
def _(harness: Harness) -> None:
    harness.settings["selection"] = SelectionSettings(key_values=("o-1",))
    harness.consumer(json.dumps({"dynamodb": {"Keys": {"pk": {"S": ["o-2"]}}}}))


@with_consumers("the-old-image", "filter-old-image")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"dynamodb": {"OldImage": {"status": {"S": ["OPEN"]}}}}))


@with_consumers("some-items", note="filter-some")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"dynamodb": {"NewImage": {"status": {"S": [{"suffix": "N"}]}}}}))


@with_consumers("inserts-too", note="filter-insert")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"eventName": ["INSERT", "MODIFY"]}))


@with_consumers("records-that-expire", "records-expire", listened=False)
def _(harness: Harness) -> None:
    harness.describe_as(**BIG)
    harness.consumer(MaximumRecordAgeInSeconds=60, BatchSize=1_000)


@with_consumers("one-by-one", "consumer-slow")
def _(harness: Harness) -> None:
    harness.describe_as(**BIG)
    harness.consumer(BatchSize=1)


@with_consumers("how-many-at-once", note="consumer-load")
def _(harness: Harness) -> None:
    pass


@with_consumers("a-failing-batch-waits", note="consumer-blocks")
def _(harness: Harness) -> None:
    harness.consumer(MaximumRetryAttempts=-1)


@with_consumers("behind", "consumer-behind")
def _(harness: Harness) -> None:
    harness.measured("AWS/Lambda", "IteratorAge", "FunctionName", harness.consumer(), 61_000)


@with_consumers("failing", "consumer-failing")
def _(harness: Harness) -> None:
    harness.measured("AWS/Lambda", "Errors", "FunctionName", harness.consumer(), 3)


@with_consumers("throttled", "consumer-failing")
def _(harness: Harness) -> None:
    harness.measured("AWS/Lambda", "Throttles", "FunctionName", harness.consumer(), 3)


@with_consumers("one-kinesis-shard", "kinesis-slow")
def _(harness: Harness) -> None:
    harness.kinesis(1)


@with_consumers("kinesis", note="kinesis-destination")
def _(harness: Harness) -> None:
    harness.kinesis(8)


@case("what-events-do", note="consumer-effects")
def _(harness: Harness) -> None:
    pass


# The marker


@case("a-key", "marker-key")
def _(harness: Harness) -> None:
    harness.settings["marker_attribute"] = "pk"


@case("a-key-of-an-index", "marker-index-key", spec=indexed(index(key="revision"), "N"))
def _(harness: Harness) -> None:
    pass


@case("what-items-expire-by", "marker-ttl")
def _(harness: Harness) -> None:
    expiry = {"Enabled": True, "AttributeName": "revision"}
    harness.db("UpdateTimeToLive", TableName=harness.name, TimeToLiveSpecification=expiry)


@case("a-text", "marker-type")
def _(harness: Harness) -> None:
    harness.fill(revision=lambda n: {"S": "v1"} if n % 3 else {"N": "1"})


@case("a-number-without-room", "marker-type")
def _(harness: Harness) -> None:
    harness.fill(revision=lambda n: {"N": f"0.{'1' * 38}"} if n == 7 else None)


@case("a-lock-by-its-values", "marker-lock")
def _(harness: Harness) -> None:
    harness.fill(revision=lambda n: {"N": str(1 + n * n % 40)})


@case("a-lock-by-its-name", "marker-lock")
def _(harness: Harness) -> None:
    harness.settings["marker_attribute"] = "lock_version"
    harness.fill(lock_version={"N": "1"})


@case("an-amount", "marker-lock")
def _(harness: Harness) -> None:
    harness.settings["marker_attribute"] = "amount"
    harness.fill(amount=lambda n: {"N": f"{n}.5"})


@case("a-status", "marker-overwrites")
def _(harness: Harness) -> None:
    harness.settings |= {"marker": "stamp", "marker_attribute": "status"}
    harness.fill(status={"S": "OPEN"})


# Items and permissions


@case("a-large-item", "item-near-limit")
def _(harness: Harness) -> None:
    harness.fill(1, payload={"S": "x" * 402_000})


@case("expired-items", note="ttl-expired")
def _(harness: Harness) -> None:
    expiry = {"Enabled": True, "AttributeName": "expires"}
    harness.db("UpdateTimeToLive", TableName=harness.name, TimeToLiveSpecification=expiry)
    harness.fill(expires=lambda n: {"N": "1"} if n % 2 else {"N": "99999999999"})


@case("scan-not-allowed", "permission-missing")
def _(harness: Harness) -> None:
    harness.deny("Scan")


@case("look-ups-not-allowed", "permission-missing")
def _(harness: Harness) -> None:
    harness.deny("BatchGetItem")


@case("writes-not-allowed", "permission-missing")
def _(harness: Harness) -> None:
    harness.deny("BatchExecuteStatement")


@case("time-to-live-not-allowed", "permission-missing")
def _(harness: Harness) -> None:
    harness.deny("DescribeTimeToLive")


@case("query-of-an-index-not-allowed", "permission-missing", spec=indexed(index(keys_only=True)))
def _(harness: Harness) -> None:
    harness.settings["selection"] = SelectionSettings(index="by-day", key_values=("d1",))
    harness.deny("Query")


@case("backups-not-told", note="not-asked")
def _(harness: Harness) -> None:
    harness.deny("DescribeContinuousBackups")
