"""aioboto3 with PartiQL batches of 25, its parameter validation off: the best that it can do for this job."""

from __future__ import annotations

from functools import partial
from typing import Any

import aioboto3
from botocore.config import Config

from benchmarks.client_cpu.contenders.aioboto3_update import scan
from benchmarks.client_cpu.contenders.common import BATCH, REGION, Job, run, statement
from benchmarks.client_cpu.contenders.queue_worker import Item, drain


async def touch(client: Any, change: str, create: str, items: list[Item]) -> None:
    """Touch a batch, each item on the condition that its marker is still what the scan saw."""
    members = []
    for item in items:
        old = item.get("revision")
        if old is None:
            members.append({"Statement": create, "Parameters": [{"N": "1"}, item["pk"]]})
        else:
            new = {"N": str(int(old["N"]) + 1)}
            members.append({"Statement": change, "Parameters": [new, item["pk"], old]})
    answer = await client.batch_execute_statement(Statements=members)
    if any("Error" in member for member in answer["Responses"]):
        raise SystemExit("a member failed")


async def main(job: Job) -> None:
    """Scan and touch everything."""
    config = Config(max_pool_connections=job.workers + job.segments, parameter_validation=False)
    change, create = statement(job.table, marked=True), statement(job.table, marked=False)
    session = aioboto3.Session(region_name=REGION)
    async with session.client("dynamodb", endpoint_url=job.url, config=config) as client:
        pages = [scan(client, job, segment) for segment in range(job.segments)]
        await drain(pages, job.workers, partial(touch, client, change, create), size=BATCH)


if __name__ == "__main__":
    run(main)
