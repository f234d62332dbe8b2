"""A copy of a run in a checkpoint table says what the file of the same run says."""

import random
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from refire_async.aws.session import Session, open_session
from refire_async.checkpoint.dynamodb import claims, runs
from refire_async.checkpoint.dynamodb.blobs import TableBlobs
from refire_async.checkpoint.dynamodb.copy import copy_run
from refire_async.checkpoint.dynamodb.lifecycle import create_table
from refire_async.checkpoint.dynamodb.places import RUN, partitions, segment_place
from refire_async.checkpoint.dynamodb.runs import create
from refire_async.checkpoint.dynamodb.store import TableStore
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Condition, Fields
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.history import History
from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.checkpoint.pages import pack
from refire_async.checkpoint.reading import peek, read_failures, read_pages, read_states
from refire_async.checkpoint.run_store import (
    Commit,
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
    RunStore,
)
from refire_async.checkpoint.store import Store
from refire_async.errors import CheckpointRefusedError
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Item
from refire_async.model.table import Stream
from refire_async.settings import Connection
from tests.support.backends import REGION
from tests.support.checkpoints import SPEC, item, new_store, page

ALL = range(SPEC.total_segments)
ITEMS, STEPS = 4, 60


@pytest.fixture
async def session(sandbox_url: str) -> AsyncIterator[Session]:
    """A session with the sandbox."""
    connection = Connection(endpoint_url=sandbox_url, region=REGION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "COPY")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        async with open_session(connection, 8) as session:
            yield session


@pytest.fixture
async def table(session: Session) -> CheckpointTable:
    """A checkpoint table with the run."""
    made = CheckpointTable(f"refire-{uuid.uuid4().hex[:8]}", session.data)
    await create_table(made)
    assert await create(made, SPEC, Connection(region=REGION), 1, 1.8e9)
    return made


async def opened(table: CheckpointTable) -> TableStore:
    """The run as a process that takes it over."""
    found = await table.get(SPEC.run_id, "task#0")
    if found is not None:
        await claims.release(table, SPEC.run_id, 0, claims.Claim.of(found), finished=False)
    claim = await claims.take(table, SPEC.run_id, 0, claims.own_name())
    store = TableStore(table, SPEC, TableBlobs(table, SPEC.run_id, time.time), claim=claim)
    await store.claim_segments(ALL)
    return store


class Work:
    """Random operations of a run, in an order that the journal may have them."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.pages: list[OpenPage] = []
        self.ends = dict.fromkeys(ALL, 0)
        self.number = 0
        self.closed = Counts()

    def operations(self) -> list[Operation]:
        """One commit."""
        return [one for _ in range(self.draw.randint(1, 3)) for one in self.operation()]

    def operation(self) -> list[Operation]:
        """One change of a segment or a page."""
        kind = self.draw.choice(["open", "open", "close", "close", "amend", "shrink", "move"])
        if kind == "open":
            return [self.open()]
        if kind == "move":
            segment = self.draw.choice(ALL)
            self.ends[segment] += 1
            return [CursorMoved(segment, {"at": self.ends[segment]})]
        if not self.pages:
            return []
        one = self.draw.choice(self.pages)
        if kind == "amend":
            return [PageAmended(one, self.again(one), first=self.draw.random() < 0.5)]
        self.settle(one, len(one.items) if kind == "close" else self.draw.randint(0, len(one.items)))
        if one.items and kind == "shrink":
            return [PageShrunk(one, list(one.items))]
        self.pages.remove(one)
        self.closed.add(one.counts)
        return [PageClosed(one)]

    def open(self) -> PageOpened:
        """The next page of a segment."""
        self.number += 1
        segment = self.draw.choice(ALL)
        start = {"at": self.ends[segment]} if self.ends[segment] else None
        self.ends[segment] += 1
        items = [item(f"{self.number}-{name}", self.draw.randint(0, 3)) for name in range(ITEMS)]
        one = page(self.number, items, segment=segment, start=start, end={"at": self.ends[segment]})
        self.pages.append(one)
        return PageOpened(replace(one, items=list(items), counts=replace(one.counts)))

    def again(self, one: OpenPage) -> list[Item]:
        """Some items of a page, which another writer changed."""
        some = self.draw.sample(range(len(one.items)), self.draw.randint(1, len(one.items)))
        for place in some:
            one.items[place] = one.items[place] | {"revision": {"N": str(self.draw.randint(4, 99))}}
        return [one.items[place] for place in some]

    def settle(self, one: OpenPage, number: int) -> None:
        """The first items of a page have their outcomes."""
        done, one.items = one.items[:number], one.items[number:]
        for each in done:
            outcome = self.draw.choice(["touched", "touched", "conflict", "already", "vanished", "failed"])
            match outcome:
                case "touched":
                    one.touched(1)
                case "conflict":
                    one.touched_after_conflict([each | {"revision": {"N": "500"}}])
                case "already":
                    one.already_fired([each])
                case "vanished":
                    one.vanished([each])
                case "failed":
                    one.failed([each], [Failure({"pk": each["pk"]}, "Validation", "too large")])


def facts(path: Path) -> dict[str, object]:
    """What a checkpoint says, without what depends on who wrote it when."""
    with History(path) as history:
        run = history.run()
        acknowledged = [(one.opened, pack(one.items), repr(one.notes)) for one in history.pages(upto=10**9)]
        streams = history.streams()
    store = Store.open(path)  # which checks everything that it says
    try:
        return {
            "run": (run.spec, run.status, run.counts, run.open_pages, run.finished_segments, run.totals),
            "history": sorted(acknowledged),
            "streams": streams,
            "failures": sorted(map(repr, read_failures(store._db))),
            "pages": list(map(repr, read_pages(store._db))),
            "segments": read_states(store._db),
        }
    finally:
        store.close()


@pytest.mark.parametrize("seed", range(8))
async def test_a_copy_says_what_the_file_says(
    session: Session, table: CheckpointTable, tmp_path: Path, seed: int
) -> None:
    """After random work with processes that take the run over from others, which left blobs that do not count."""
    draw = random.Random(f"copies/{seed}")
    work = Work(draw)
    file = FileStore(new_store(tmp_path / "file.refire"))
    now = [1.8e9]

    def clock() -> float:
        return now[0]

    stores: list[RunStore] = [file, await opened(table)]
    stream = Stream(enabled=True, arn="arn:stream", view_type="NEW_AND_OLD_IMAGES")
    for _ in range(STEPS):
        now[0] += 1.0
        operations = work.operations()
        for store in stores:
            store.clock = clock
            copied = [
                replace(one, page=_copy(one.page)) if hasattr(one, "page") else one for one in operations
            ]
            await store.commit(Commit(copied, 0, replace(work.closed), Totals(wcu=7.5, seconds=3.0)))
        if draw.random() < 0.1:  # a process is cut off between the blob of its page and the segment's item
            await TableBlobs(table, SPEC.run_id, clock).write(
                0, f"page#{900 + draw.randint(0, 9)}#0", pack([item("orphan", 1)]), {"opened": {"N": "1"}}
            )
            await stores[1].settle()
            stores[1] = await opened(table)
            await stores[1].progress(ALL)
    for store in stores:
        await store.start_attempt(stream)
        await store.settle()
    await copy_run(table, SPEC.run_id, tmp_path / "copy.refire", session.services, history=True)
    assert facts(tmp_path / "copy.refire") == facts(tmp_path / "file.refire")
    assert work.closed.touched > 20


def _copy(one: OpenPage) -> OpenPage:
    """A page as it is now, because a store may keep it."""
    return replace(one, items=list(one.items), counts=replace(one.counts), notes=list(one.notes))


async def test_a_copy_without_history_needs_no_pages(
    session: Session, table: CheckpointTable, tmp_path: Path
) -> None:
    """Status and report do not read what was acknowledged."""
    store = await opened(table)
    one = page(1, [item("a", 1)], end={"at": 1})
    await store.commit(Commit([PageOpened(_copy(one))], 0, Counts(), Totals()))
    one.touched(1)
    await store.commit(Commit([PageClosed(one)], 0, one.counts, Totals()))
    await store.settle()
    await copy_run(table, SPEC.run_id, tmp_path / "copy.refire", session.services, history=False)
    assert peek(tmp_path / "copy.refire").counts.touched == 1
    with History(tmp_path / "copy.refire") as history:
        assert history.last() == 0
        assert history.by_service()


HOSTILE = {
    "a status": (RUN, "run_status", {"S": "flying"}),
    "a spec": (RUN, "spec", {"S": "[]"}),
    "a spec of another run": (RUN, "spec", {"S": '{"run_id": "other"}'}),
    "a time": (RUN, "created_at", {"S": "yesterday"}),
    "tasks": (RUN, "tasks", {"S": "1"}),
    "a connection": (RUN, "connection", {"S": '{"region": 5}'}),
    "a segment": ("segment", "data", {"S": '{"cursor": 7}'}),
    "negative counts": (
        "segment",
        "data",
        {"S": '{"cursor": null, "finished": true, "closed": {"touched": -1}, "pages": {}}'},
    ),
    "a page without blob": (
        "segment",
        "data",
        {
            "S": '{"cursor": null, "finished": true, "closed": {}, "pages": {"3": {"start": null, "end": null,'
            ' "opened": 1.0, "units": 1.0, "items": 1, "counts": {}, "failures": [], "revision": 0}}}'
        },
    ),
    "bytes": ("segment", "data", {"B": "AAAA"}),
}


async def all_of(table: CheckpointTable) -> None:
    """Read what a process reads that takes the run over."""
    store = await opened(table)
    await store.progress(ALL)
    await store.load()


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_others_wrote_is_refused(
    session: Session, table: CheckpointTable, tmp_path: Path, what: str
) -> None:
    """In one line that names the run, for a run as for a copy; never another error."""
    await opened(table)
    name, attribute, value = HOSTILE[what]
    place = (SPEC.run_id, RUN) if name == RUN else segment_place(SPEC.run_id, 2)
    assert await table.update(*place, {attribute: value}, Condition("attribute_exists(id)", {}))
    with pytest.raises(CheckpointRefusedError, match=f"run {SPEC.run_id} .* is damaged"):
        await copy_run(table, SPEC.run_id, tmp_path / "copy.refire", session.services, history=True)
    with pytest.raises(CheckpointRefusedError, match="is damaged"):
        await all_of(table)


async def test_a_complete_run_expires(table: CheckpointTable) -> None:
    """With everything of it; a run that is not complete keeps its item, its segments and its claims."""
    store = await opened(table)
    one = page(1, [item("a", 1)])
    await store.commit(Commit([PageOpened(_copy(one))], 0, Counts(), Totals()))
    await store.settle()
    lasting = [one["name"]["S"] async for one in everything(table) if "expires_at" not in one]
    assert {RUN, "task#0", "process#0", "segment#000000"} <= set(lasting)
    assert not [name for name in lasting if name.startswith("blob#")]
    await store.save_status("complete")
    assert not [one["name"]["S"] async for one in everything(table) if "expires_at" not in one]


async def everything(table: CheckpointTable) -> AsyncIterator[Fields]:
    """All items of the run."""
    for place in (SPEC.run_id, *partitions(SPEC.run_id)):
        async for one in table.query(place, ""):
            yield one


async def test_nothing_continues_a_run_that_was_removed_in_part(table: CheckpointTable) -> None:
    """Whatever a removal that was cut off has left, the id cannot be used before it is removed to its end."""
    store = await opened(table)
    await store.commit(Commit([CursorMoved(0, None)], 0, Counts(), Totals()))
    await store.settle()
    there = Condition("attribute_exists(id)", {})
    await table.update(SPEC.run_id, RUN, {"run_status": {"S": runs.FORGOTTEN}}, there)
    with pytest.raises(CheckpointRefusedError, match="was being removed"):
        await runs.find(table, SPEC.run_id)
    await table.delete(SPEC.run_id, RUN)  # as TTL may: in any order
    with pytest.raises(CheckpointRefusedError, match="segments of an earlier run"):
        await create(table, SPEC, Connection(), 1, 1.8e9)
    assert await runs.forget(table, SPEC.run_id) > 0
    assert await create(table, SPEC, Connection(), 1, 1.8e9)
    assert (await runs.load(table, SPEC.run_id)).finished_segments == 0
