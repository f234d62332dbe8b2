"""Clients that people use, unchanged: aioboto3 and botocore's retry modes against a table that throttles."""

import asyncio
from typing import Any

import aioboto3
import anyio
from botocore.config import Config

from refire_async.sandbox import SandboxConfig, start_sandbox
from tests.sandbox.server_support import REGION, new_name, schema

ACCESS: dict[str, Any] = {
    "region_name": REGION,
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
}


async def test_aioboto3_works_unchanged(sandbox_url: str) -> None:
    """Resource and client of aioboto3: create, batch-write, query, scan in segments, PartiQL, stream."""
    name = new_name()
    session = aioboto3.Session()
    async with session.resource("dynamodb", endpoint_url=sandbox_url, **ACCESS) as resource:
        table = await resource.create_table(
            TableName=name,
            **schema(pk="S", sk="N"),
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        await table.wait_until_exists()
        async with table.batch_writer() as batch:
            for number in range(120):
                await batch.put_item(Item={"pk": f"k{number % 4}", "sk": number, "tags": {"a", "b"}})
        page = await table.query(
            KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": "k1"}, ScanIndexForward=False
        )
        assert [int(item["sk"]) for item in page["Items"]] == list(range(117, 0, -4))
        segments = await asyncio.gather(*(table.scan(Segment=n, TotalSegments=5) for n in range(5)))
        assert sorted(int(item["sk"]) for page in segments for item in page["Items"]) == list(range(120))
    async with session.client("dynamodb", endpoint_url=sandbox_url, **ACCESS) as dynamodb:
        statement = f'UPDATE "{name}" SET revision = 1 WHERE pk = ? AND sk = ? AND revision IS MISSING'
        parameters = [[{"S": "k0"}, {"N": str(number)}] for number in range(0, 100, 4)]
        members = [{"Statement": statement, "Parameters": one} for one in parameters]
        answer = await dynamodb.batch_execute_statement(Statements=members)
        assert answer["Responses"] == [{"TableName": name}] * 25
        arn = (await dynamodb.describe_table(TableName=name))["Table"]["LatestStreamArn"]
    async with session.client("dynamodbstreams", endpoint_url=sandbox_url, **ACCESS) as streams:
        shards = (await streams.describe_stream(StreamArn=arn))["StreamDescription"]["Shards"]
        names: list[str] = []
        for shard in shards:
            iterator = await streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            page = await streams.get_records(ShardIterator=iterator["ShardIterator"])
            names += [record["eventName"] for record in page["Records"]]
    assert (names.count("INSERT"), names.count("MODIFY")) == (120, 25)


async def test_standard_retries_get_through_throttling() -> None:
    """A table of 2 WCU without burst refuses some of 8 writes at once; botocore's standard mode gets all of them in."""
    throughput = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 2}
    table = {"TableName": "small", **schema(pk="S"), "ProvisionedThroughput": throughput}
    config = Config(retries={"mode": "standard", "max_attempts": 10})
    session = aioboto3.Session()
    retries = 0
    async with (
        start_sandbox(SandboxConfig(tables=(table,), burst_seconds=0)) as url,
        session.client("dynamodb", endpoint_url=url, config=config, **ACCESS) as dynamodb,
    ):

        async def put(number: int) -> None:
            nonlocal retries
            answer = await dynamodb.put_item(TableName="small", Item={"pk": {"S": str(number)}})
            retries += answer["ResponseMetadata"]["RetryAttempts"]

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(put, number)
    assert retries > 0
