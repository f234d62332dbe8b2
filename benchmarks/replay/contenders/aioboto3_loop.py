"""The plain aioboto3 loop: GetRecords, json, invoke, for each shard on its own. It promises nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import aioboto3
from botocore.config import Config

from benchmarks.client_cpu.contenders.common import REGION, run_loop
from benchmarks.replay.contenders.common import BATCH, Job, job


def seconds(value: object) -> float:
    """What json cannot write: botocore makes a datetime of a record's time."""
    assert isinstance(value, datetime)  # noqa: S101 - the stream has no binary values
    return value.timestamp()


async def deliver_shard(streams: Any, functions: Any, arn: str, shard: str, function: str) -> None:
    """Read a shard to its end and invoke the function for every 100 records, in order."""
    answer = await streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    iterator = answer["ShardIterator"]
    pending: list[dict[str, Any]] = []
    while iterator is not None:
        page = await streams.get_records(ShardIterator=iterator)
        pending += [{**record, "eventSourceARN": arn} for record in page["Records"]]
        iterator = page.get("NextShardIterator")
        while len(pending) >= BATCH or (iterator is None and pending):
            batch = pending[:BATCH]
            del pending[:BATCH]
            event = json.dumps({"Records": batch}, default=seconds).encode()
            invoked = await functions.invoke(FunctionName=function, Payload=event)
            await invoked["Payload"].read()
            if "FunctionError" in invoked:
                raise SystemExit("the function failed")


async def main(job: Job) -> None:
    """All shards side by side."""
    config = Config(max_pool_connections=job.concurrency)
    session = aioboto3.Session(region_name=REGION)
    async with (
        session.client("dynamodb", endpoint_url=job.url) as tables,
        session.client("dynamodbstreams", endpoint_url=job.url, config=config) as streams,
        session.client("lambda", endpoint_url=job.url, config=config) as functions,
    ):
        arn = (await tables.describe_table(TableName=job.table))["Table"]["LatestStreamArn"]
        described = await streams.describe_stream(StreamArn=arn)
        shards = [shard["ShardId"] for shard in described["StreamDescription"]["Shards"]]
        await asyncio.gather(
            *(deliver_shard(streams, functions, arn, shard, job.function) for shard in shards)
        )


if __name__ == "__main__":
    run_loop(main(job()))
