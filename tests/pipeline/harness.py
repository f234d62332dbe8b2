"""One attempt of a run on a `FakeTable`: its pipeline with fake source, lookup and writer, and its events."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.ledger import Ledger
from refire_async.checkpoint.store import Store
from refire_async.events import Event
from refire_async.model.capacity import TABLE
from refire_async.model.run import RunStatus
from refire_async.model.stop import StopRequest
from refire_async.pacing.budget import ReadBudget, WriteBudget
from refire_async.pacing.outage import Outage
from refire_async.pipeline import Context, Sizes, run_pipeline
from tests.pipeline.fake_dynamodb import FakeLookup, FakeSource, FakeTable, FakeWriter, FaultProfile
from tests.support.checkpoints import SPEC


@dataclass
class Harness:
    """One attempt of a run and the events that it has emitted."""

    context: Context
    events: list[Event]

    async def run(self) -> RunStatus:
        """Run the pipeline until the end or a stop."""
        return await run_pipeline(self.context, iter(range(self.context.source.total_segments)))

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind."""
        return [event for event in self.events if isinstance(event, kind)]


def new_attempt(
    table: FakeTable,
    store: Store,
    *,
    source: FakeSource | None = None,
    writer: FakeWriter | None = None,
    stop: StopRequest | None = None,
    workers: int = 4,
    max_items: int | None = None,
    wcu: float = 10_000.0,
    rcu: float = 24.0,
    give_up_after_s: float = 600.0,
) -> Harness:
    """An attempt that continues from the progress in `store`. 24 RCU/s make pages of 19 items."""
    source = source or FakeSource(table)
    progress, number = store.progress(range(source.total_segments)), store.load().next_attempt * 1_024
    ledger = Ledger(number << 20)
    ledger.restore(progress.segments, progress.pages)
    events: list[Event] = []
    context = Context(
        spec=SPEC,
        source=source,
        lookup=FakeLookup(table),  # type: ignore[arg-type] # the same method
        writer=writer or FakeWriter(table),
        journal=Journal(FileStore(store), ledger, number),
        write_budget=WriteBudget({TABLE: wcu, "g": wcu}),
        read_budget=ReadBudget(rcu),
        outage=Outage(give_up_after_s, events.append),
        emit=events.append,
        stop=stop or StopRequest(),
        sizes=Sizes(item_bytes=1_000.0, workers=workers, max_items=max_items),
        draw=random.Random(table.draw.random()),
    )
    return Harness(context, events)


@asynccontextmanager
async def fake_table(*sizes: int, faults: FaultProfile | None = None) -> AsyncIterator[FakeTable]:
    """A table with segments of these sizes (items), within a task group for its late writes."""
    table = FakeTable(sizes, random.Random(1), faults or FaultProfile())
    async with anyio.create_task_group() as table.tasks:
        yield table
