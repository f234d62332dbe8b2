"""The floor: bytes of a page are copied into events and sent with the clients that refire uses. It promises nothing.

Records are cut out by their size, since all are of one; nothing in them is looked at, and the origin that an event adds
to each record is left out. There is no ledger, no order of lanes, no answer that is read.
"""

from __future__ import annotations

from functools import partial

import anyio

from benchmarks.replay.contenders.common import BATCH, Job, job
from refire_async.aws.invocations import Invocations, open_invocations
from refire_async.aws.session import describe, open_session
from refire_async.aws.streams import StreamReader
from refire_async.engine.event_loop import run_loop
from refire_async.settings import Connection

_BEGIN = b'{"Records":['
_RECORD = b'{"awsRegion"'
_TIMEOUT_S = 30.0


async def deliver_shard(
    reader: StreamReader, invocations: Invocations, arn: str, shard: str, function: str
) -> None:
    """Read a shard to its end and send every page in pieces of 100 records, in order."""
    async for page in reader.answers(arn, shard):
        view, begin, end = memoryview(page), len(_BEGIN), page.rindex(b"]")
        second = page.find(_RECORD, begin + 1)
        step = (second if second > 0 else end) - begin
        for start in range(begin, end, BATCH * step):
            stop = min(start + BATCH * step - 1, end)
            await invocations.invoke(function, None, b"".join((_BEGIN, view[start:stop], b"]}")))


async def main(job: Job) -> None:
    """All shards side by side."""
    async with open_session(Connection(endpoint_url=job.url), job.concurrency) as session:
        table = await describe(session, job.table)
        arn = table.stream.arn
        assert arn is not None  # noqa: S101 - the backend's tables have streams
        shards = await session.streams.shards(arn)
        async with (
            open_invocations(session, job.concurrency, _TIMEOUT_S) as invocations,
            anyio.create_task_group() as tasks,
        ):
            for shard in shards:
                tasks.start_soon(deliver_shard, session.streams, invocations, arn, shard.id, job.function)


if __name__ == "__main__":
    run_loop(partial(main, job()))
