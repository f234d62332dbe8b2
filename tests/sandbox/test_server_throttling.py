"""Limits seen from outside: plain boto3 without retries offers far more than a table, a key or an index takes."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from refire_async.sandbox import SandboxConfig, SandboxProcess
from tests.sandbox.hammer import Send, assert_rate, hammer, resource
from tests.sandbox.server_support import client, index, schema, with_types

TABLE = "hammered"
THREADS = 4
BLOCKS = 4
"""Units of an item of almost 4 KB: so boto3, which sends some hundreds of requests a second, offers thousands."""
LENGTHS = [4, pytest.param(30, marks=pytest.mark.soak)]


@dataclass(frozen=True)
class Target:
    """A sandbox without burst that holds one table."""

    url: str
    plain: Any
    arn: str


@contextlib.contextmanager
def serving(write_units: int, **members: Any) -> Iterator[Target]:
    """A sandbox with a provisioned table; its first items were there before, so they took nothing."""
    throughput = {"ReadCapacityUnits": 10, "WriteCapacityUnits": write_units}
    table = {"TableName": TABLE, **schema(pk="S"), "ProvisionedThroughput": throughput, **members}
    with SandboxProcess(SandboxConfig(burst_seconds=0, tables=(table,))) as sandbox:
        plain = client(sandbox.url, max_pool_connections=THREADS)
        yield Target(sandbox.url, plain, plain.describe_table(TableName=TABLE)["Table"]["TableArn"])


class Refusals:
    """What refused requests said, each once: (type, reason, resource)."""

    def __init__(self) -> None:
        self.said: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def add(self, error: ClientError) -> None:
        """Note what an error says; an error that is no throttling is raised."""
        if "ThrottlingReasons" not in error.response:
            raise error
        with self._lock:
            for reason in error.response["ThrottlingReasons"]:
                self.said.add((error.response["Error"]["Code"], reason["reason"], reason["resource"]))


def single(call: Any, refusals: Refusals, units: float, **request: Any) -> Send:
    """One write of an item; ``units`` are what the resource at fault would have taken."""

    def send() -> tuple[float, float]:
        try:
            answer = call(TableName=TABLE, **request, ReturnConsumedCapacity="INDEXES")
        except ClientError as error:
            refusals.add(error)
            return 0.0, units
        return answer["ConsumedCapacity"]["Table"]["CapacityUnits"], 0.0

    return send


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_table_gives_what_is_provisioned(seconds: int) -> None:
    """500 WCU: within 2% of 500 units in every second; all else is refused in the name of the table."""
    refusals = Refusals()
    with serving(500) as target:

        def write(thread: int) -> Send:
            item = {"pk": {"S": f"key-{thread}"}, "payload": {"S": "x" * 4_000}}
            return single(target.plain.put_item, refusals, BLOCKS, Item=item)

        window, load = hammer([write(thread) for thread in range(THREADS)], seconds)
        found = resource(target.url, TABLE)
    assert_rate(found, window, load, rate=500, largest=BLOCKS)
    reason = "TableWriteProvisionedThroughputExceeded"
    assert refusals.said == {("ProvisionedThroughputExceededException", reason, target.arn)}
    assert found.throttles == {reason: load.throttled / BLOCKS}
    assert (found.accepted, found.throttled) == (load.accepted, load.throttled)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_hash_key_gives_what_a_partition_can(seconds: int) -> None:
    """One hot hash key of a table of 10,000 WCU: within 2% of 1,000 units in every second, whatever is free elsewhere.

    PartiQL batches offer the load; a thread of UpdateItem receives the reason, which members of a batch do not contain.
    """
    refusals = Refusals()
    keys = [{"pk": {"S": "hot"}, "sk": {"N": str(number)}} for number in range(25 * THREADS)]
    with serving(10_000, **schema(pk="S", sk="N"), Items=keys) as target:
        statement = f"UPDATE {TABLE} SET touched = 1 WHERE pk = 'hot' AND sk = ?"

        def batch(thread: int) -> Send:
            members = [
                {"Statement": statement, "Parameters": [key["sk"]]} for key in keys[25 * thread :][:25]
            ]

            def send() -> tuple[float, float]:
                answers = target.plain.batch_execute_statement(Statements=members)["Responses"]
                codes = [answer["Error"]["Code"] for answer in answers if "Error" in answer]
                assert set(codes) <= {"ProvisionedThroughputExceeded"}
                return len(answers) - len(codes), len(codes)

            return send

        alone = {"Key": keys[-1], "UpdateExpression": "SET touched = :t"}
        values = {":t": {"N": "1"}}
        update = single(target.plain.update_item, refusals, 1, **alone, ExpressionAttributeValues=values)
        window, load = hammer([update, *map(batch, range(THREADS - 1))], seconds)
        found = resource(target.url, TABLE)
    assert_rate(found, window, load, rate=1000, largest=1)
    reason = "TableWriteKeyRangeThroughputExceeded"
    assert refusals.said == {("ProvisionedThroughputExceededException", reason, target.arn)}
    assert found.throttles == {reason: load.throttled}
    assert (found.accepted, found.throttled) == (load.accepted, load.throttled)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_an_index_pushes_back_on_its_table(seconds: int) -> None:
    """A GSI of 100 WCU holds a table of 10,000 to 100 writes a second of what it projects, and is named.

    Writes of an attribute that it does not project pass at the same time, all of them.
    """
    refusals = Refusals()
    gsi = {
        **index("by-owner", "owner", projection="INCLUDE", include=("state",)),
        "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 100},
    }
    items = [{"pk": {"S": str(number)}, "owner": {"S": f"owner-{number}"}} for number in range(THREADS)]
    passed: list[float] = []
    keys = with_types(schema(pk="S"), owner="S")
    with serving(10_000, **keys, GlobalSecondaryIndexes=[gsi], Items=items) as target:

        def update(attribute: str, item: dict[str, Any]) -> Send:
            request = {
                "Key": {"pk": item["pk"]},
                "UpdateExpression": "SET #a = :v",
                "ExpressionAttributeNames": {"#a": attribute},
            }
            numbers = itertools.count()

            def send() -> tuple[float, float]:
                values = {":v": {"N": str(next(numbers))}}
                once = single(
                    target.plain.update_item, refusals, 1, **request, ExpressionAttributeValues=values
                )
                return once()

            return send

        update_free = update("note", items[0])

        def free() -> tuple[float, float]:
            accepted, throttled = update_free()
            assert throttled == 0
            passed.append(accepted)
            return 0.0, 0.0

        window, load = hammer([free, *(update("state", item) for item in items[1:])], seconds)
        table, pushing = resource(target.url, TABLE), resource(target.url, TABLE, "by-owner")
    assert_rate(pushing, window, load, rate=100, largest=1)
    reason = "IndexWriteProvisionedThroughputExceeded"
    by_owner = f"{target.arn}/index/by-owner"
    assert refusals.said == {("ProvisionedThroughputExceededException", reason, by_owner)}
    assert (table.throttles, pushing.throttles) == ({}, {reason: load.throttled})
    assert (pushing.accepted, pushing.throttled) == (load.accepted, load.throttled)
    assert (table.accepted, table.throttled) == (load.accepted + sum(passed), 0)
