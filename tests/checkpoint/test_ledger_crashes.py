"""Ledger and store against crashes at any moment: nothing is lost, nothing is done twice, counts add up.

A table of a few items in two segments is read page by page. Writes reach it at once; what the ledger says reaches
the disk with the next commit. A crash takes the memory away and leaves the file and its log as they are.
"""

import itertools
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from refire_async.checkpoint.journal import Operation
from refire_async.checkpoint.ledger import Failure, Ledger, OpenPage
from refire_async.checkpoint.store import Store
from refire_async.model.counts import Counts
from refire_async.model.keys import Item
from refire_async.model.totals import Totals
from refire_async.pipeline.sorting import sort_found
from tests.support.checkpoints import SPEC, crashed_copy, item, new_store, reopened

SEGMENTS, ITEMS = 2, 9


class Crashes(RuleBasedStateMachine):
    """What a run does to ledger and store, in any order that its tasks could take, with crashes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.files = (Path(self.folder.name) / f"{n}.refire" for n in itertools.count())
        self.revision = {name: 0 for segment in range(SEGMENTS) for name in self.names(segment)}
        self.unwritable: set[str] = set()
        self.store = new_store(next(self.files))
        self.sitting = 0
        self.begin_sitting()

    # The table, and the way a run sees it.

    @staticmethod
    def names(segment: int) -> list[str]:
        return [f"{segment}-{place}" for place in range(ITEMS)]

    def place(self, segment: int) -> int:
        state = self.ledger.segment(segment)
        if state.finished:
            return ITEMS
        return 0 if state.cursor is None else int(state.cursor["at"])

    def has_outcome(self, name: str) -> bool:
        return self.revision[name] > 0 or name in self.unwritable

    # A sitting.

    def begin_sitting(self) -> None:
        progress = self.store.progress(range(SEGMENTS))
        self.ledger = Ledger(first_page=self.sitting * 1_000)
        self.ledger.restore(progress.segments, progress.pages)
        self.waiting: list[Operation] = []
        self.opening: dict[int, OpenPage] = {}
        self.rest: dict[int, list[Item]] = {}
        for page in self.ledger.pages.values():
            found = {(("S", name),): item(name, revision or None) for name, revision in self.revision.items()}
            sort_found(SPEC, page, found)
            self.rest[page.number] = list(page.items)
        self.check_what_is_saved(self.store)

    def settle(self, page: OpenPage, one: Item) -> None:
        """The table's answer to the conditional write of one item."""
        name = one["pk"]["S"]
        expected = int(one["revision"]["N"]) if "revision" in one else 0
        self.rest[page.number].remove(one)
        if name in self.unwritable:
            page.failures.append(Failure({"pk": one["pk"]}, "ValidationError", "too large"))
            page.counts.failed += 1
        elif self.revision[name] == expected:
            self.revision[name] += 1
            page.counts.touched += 1
        else:
            page.counts.already += 1

    def open_pages(self) -> list[OpenPage]:
        return [page for page in self.ledger.pages.values() if self.rest[page.number]]

    @rule(segment=st.integers(0, SEGMENTS - 1), size=st.integers(1, 4), more=st.booleans())
    def read_a_page(self, segment: int, size: int, more: bool) -> None:
        """A reader waits for its page to be durable before it reads on."""
        if self.ledger.segment(segment).finished or any(p.segment == segment for p in self.opening.values()):
            return
        at = self.place(segment)
        names = self.names(segment)[at : at + size]
        # With Limit equal to what is left a key still comes back, and the page after it is empty.
        end = None if at + size > ITEMS or (at + size == ITEMS and not more) else {"at": at + size}
        start = None if at == 0 else {"at": at}
        if not names:
            self.ledger.advance(segment, end)
            self.waiting.append(lambda store: store.move_cursor(segment, end))
            return
        page = OpenPage(
            self.ledger.next_number(),
            segment,
            [item(name, self.revision[name] or None) for name in names],
            start,
            end,
            1.0,
            Counts(scanned=len(names)),
        )
        self.opening[page.number] = page
        self.waiting.append(lambda store: store.open_page(page))

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self) -> None:
        counts = Counts(**self.ledger.closed.to_json())
        with self.store.transaction():
            for operation in self.waiting:
                operation(self.store)
            self.store.save_part(self.sitting * 1_024, counts, Totals())
        self.waiting = []
        for page in self.opening.values():
            self.ledger.open(page)
            self.rest[page.number] = list(page.items)
        self.opening = {}
        self.check_what_is_saved(self.store)

    @precondition(lambda self: self.open_pages())
    @rule(data=st.data(), how_many=st.integers(1, 4))
    def write_some_items(self, data: st.DataObject, how_many: int) -> None:
        page = data.draw(st.sampled_from(self.open_pages()))
        for one in self.rest[page.number][:how_many]:
            self.settle(page, one)

    @precondition(lambda self: any(page.done for page in self.ledger.pages.values()))
    @rule()
    def close_pages(self) -> None:
        for page in [page for page in self.ledger.pages.values() if page.done]:
            self.ledger.close(page)
            self.waiting.append(lambda store, page=page: store.close_page(page))

    @rule(segment=st.integers(0, SEGMENTS - 1), place=st.integers(0, ITEMS - 1))
    def an_item_becomes_unwritable(self, segment: int, place: int) -> None:
        name = self.names(segment)[place]
        if not self.revision[name]:
            self.unwritable.add(name)

    @rule()
    def crash(self) -> None:
        """Memory is gone, and so is what waits for a commit."""
        copy = crashed_copy(self.store, next(self.files))
        self.store.close()
        self.store = reopened(copy)
        self.sitting = self.store.load().next_sitting
        self.begin_sitting()

    @rule()
    def stop_in_order(self) -> None:
        """What is in flight is finished; what is left of open pages is saved as the rest."""
        for page in self.open_pages():
            self.waiting.append(lambda store, page=page: store.shrink_page(page, self.rest[page.number]))
        self.close_pages()
        self.waiting.append(lambda _: None)
        self.commit()
        self.store.close()
        self.store = reopened(self.store.path)
        self.sitting = self.store.load().next_sitting
        self.begin_sitting()

    # What must hold after every step.

    @invariant()
    def nothing_fires_twice(self) -> None:
        assert set(self.revision.values()) <= {0, 1}

    @invariant()
    def counts_add_up(self) -> None:
        assert self.ledger.closed.scanned == self.ledger.closed.settled
        for page in self.ledger.pages.values():
            assert page.open_items == len(self.rest[page.number])

    @invariant()
    def no_watermark_passes_an_unacknowledged_item(self) -> None:
        for segment in range(SEGMENTS):
            mark = self.ledger.watermark(segment)
            behind = ITEMS if mark.finished else 0 if mark.cursor is None else mark.cursor["at"]
            assert all(self.has_outcome(name) for name in self.names(segment)[:behind])

    @invariant()
    def cursors_stand_at_the_end_of_what_is_in_the_ledger(self) -> None:
        for segment in range(SEGMENTS):
            ends = [p.end for p in self.ledger.pages.values() if p.segment == segment]
            reached = [ITEMS if end is None else end["at"] for end in ends]
            assert max(reached, default=0) <= self.place(segment)

    def check_what_is_saved(self, store: Store) -> None:
        """The file alone: every item before a cursor has its outcome or is in a page of the ledger."""
        progress, saved = store.progress(range(SEGMENTS)), store.load()
        in_doubt = {one["pk"]["S"] for page in progress.pages for one in page.items}
        passed = 0
        for segment, state in progress.segments.items():
            behind = ITEMS if state.finished else state.cursor["at"] if state.cursor else 0
            passed += behind
            for name in self.names(segment)[:behind]:
                assert self.has_outcome(name) or name in in_doubt
        assert saved.counts.scanned == saved.counts.settled
        assert saved.counts.scanned == passed - len(in_doubt)
        assert saved.open_pages == len(progress.pages)
        assert saved.counts.failed == len(list(store.failures()))

    def teardown(self) -> None:
        """A last sitting finishes the run: every item has fired once or is among the failed."""
        self.crash()
        for segment in range(SEGMENTS):
            while not self.ledger.segment(segment).finished:
                self.read_a_page(segment, 3, more=True)
                if self.waiting:
                    self.commit()
        for page in self.open_pages():
            for one in list(self.rest[page.number]):
                self.settle(page, one)
        self.close_pages()
        self.waiting.append(lambda _: None)
        self.commit()
        counts = self.store.load().counts
        failed = {failure.key["pk"]["S"] for failure in self.store.failures()}
        assert counts.scanned == counts.settled == SEGMENTS * ITEMS
        assert {name for name, revision in self.revision.items() if revision == 0} == failed
        assert counts.touched <= SEGMENTS * ITEMS - len(failed)
        self.store.close()
        self.folder.cleanup()


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(deadline=None, max_examples=40, stateful_step_count=40)
