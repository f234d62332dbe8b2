"""Ledger and store with crashes at any time and other writers: no item is lost or touched twice, counts add up.

A table of a few items in two segments is read page by page. Writes reach it at once, or late, after their answer was
given up; others count the marker up and delete items. What the ledger says reaches the store with the next commit. A
crash takes the memory away and leaves the file and its log, or the items of the table, as they are; also in the middle
of a commit. The promises are checked after every step.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from refire_async.checkpoint.ledger import Failure, Ledger, OpenPage
from refire_async.checkpoint.run_store import (
    CursorMoved,
    Operation,
    PageAmended,
    PageClosed,
    PageOpened,
    PageShrunk,
)
from refire_async.model.counts import Counts
from refire_async.model.keys import Item
from refire_async.pipeline.triage import resolve_in_doubt
from tests.checkpoint.places import FilePlace, Place, TablePlace
from tests.support.checkpoints import SPEC, item
from tests.support.examples import examples

SEGMENTS, ITEMS = 2, 9  # of the four segments of the run


def marker_of(one: Item) -> int:
    """The revision with which an item was read; 0 if it had none."""
    return int(one["revision"]["N"]) if "revision" in one else 0


class Crashes(RuleBasedStateMachine):
    """The operations of a run on ledger and store, in any order that its tasks can take, with crashes in between."""

    make: ClassVar[Callable[[], Place]]

    def __init__(self) -> None:
        super().__init__()
        names = [name for segment in range(SEGMENTS) for name in self.names(segment)]
        self.first = {name: place % 3 for place, name in enumerate(names)}
        self.revision = dict(self.first)
        self.unwritable: set[str] = set()
        self.fired: Counter[str] = Counter()
        self.by_others: Counter[str] = Counter()
        self.touched_from: defaultdict[str, set[int]] = defaultdict(set)
        self.put_back: set[str] = set()
        self.on_their_way: list[Item] = []
        """Conditional writes without an answer, by this process or one that died."""
        self.read_durably = 0
        self.store = type(self).make()
        self.begin_attempt()

    # The table as a run sees it.

    @staticmethod
    def names(segment: int) -> list[str]:
        return [f"{segment}-{place}" for place in range(ITEMS)]

    def place(self, segment: int) -> int:
        state = self.ledger.segment(segment)
        if state.finished:
            return ITEMS
        return 0 if state.cursor is None else int(state.cursor["at"])

    def has_outcome(self, name: str) -> bool:
        """Whether an item needs no further event: it has emitted a record, is gone, or cannot be written."""
        return (
            self.fired[name] > 0
            or self.by_others[name] > 0
            or name not in self.revision
            or name in self.unwritable
        )

    def is_left_alone(self, one: Item) -> bool:
        """Whether the item exists and no other writer changed it."""
        return not self.by_others[one["pk"]["S"]]

    def touch(self, one: Item) -> bool:
        """The table's answer to a conditional write: whether its condition held."""
        name = one["pk"]["S"]
        if name not in self.revision or self.revision[name] != marker_of(one):
            return False
        # The documented limit: the marker was taken back to exactly the value that an earlier touch started from.
        excused = self.revision[name] in self.touched_from[name] and name in self.put_back
        assert not self.fired[name] or excused, f"{name} fired twice"
        self.touched_from[name].add(self.revision[name])
        self.revision[name] += 1
        self.fired[name] += 1
        return True

    # An attempt.

    def begin_attempt(self) -> None:
        progress = self.store.progress()
        self.ledger = Ledger(first_page=self.store.number)
        self.ledger.restore(progress.segments, progress.pages)
        self.waiting: list[Operation] = []
        self.opening: dict[int, OpenPage] = {}
        self.rest: dict[int, list[Item]] = {}
        self.amending: list[tuple[OpenPage, Item]] = []
        self.doubtful: set[str] = set()
        for page in self.ledger.pages.values():
            found = {(("S", name),): item(name, revision or None) for name, revision in self.revision.items()}
            resolve_in_doubt(SPEC, page, found)
            self.rest[page.number] = list(page.items)
            self.doubtful |= {one["pk"]["S"] for one in page.items}
        self.check_what_is_saved()

    def settle(self, page: OpenPage, one: Item) -> None:
        """Write one item and handle the table's answer."""
        name = one["pk"]["S"]
        self.rest[page.number].remove(one)
        if name in self.unwritable:
            page.failures.append(Failure({"pk": one["pk"]}, "ValidationError", "too large"))
            page.counts.failed += 1
        elif self.touch(one):
            page.counts.touched += 1
        elif name in self.doubtful:
            page.counts.already += 1
        elif name not in self.revision:
            page.counts.vanished += 1
        else:  # a conflict: looked at again, and into the ledger before it is sent
            now = item(name, self.revision[name] or None)
            self.amending.append((page, now))
            self.waiting.append(PageAmended(page, [now], first=True))

    def open_pages(self) -> list[OpenPage]:
        return [page for page in self.ledger.pages.values() if self.rest[page.number]]

    @rule(segment=st.integers(0, SEGMENTS - 1), size=st.integers(1, 4), more=st.booleans())
    def read_a_page(self, segment: int, size: int, more: bool) -> None:
        """A reader waits for its page to be durable before it reads on."""
        if self.ledger.segment(segment).finished or any(p.segment == segment for p in self.opening.values()):
            return
        at = self.place(segment)
        names = [name for name in self.names(segment)[at : at + size] if name in self.revision]
        # With Limit equal to what is left a key still comes back, and the page after it is empty.
        end = None if at + size > ITEMS or (at + size == ITEMS and not more) else {"at": at + size}
        start = None if at == 0 else {"at": at}
        if not names:
            self.ledger.advance(segment, end)
            self.waiting.append(CursorMoved(segment, end))
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
        self.waiting.append(PageOpened(page))

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self) -> None:
        self.store.commit(self.waiting, Counts(**self.ledger.closed.to_json()))
        self.waiting = []
        for page in self.opening.values():
            self.ledger.open(page)
            self.rest[page.number] = list(page.items)
            self.read_durably += len(page.items)
        self.opening = {}
        for page, now in self.amending:
            self.rest[page.number].append(now)
        self.amending = []
        self.check_what_is_saved()

    @precondition(lambda self: self.open_pages())
    @rule(data=st.data(), how_many=st.integers(1, 2))
    def write_some_items(self, data: st.DataObject, how_many: int) -> None:
        page = data.draw(st.sampled_from(self.open_pages()))
        # Items that other writers changed come first, because more can go wrong with them.
        for one in sorted(self.rest[page.number], key=self.is_left_alone)[:how_many]:
            self.settle(page, one)

    @precondition(lambda self: any(page.done for page in self.ledger.pages.values()))
    @rule()
    def close_pages(self) -> None:
        for page in [page for page in self.ledger.pages.values() if page.done]:
            self.ledger.close(page)
            self.waiting.append(PageClosed(page))

    @rule(segment=st.integers(0, SEGMENTS - 1), place=st.integers(0, ITEMS - 1))
    def an_item_becomes_unwritable(self, segment: int, place: int) -> None:
        name = self.names(segment)[place]
        if not self.has_outcome(name) and name not in {one["pk"]["S"] for one in self.on_their_way}:
            self.unwritable.add(name)

    @precondition(lambda self: self.open_pages())
    @rule(data=st.data())
    def an_answer_is_lost(self, data: st.DataObject) -> None:
        """The write was sent; it may arrive at any time or never."""
        page = data.draw(st.sampled_from(self.open_pages()))
        one = data.draw(st.sampled_from(self.rest[page.number]))
        if one["pk"]["S"] not in self.unwritable:
            self.on_their_way.append(one)
            self.doubtful.add(one["pk"]["S"])

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data())
    def a_late_write_arrives(self, data: st.DataObject) -> None:
        """It may be the write of a process that died long ago."""
        one = data.draw(st.sampled_from(self.on_their_way))
        self.on_their_way.remove(one)
        self.touch(one)

    @rule(
        data=st.data(), what=st.sampled_from(["counts up", "puts an old copy", "puts an old copy", "deletes"])
    )
    def another_writer(self, data: st.DataObject, what: str) -> None:
        """The application uses the marker itself, restores earlier versions of items, and deletes.

        Preferably where it can do harm: to items whose writes are under way.
        """
        open_items = {one["pk"]["S"] for page in self.open_pages() for one in self.rest[page.number]}
        names = sorted(open_items & self.revision.keys()) or sorted(self.revision)
        if not names:
            return
        name = data.draw(st.sampled_from(names))
        if what == "deletes":
            del self.revision[name]
        elif what == "counts up":
            self.revision[name] += 1
            self.by_others[name] += 1
        elif self.revision[name]:
            self.revision[name] -= 1
            self.by_others[name] += 1
            self.put_back.add(name)

    @rule()
    def crash(self) -> None:
        """Memory and uncommitted operations are lost."""
        self.store.crash()
        self.begin_attempt()

    @precondition(lambda self: self.waiting)
    @rule(writes=st.integers(0, 6))
    def crash_in_a_commit(self, writes: int) -> None:
        """The operations of a segment are saved, or none."""
        self.store.cut(self.waiting, Counts(**self.ledger.closed.to_json()), writes)
        self.store.crash()
        in_doubt = sum(len(page.items) for page in self.store.progress().pages)
        self.read_durably = self.store.load().counts.scanned + in_doubt
        self.begin_attempt()

    @rule()
    def stop_in_order(self) -> None:
        """Requests in flight are completed; the open items of pages are saved."""
        if self.amending:
            self.commit()  # a look-up that is on its way is finished
        for page in self.open_pages():
            self.waiting.append(PageShrunk(page, list(self.rest[page.number])))
        self.close_pages()
        self.commit()
        self.store.stop()
        self.begin_attempt()

    # Invariants after every step.

    @invariant()
    def nothing_fires_twice(self) -> None:
        assert all(times == 1 for name, times in self.fired.items() if name not in self.put_back)

    @invariant()
    def no_update_is_lost_and_nothing_comes_back(self) -> None:
        for name, revision in self.revision.items():
            assert (
                name in self.put_back
                or revision == self.first[name] + self.fired[name] + self.by_others[name]
            )

    @invariant()
    def counts_add_up(self) -> None:
        assert self.ledger.closed.scanned == self.ledger.closed.settled
        for page in self.ledger.pages.values():
            amending = sum(amended is page for amended, _ in self.amending)
            assert page.open_items == len(self.rest[page.number]) + amending

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

    def check_what_is_saved(self) -> None:
        """In the store: every item before a cursor has an outcome or is in a page of the ledger."""
        progress, saved = self.store.progress(), self.store.load()
        in_doubt = {one["pk"]["S"] for page in progress.pages for one in page.items}
        for segment, state in progress.segments.items():
            behind = ITEMS if state.finished else state.cursor["at"] if state.cursor else 0
            for name in self.names(segment)[:behind]:
                assert self.has_outcome(name) or name in in_doubt
        assert saved.counts.scanned == saved.counts.settled
        assert saved.counts.scanned == self.read_durably - sum(len(page.items) for page in progress.pages)
        assert saved.open_pages == len(progress.pages)
        # A table has the failures of a page before the page is closed.
        assert saved.counts.failed <= len(self.store.failures())

    def teardown(self) -> None:
        """A last attempt completes the run: every item has a record, is gone, or has failed."""
        self.crash()
        for segment in range(SEGMENTS):
            while not self.ledger.segment(segment).finished:
                self.read_a_page(segment, 3, more=True)
                if self.waiting:
                    self.commit()
        while self.open_pages() or self.amending:
            for page in self.open_pages():
                for one in list(self.rest[page.number]):
                    self.settle(page, one)
            if self.amending:
                self.commit()
        self.close_pages()
        self.commit()
        self.store.stop()
        for one in self.on_their_way:
            self.touch(one)
        self.nothing_fires_twice()
        counts = self.store.load().counts
        failed = {failure.key["pk"]["S"] for failure in self.store.failures()}
        assert counts.failed == len(failed) == len(self.store.failures())
        assert counts.scanned == counts.settled == self.read_durably
        for name in self.revision:  # what is still there
            assert name in failed or self.fired[name] or self.by_others[name], f"{name} has not fired"
        assert counts.touched <= self.fired.total()
        self.store.close()


class CrashesOfAFile(Crashes):
    """With the checkpoint in a file."""

    make = FilePlace


class CrashesOfATable(Crashes):
    """With the checkpoint in a table."""

    make = TablePlace


TestFile = CrashesOfAFile.TestCase
TestTable = CrashesOfATable.TestCase
TestFile.settings = TestTable.settings = examples(15, 500, stateful_step_count=50)
