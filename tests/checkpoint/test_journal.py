"""The journal: pages are durable when `open` returns, one commit covers many pages, a failure ends the run."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.journal import IDLE_SAVE_S, Journal
from refire_async.checkpoint.ledger import FINISHED, Failure, Ledger, SegmentState
from refire_async.checkpoint.store import Store
from refire_async.errors import StoppedError
from refire_async.model.counts import Counts
from tests.support.checkpoints import crashed_copy, item, new_store, page, reopened
from tests.support.virtual_time import THREAD_S, VIRTUAL_TIME


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL_TIME


class WatchedStore(Store):
    """A store that counts its commits and fails on request."""

    commits = 0
    fails_at: int | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self.commits == self.fails_at:
            raise StoppedError("checkpoint cannot be saved: disk full")
        with super().transaction():
            yield
        self.commits += 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WatchedStore]:
    plain = new_store(tmp_path / "a.refire")
    watched = WatchedStore(plain.path, plain._db)
    yield watched
    watched.close()


@asynccontextmanager
async def at_work(store: Store, ledger: Ledger | None = None) -> AsyncIterator[Journal]:
    """A journal that commits until the block ends, then finishes."""
    journal = Journal(FileStore(store), ledger or Ledger(), process=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        yield journal
        await journal.finish()


async def test_a_page_is_on_disk_when_open_returns(store: WatchedStore, tmp_path: Path):
    """Only then may its writes be sent: a checkpoint copied at that moment contains the page."""
    async with at_work(store) as journal:
        await journal.open(page(1, [item("a", 7)], start={"at": 0}, end={"at": 1}))
        survivor = reopened(crashed_copy(store, tmp_path / "b.refire"))
        progress = survivor.progress(range(4))
        survivor.close()
    assert [(p.items, p.start, p.end) for p in progress.pages] == [([item("a", 7)], {"at": 0}, {"at": 1})]
    assert progress.segments == {0: SegmentState({"at": 1})}


async def test_a_page_is_in_the_ledger_only_once_it_is_on_disk(store: WatchedStore):
    async with at_work(store) as journal, anyio.create_task_group() as tasks:
        tasks.start_soon(journal.open, page(1, [item("a")], end={"at": 1}))
        await anyio.sleep(THREAD_S / 2)
        assert journal.ledger.pages == {}
        assert journal.ledger.segment(0) == SegmentState()
        await anyio.sleep(THREAD_S)
        assert list(journal.ledger.pages) == [1]
        assert journal.ledger.segment(0) == SegmentState({"at": 1})


async def test_pages_that_arrive_during_a_commit_share_the_next_one(store: WatchedStore):
    async with at_work(store) as journal:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.open, page(0, [item("first")], segment=0))
            await anyio.sleep(THREAD_S / 2)
            for number in range(1, 33):
                tasks.start_soon(journal.open, page(number, [item(number)], segment=number))
        assert store.commits == 2
        assert len(journal.ledger.pages) == 33


async def test_closed_and_empty_pages_do_not_wait_for_a_commit(store: WatchedStore):
    """They are saved with the next commit; after a crash before it they are only read again."""
    async with at_work(store) as journal:
        done = page(1, [], end={"at": 1})
        await journal.open(done)
        before = anyio.current_time()
        journal.close(done)
        journal.advance(0, None)
        assert anyio.current_time() - before < 0.0001
        assert journal.ledger.finished_segments == 1
    assert store.progress(range(4)).segments == {0: FINISHED}
    assert store.load().open_pages == 0


async def test_counts_and_closed_pages_are_saved_together(store: WatchedStore, tmp_path: Path):
    """At no time does the file count an item twice or not at all."""
    async with at_work(store) as journal:
        for number in range(20):
            one = page(number, [item(number)], end={"at": number + 1})
            await journal.open(one)
            one.items.clear()
            one.counts.touched = 1
            journal.close(one)
            survivor = reopened(crashed_copy(store, tmp_path / f"{number}.refire"))
            saved = survivor.load()
            in_doubt = sum(len(p.items) for p in survivor.progress(range(4)).pages)
            survivor.close()
            assert saved.counts.scanned == saved.counts.touched
            assert saved.counts.scanned + in_doubt == number + 1
    assert store.load().counts == Counts(scanned=20, touched=20)


async def test_items_that_were_opened_before_are_removed(store: WatchedStore):
    """For sources that can return an item twice: it counts as already fired and is not written again."""
    async with at_work(store) as journal:
        first = page(1, [item("a"), item("b")])
        await journal.open(first, [b"a", b"b"])
        second = page(2, [item("b"), item("c")], segment=1)
        await journal.open(second, [b"b", b"c"])
        third = page(3, [item("a")], segment=2)
        await journal.open(third, [b"a"])
    assert first.items == [item("a"), item("b")]
    assert second.items == [item("c")]
    assert (second.counts.already, second.open_items) == (1, 1)
    assert third.done
    assert [p.items for p in store.progress(range(4)).pages] == [[item("a"), item("b")], [item("c")], []]


async def test_an_orderly_stop_saves_the_open_items_and_failures(store: WatchedStore):
    async with at_work(store) as journal:
        one = page(1, [item("a"), item("b"), item("c")])
        await journal.open(one)
        one.counts.touched += 1
        one.counts.failed += 1
        one.failures.append(Failure({"pk": {"S": "b"}}, "ValidationError", "too large"))
        journal.shrink(one, [item("c")])
    (left,) = store.progress(range(4)).pages
    assert left.items == [item("c")]
    assert left.counts == Counts(scanned=3, touched=1, failed=1)
    assert store.load().counts == Counts(scanned=2, touched=1, failed=1)
    assert [failure.key for failure in store.failures()] == [{"pk": {"S": "b"}}]


async def test_totals_are_saved_regularly_while_idle(store: WatchedStore):
    """So that `refire status` is current while a run waits for capacity."""
    async with at_work(store) as journal:
        journal.totals.wcu += 12.5
        await anyio.sleep(IDLE_SAVE_S * 2.5)
        assert store.commits == 2
        assert store.load().totals.wcu == 12.5
        assert store.load().totals.seconds == pytest.approx(IDLE_SAVE_S * 2, abs=0.1)
    assert store.load().totals.seconds == pytest.approx(IDLE_SAVE_S * 2.5, abs=0.1)


async def test_finish_saves_the_remaining_operations(store: WatchedStore):
    async with at_work(store) as journal:
        one = page(1, [])
        await journal.open(one)
        journal.close(one)
        journal.totals.retries += 3
    assert store.load().open_pages == 0
    assert store.load().totals.retries == 3


async def test_a_commit_that_fails_ends_the_run(store: WatchedStore):
    """`open` does not return, and the page is not in the ledger."""
    opened: list[int] = []
    ledger = Ledger()

    async def open_and_note(journal: Journal, number: int) -> None:
        await journal.open(page(number, [item(number)], segment=number))
        opened.append(number)

    async def work() -> None:
        async with at_work(store, ledger) as journal, anyio.create_task_group() as tasks:
            await open_and_note(journal, 0)
            store.fails_at = store.commits
            for number in (1, 2, 3):
                tasks.start_soon(open_and_note, journal, number)

    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert caught.group_contains(StoppedError, match="disk full")
    assert opened == [0]
    assert list(ledger.pages) == [0]
    assert [p.number for p in store.progress(range(4)).pages] == [0]


async def test_a_page_whose_reader_is_cancelled_is_complete_on_disk(store: WatchedStore):
    """A stop during the commit: the page is in doubt for the next attempt, with its cursor."""
    ledger = Ledger()
    async with at_work(store, ledger) as journal:
        with anyio.move_on_after(THREAD_S / 2):
            await journal.open(page(1, [item("a")], end={"at": 1}))
    assert ledger.pages == {}
    progress = store.progress(range(4))
    assert [p.number for p in progress.pages] == [1]
    assert progress.segments == {0: SegmentState({"at": 1})}


def crash_at_once(journal: Journal) -> None:
    journal.advance(0, {"at": 1})


@pytest.mark.parametrize("last_words", [crash_at_once, lambda _: None])
async def test_cancelling_the_journal_waits_for_the_commit_under_way(
    store: WatchedStore, last_words: Callable[[Journal], None]
):
    """A second Ctrl-C does not tear a transaction: the file is as before or after the commit."""
    journal = Journal(FileStore(store), Ledger(), process=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        tasks.start_soon(journal.open, page(1, [item("a")], segment=1))
        await anyio.sleep(THREAD_S / 2)
        last_words(journal)
        tasks.cancel_scope.cancel()
    assert [p.number for p in store.progress(range(4)).pages] == [1]
    assert not store._db.in_transaction
    assert set(store.progress(range(4)).segments) == {1}


async def test_a_ledger_refuses_impossible_operations(store: WatchedStore):
    """Closing a page that has open items, and reading past the end of a segment."""
    ledger = Ledger()
    with pytest.raises(ValueError, match="1 items without outcome"):
        ledger.close(page(1, [item("a")]))
    ledger.advance(0, None)
    with pytest.raises(ValueError, match="already read to its end"):
        ledger.advance(0, {"at": 1})
