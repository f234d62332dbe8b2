"""The promises under random schedules: faults of every kind, other writers, stops and crashes at any time."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from hypothesis import given
from hypothesis import strategies as st

from refire_async.checkpoint.history import History
from refire_async.checkpoint.pages import AcknowledgedPage
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts
from refire_async.model.stop import StopRequest
from refire_async.verification.encoding import READ, TOUCHED, digest
from refire_async.verification.expected import ExpectedRows
from tests.pipeline.fake_dynamodb import (
    MANY_FAULTS,
    NO_FAULTS,
    FakeSource,
    FakeTable,
    FakeWriter,
    FaultProfile,
)
from tests.pipeline.harness import Harness, new_attempt
from tests.support.checkpoints import SPEC, crashed_copy, item, new_store, reopened
from tests.support.examples import examples
from tests.support.virtual_time import run_virtual

LONGEST_S = 24 * 3600.0
"""Virtual seconds after which a run counts as hanging."""


@dataclass(frozen=True)
class Case:
    """A table and its faults. `unwritable` is the share of its items that cannot be written."""

    sizes: list[int]
    seed: int
    faults: FaultProfile
    unwritable: float
    workers: int
    carries_marker: bool
    largest: int

    def make_table(self) -> FakeTable:
        table = FakeTable(self.sizes, random.Random(self.seed), self.faults)
        for name in table.first:
            if table.chance(self.unwritable):
                (table.unwritable if table.chance(0.5) else table.poison).add(name)
        return table

    def attempt(self, table: FakeTable, store: Store, stop: StopRequest | None = None) -> Harness:
        source = FakeSource(table, carries_marker=self.carries_marker)
        writer = FakeWriter(table, self.largest)
        return new_attempt(table, store, source=source, writer=writer, workers=self.workers, stop=stop)


cases = st.builds(
    Case,
    sizes=st.lists(
        st.sampled_from([0, 1, 2, 19, 20, 57, 130]) | st.integers(0, 80),
        min_size=1,
        max_size=SPEC.total_segments,
    ),
    seed=st.integers(0, 2**32),
    faults=st.sampled_from(
        [
            NO_FAULTS,
            MANY_FAULTS,
            MANY_FAULTS,
            FaultProfile(late=0.5, lost_answer=0.4),
            FaultProfile(member_throttled=0.4),
        ]
    ),
    unwritable=st.sampled_from([0.0, 0.0, 0.05, 1.0]),
    workers=st.integers(1, 8),
    carries_marker=st.booleans(),
    largest=st.sampled_from([1, 5, 25, 25]),
)


@contextmanager
def checkpoints() -> Iterator[Path]:
    """A folder for the checkpoints of one example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def to_its_end(attempt: Harness) -> str:
    with anyio.fail_after(LONGEST_S):
        return await attempt.run()


def check_history(table: FakeTable, store: Store, counts: Counts) -> None:
    """The history for the verification holds the outcome of each item and the marker that the run wrote."""
    expected = ExpectedRows(SPEC)
    with History(store.path) as history:
        pages = list(history.pages(upto=history.last()))
    said = {row[0]: row for page in pages for row in expected.of(page) if row[4] != READ}
    assert len(said) == expected.count == sum(len(page.items) for page in pages) - noted(pages, "none")
    touched = {row[0] for row in said.values() if row[4] == TOUCHED}
    assert (len(touched), noted(pages, "conflict")) == (counts.touched, counts.conflicts)
    assert len(said) - len(touched) == noted(pages, "already") == counts.already
    # An item that was gone when its marker was looked up is in no ledger.
    assert counts.failed <= noted(pages, "none") <= counts.vanished + counts.failed
    for name in table.first:
        claim = said.get(digest(("pk",), item(name)))
        if claim is None:
            assert not table.fired[name] or name in table.deleted
        elif claim[4] == TOUCHED:
            assert table.wrote[name] == claim[2]


def noted(pages: list[AcknowledgedPage], kind: str) -> int:
    return sum(note[0] == kind for page in pages for note in page.notes)


def check_failures(table: FakeTable, store: Store, counts: Counts) -> None:
    """Exactly the items that cannot be written have failed, each with its own reason."""
    failures = list(store.failures())
    assert {failure.key["pk"]["S"] for failure in failures} == table.unwritable | table.poison
    assert counts.failed == len(failures)
    for failure in failures:
        assert failure.reason in {"invalid", f"ValidationError {failure.key['pk']['S']}"}


@examples(8, 300)
@given(cases)
def test_every_item_fires_once_under_all_faults(case: Case):
    """One attempt. It completes, the counts add up, and exactly the items that cannot be written fail."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> FakeTable:
            table = case.make_table()
            async with anyio.create_task_group() as table.tasks:
                assert await to_its_end(case.attempt(table, store)) == "complete"
            return table

        table, saved = run_virtual(main), store.load()
        table.check_promises(saved.counts)
        check_history(table, store, saved.counts)
        check_failures(table, store, saved.counts)
        assert saved.counts.conflicts == saved.counts.vanished == 0
        assert saved.counts.touched + saved.counts.already + saved.counts.failed == len(table.first)
        assert saved.open_pages == 0
        store.close()


@examples(8, 300)
@given(cases, st.integers(1, 80), st.sampled_from([0.01, 0.1, 1.0]))
def test_updates_and_deletes_of_other_writers_are_never_lost(case: Case, changes: int, pause_s: float):
    """Other writers increment the same marker and delete items. No item fires twice, none comes back."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> FakeTable:
            table = case.make_table()
            async with anyio.create_task_group() as table.tasks:
                table.tasks.start_soon(table.others, changes, pause_s)
                assert await to_its_end(case.attempt(table, store)) == "complete"
            return table

        table = run_virtual(main)
        table.check_promises(store.load().counts)
        check_history(table, store, store.load().counts)
        store.close()


interruptions = st.lists(
    st.tuples(st.sampled_from(["stop", "cancel", "crash"]), st.floats(0.0, 8.0)), min_size=1, max_size=5
)


@examples(10, 400)
@given(cases, interruptions)
def test_a_run_that_is_stopped_or_killed_resumes_and_no_item_fires_twice(
    case: Case, interruptions: list[tuple[str, float]]
):
    """Stopped, cancelled as by a second Ctrl-C, or killed: the last attempt completes the run."""
    with checkpoints() as folder:
        store = new_store(folder / "0.refire")

        async def main() -> tuple[FakeTable, Store]:
            table, current = case.make_table(), store
            async with anyio.create_task_group() as table.tasks:
                for number, (how, after_s) in enumerate(interruptions, 1):
                    copy = folder / f"{number}.refire"
                    await interrupted(case, table, current, how, after_s, copy)
                    if how == "crash" and copy.exists():
                        current.close()
                        current = reopened(copy)
                assert await to_its_end(case.attempt(table, current)) == "complete"
            return table, current

        table, last = run_virtual(main)
        saved = last.load()
        assert saved.open_pages == 0
        table.check_promises(saved.counts)
        check_history(table, last, saved.counts)
        check_failures(table, last, saved.counts)
        last.close()


@examples(10, 400)
@given(cases, interruptions, st.integers(1, 120), st.sampled_from([0.005, 0.05]), st.booleans())
def test_crashes_among_other_writers(
    case: Case, interruptions: list[tuple[str, float]], changes: int, pause_s: float, old_copies: bool
):
    """Killed repeatedly while other writers increment, delete and (`old_copies`) restore older states.

    No item fires twice, except one whose marker was restored to exactly its value before the run's own touch,
    between a crash or an unknown outcome and the next try. Without old copies no second touch is allowed.
    """
    with checkpoints() as folder:
        store = new_store(folder / "0.refire")

        async def main() -> tuple[FakeTable, Store]:
            table, current = case.make_table(), store
            async with anyio.create_task_group() as table.tasks:
                table.tasks.start_soon(partial(table.others, changes, pause_s, old_copies=old_copies))
                for number, (how, after_s) in enumerate(interruptions, 1):
                    copy = folder / f"{number}.refire"
                    await interrupted(case, table, current, how, after_s, copy)
                    if how == "crash" and copy.exists():
                        current.close()
                        current = reopened(copy)
                assert await to_its_end(case.attempt(table, current)) == "complete"
            return table, current

        table, last = run_virtual(main)
        table.check_promises(last.load().counts)
        assert old_copies or not table.repeated_touches.total()
        last.close()


async def interrupted(  # noqa: PLR0917 - the parts of one schedule
    case: Case, table: FakeTable, store: Store, how: str, after_s: float, copy: Path
) -> None:
    """Run an attempt and interrupt it after `after_s`, unless it has ended before."""
    stop = StopRequest()
    with anyio.CancelScope() as scope:

        async def interrupt() -> None:
            await anyio.sleep(after_s)
            if how == "stop":
                stop.request("interrupted")
            else:
                crashed_copy(store, copy)
                scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            status = await to_its_end(case.attempt(table, store, stop))
            assert status == "complete" or stop.reason is not None
            tasks.cancel_scope.cancel()


@examples(5, 200)
@given(cases)
def test_sources_that_repeat_items_fire_them_once(case: Case):
    """An index can return an item twice, in the same page or in another one, also after a resume."""
    with checkpoints() as folder:
        store = new_store(folder / "a.refire")

        async def main() -> FakeTable:
            table = case.make_table()
            table.unwritable.clear()
            table.poison.clear()
            # The last segment repeats the first one: its items moved within the index.
            table.segments.append(list(table.segments[0]))
            async with anyio.create_task_group() as table.tasks:
                for limit in (20, None):
                    source = FakeSource(table, carries_marker=case.carries_marker, may_repeat=True)
                    attempt = new_attempt(table, store, source=source, max_items=limit, workers=case.workers)
                    await to_its_end(attempt)
            return table

        table, counts = run_virtual(main), store.load().counts
        assert all(table.fired[name] == 1 for name in table.first)
        assert counts.settled == counts.scanned >= len(table.first) + len(table.segments[-1])
        assert counts.touched + counts.already == counts.scanned
        store.close()
