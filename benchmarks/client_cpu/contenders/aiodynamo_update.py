"""aiodynamo over aiohttp: its scan (which has no segments), a bounded queue, `update_item` for each item."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import aiohttp
from aiodynamo.client import Client, Table
from aiodynamo.credentials import Key, StaticCredentials
from aiodynamo.expressions import F
from aiodynamo.http.aiohttp import AIOHTTP
from yarl import URL

from benchmarks.client_cpu.contenders.common import REGION, Job, run
from benchmarks.client_cpu.contenders.queue_worker import Item, drain


async def scan(table: Table) -> AsyncIterator[list[Item]]:
    """The items of the table, one by one: aiodynamo hides the pages."""
    async for item in table.scan(projection=F("pk") & F("revision")):
        yield [item]


async def touch(table: Table, items: list[Item]) -> None:
    """Add 1 to the marker of one item."""
    (item,) = items
    await table.update_item({"pk": item["pk"]}, F("revision").add(1), condition=F("pk").exists())


async def main(job: Job) -> None:
    """Scan and touch everything."""
    connector = aiohttp.TCPConnector(limit=job.workers + 1)
    async with aiohttp.ClientSession(connector=connector) as session:
        credentials = StaticCredentials(Key("AKIDEXAMPLE", "secret"))
        client = Client(AIOHTTP(session), credentials, REGION, URL(job.url))
        table = client.table(job.table)
        await drain([scan(table)], job.workers, partial(touch, table), size=1)


if __name__ == "__main__":
    run(main)
