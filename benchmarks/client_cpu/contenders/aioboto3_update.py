"""The plain aioboto3 worker: parallel scan, a bounded queue, `update_item` for each item."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aioboto3
from botocore.config import Config

from benchmarks.client_cpu.contenders.common import CONDITION, EXPRESSION, REGION, Job, run
from benchmarks.client_cpu.contenders.queue_worker import Item, drain


async def scan(client: Any, job: Job, segment: int) -> AsyncIterator[list[Item]]:
    """The pages of one segment."""
    pages = client.get_paginator("scan").paginate(
        TableName=job.table,
        Segment=segment,
        TotalSegments=job.segments,
        ProjectionExpression="pk, revision",
    )
    async for page in pages:
        yield page["Items"]


async def touch(client: Any, job: Job, items: list[Item]) -> None:
    """Add 1 to the marker of one item."""
    (item,) = items
    await client.update_item(
        TableName=job.table,
        Key={"pk": item["pk"]},
        UpdateExpression=EXPRESSION,
        ConditionExpression=CONDITION,
        ExpressionAttributeNames={"#r": "revision"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


async def main(job: Job) -> None:
    """Scan and touch everything."""
    config = Config(max_pool_connections=job.workers + job.segments)
    session = aioboto3.Session(region_name=REGION)
    async with session.client("dynamodb", endpoint_url=job.url, config=config) as client:
        pages = [scan(client, job, segment) for segment in range(job.segments)]
        await drain(pages, job.workers, partial(touch, client, job), size=1)


if __name__ == "__main__":
    run(main)
