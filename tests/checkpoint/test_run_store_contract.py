"""What every store of a run's state does, whatever it is made of: one suite, run for each implementation."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from refire_async.aws.session import open_session
from refire_async.checkpoint.dynamodb import claims
from refire_async.checkpoint.dynamodb.blobs import Blobs, open_blobs
from refire_async.checkpoint.dynamodb.lifecycle import create_table
from refire_async.checkpoint.dynamodb.runs import create
from refire_async.checkpoint.dynamodb.store import TableStore
from refire_async.checkpoint.dynamodb.table import CheckpointTable
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.ledger import FINISHED, Failure, SegmentState
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
from refire_async.errors import StoppedError
from refire_async.model.counts import Counts, Totals
from refire_async.model.table import Stream
from refire_async.settings import Connection
from tests.support.backends import REGION
from tests.support.checkpoints import SPEC, item, new_store, page, reopened
from tests.support.moto import Moto, moto

__all__ = ["moto"]

ALL = range(SPEC.total_segments)


@pytest.fixture(params=["file", "table", "archive"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunStore]:
    """A store of a new run, which is empty: a file, a table, or a table with an archive in S3."""
    if request.param == "file":
        file = new_store(tmp_path / "a.refire")
        yield FileStore(file)
        file.close()
        return
    connection = Connection(endpoint_url=request.getfixturevalue("sandbox_url"), region=REGION)
    archive = "s3://pages/runs" if request.param == "archive" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "CONTRACT")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        if archive is not None:
            moto: Moto = request.getfixturevalue("moto")
            patch.setenv("AWS_ENDPOINT_URL_S3", moto.url)
            with closing(moto.client("s3")) as s3:
                s3.create_bucket(Bucket="pages", CreateBucketConfiguration={"LocationConstraint": REGION})
        async with open_session(connection, 8) as session:
            table = CheckpointTable(f"refire-{uuid.uuid4().hex[:8]}", session.data)
            await create_table(table)
            assert await create(table, SPEC, connection, 1, 1.8e9, archive=archive)
            async with open_blobs(table, SPEC.run_id, archive, session.services, time.time) as blobs:
                yield await opened(table, blobs)


async def opened(table: CheckpointTable, blobs: Blobs) -> TableStore:
    """The run as a task that claims all its segments."""
    claim = await claims.take(table, SPEC.run_id, 0, claims.own_name())
    store = TableStore(table, SPEC, blobs, claim=claim)
    await store.claim_segments(ALL)
    return store


async def again(store: RunStore) -> RunStore:
    """What another process sees that opens the run now."""
    if isinstance(store, FileStore):
        return FileStore(reopened(store.outputs))
    assert isinstance(store, TableStore)
    table, claim = store._table, store._must_claim()
    await claims.release(table, SPEC.run_id, 0, claim, finished=False)
    return await opened(table, store._blobs)


async def commit(store: RunStore, *operations: Operation, counts: Counts | None = None) -> None:
    """A commit, and what the store put off because no write of the run depends on it."""
    await store.commit(Commit(operations, 0, counts or Counts(), Totals(wcu=2.5)))
    await store.settle()


async def test_a_new_run_has_not_read_anything(store: RunStore) -> None:
    """Its status is running from the start, so that a crash leaves a run that can be resumed."""
    saved = await store.load()
    assert (saved.spec, saved.status, saved.counts) == (SPEC, "running", Counts())
    assert (saved.open_pages, saved.finished_segments, saved.next_attempt) == (0, 0, 0)
    progress = await store.progress(ALL)
    assert (progress.segments, progress.pages) == ({}, [])


async def test_an_opened_page_is_in_doubt_for_the_next_process(store: RunStore) -> None:
    """Its items with their markers, where it starts and ends; the segment goes on behind it."""
    await commit(
        store, PageOpened(page(7, [item("a", 1), item("b")], segment=2, start={"at": 1}, end={"at": 3}))
    )
    (found,) = (await (await again(store)).progress(ALL)).pages
    assert found.in_doubt
    assert (found.number, found.segment, found.items) == (7, 2, [item("a", 1), item("b")])
    assert (found.start, found.end, found.item_units) == ({"at": 1}, {"at": 3}, 1.0)
    assert found.counts == Counts(scanned=2)
    assert (await store.progress(ALL)).segments == {2: SegmentState({"at": 3})}
    assert (await store.load()).next_attempt == 1


async def test_only_the_segments_that_are_asked_for_are_read(store: RunStore) -> None:
    """A task must not take the pages of another one for its own."""
    await commit(
        store, PageOpened(page(1, [item("a")], segment=0)), PageOpened(page(2, [item("b")], segment=1))
    )
    progress = await store.progress({1, 3})
    assert [one.number for one in progress.pages] == [2]
    assert progress.segments == {1: FINISHED}


async def test_closed_pages_are_counted_once(store: RunStore) -> None:
    """The page leaves the ledger in the same commit in which its items are counted."""
    done = page(1, [item("a"), item("b"), item("c")], end={"at": 3})
    await commit(store, PageOpened(done))
    done.touched(2)
    done.failed([item("c")], [Failure({"pk": {"S": "c"}}, "ValidationError", "too large")])
    await commit(store, PageClosed(done), counts=done.counts)
    saved = await (await again(store)).load()
    assert saved.counts == Counts(scanned=3, touched=2, failed=1)
    assert saved.totals.wcu == 2.5
    assert saved.open_pages == 0
    assert [block async for block in store.failures()] == [
        [Failure({"pk": {"S": "c"}}, "ValidationError", "too large")]
    ]


async def test_the_next_page_and_the_end_of_the_one_before_are_one_commit(store: RunStore) -> None:
    """As the pipeline does it: open the next one while the first is closed."""
    first, second = page(1, [item("a")], end={"at": 1}), page(2, [item("b")], start={"at": 1})
    await commit(store, PageOpened(first))
    first.touched(1)
    await commit(store, PageClosed(first), PageOpened(second), counts=first.counts)
    progress = await store.progress(ALL)
    assert [one.number for one in progress.pages] == [2]
    assert progress.segments == {0: FINISHED}
    assert (await store.load()).counts == Counts(scanned=1, touched=1)


async def test_an_amended_page_has_the_later_markers(store: RunStore) -> None:
    """What a resume compares with is the state from which the next write starts."""
    opened = page(1, [item("a", 1), item("b", 1)])
    await commit(store, PageOpened(opened))
    await commit(store, PageAmended(opened, [item("b", 5)], first=True))
    (found,) = (await store.progress(ALL)).pages
    assert found.items == [item("a", 1), item("b", 5)]


async def test_a_stop_leaves_only_what_has_no_outcome(store: RunStore) -> None:
    """The others are counted, once."""
    opened = page(1, [item("a", 1), item("b", 1), item("c", 1)], end={"at": 3})
    await commit(store, PageOpened(opened))
    opened.touched(1)
    opened.vanished([item("b", 1)])
    await commit(store, PageShrunk(opened, [item("c", 1)]))
    (found,) = (await store.progress(ALL)).pages
    assert found.items == [item("c", 1)]
    assert (await store.load()).counts == Counts(scanned=2, touched=1, vanished=1)


@pytest.mark.parametrize("store", ["file"], indirect=True)
async def test_keys_that_the_run_has_opened_before_are_left_out(store: RunStore) -> None:
    """For sources that can return an item twice, also across pages and processes."""
    first, second = page(1, [item("a"), item("b")]), page(2, [item("b"), item("c")], segment=1)
    await commit(store, PageOpened(first, [b"a" * 16, b"b" * 16]))
    await commit(await again(store), PageOpened(second, [b"b" * 16, b"c" * 16]))
    assert first.items == [item("a"), item("b")]
    assert second.items == [item("c")]
    assert (second.counts.already, second.open_items) == (1, 1)


async def test_cursors_move_without_pages(store: RunStore) -> None:
    """Pages without items cost no entry in the ledger."""
    await commit(store, CursorMoved(0, {"at": 9}), CursorMoved(1, None))
    assert (await (await again(store)).progress(ALL)).segments == {0: SegmentState({"at": 9}), 1: FINISHED}
    assert (await store.load()).finished_segments == 1


async def test_status_and_times_are_saved(store: RunStore) -> None:
    """By the store's clock, which is the service's."""
    store.clock = lambda: 1_900_000_000.4
    await store.start_attempt(Stream(enabled=True, arn="arn:1", view_type="KEYS_ONLY"))
    await store.save_clock(12.5)
    await store.save_status("complete")
    saved = await store.load()
    assert saved.status == "complete"
    assert saved.updated_s == 1_900_000_000


async def test_a_process_that_lost_its_claim_writes_nothing_more(store: RunStore) -> None:
    """In a table: its next commit is refused with the new owner, and its successor sees what was saved before."""
    if isinstance(store, FileStore):
        return  # one process holds the lock of a file
    opened_page = page(1, [item("a")], end={"at": 1})
    await commit(store, PageOpened(opened_page))
    successor = await again(store)
    for operation in (PageOpened(page(2, [item("b")])), PageAmended(opened_page, [item("a", 9)], first=True)):
        with pytest.raises(StoppedError, match="took this one for dead"):
            await store.commit(Commit([operation], 0, Counts(), Totals()))
    (found,) = (await successor.progress(ALL)).pages
    assert (found.number, found.items) == (1, [item("a")])
