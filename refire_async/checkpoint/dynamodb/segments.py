"""The item of a segment: cursor, open pages, and the counts of its closed pages. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any

from refire_async.checkpoint.dynamodb.table import Fields, from_text, text
from refire_async.checkpoint.invariants import broken_counts
from refire_async.checkpoint.ledger import FINISHED, Failure, OpenPage, SegmentState
from refire_async.checkpoint.shapes import conforms
from refire_async.model.counts import Counts
from refire_async.model.keys import Cursor, Item


@dataclass(slots=True)
class SavedPage:
    """An open page without its items, which are in blob number `revision` of the page.

    `counts` are those of its items that have an outcome. `opened`: epoch seconds before which no write was sent.
    """

    start: Cursor | None
    end: Cursor | None
    opened: float
    item_units: float
    items: int
    counts: Counts
    failures: list[Failure] = field(default_factory=list)
    revision: int = 0

    def to_json(self) -> dict[str, Any]:
        """For the item of the segment."""
        return {
            "start": self.start,
            "end": self.end,
            "opened": round(self.opened, 3),
            "units": self.item_units,
            "items": self.items,
            "counts": self.counts.to_json(),
            "failures": [asdict(failure) for failure in self.failures],
            "revision": self.revision,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "SavedPage":
        """What `to_json` made. Raises TypeError, KeyError or ValueError."""
        return cls(
            start=data["start"],
            end=data["end"],
            opened=data["opened"],
            item_units=data["units"],
            items=data["items"],
            counts=Counts(**data["counts"]),
            failures=[Failure(**failure) for failure in data["failures"]],
            revision=data["revision"],
        )

    def to_page(self, number: int, segment: int, items: list[Item]) -> OpenPage:
        """The page in doubt. Raises ValueError for what is no page."""
        page = OpenPage(
            number=number,
            segment=segment,
            items=items,
            start=self.start,
            end=self.end,
            item_units=self.item_units,
            counts=Counts(**self.counts.to_json()),
            failures=list(self.failures),
            in_doubt=True,
        )
        if not conforms(page, OpenPage) or len(items) != self.items:
            raise ValueError(f"page {number} has a value of the wrong type")
        page.counts.scanned += len(items)
        return page

    def shrink(self, page: OpenPage, rest: int) -> None:
        """In a new revision only `rest` items are open."""
        self.items, self.counts, self.failures = rest, page.outcomes, list(page.failures)
        self.revision += 1


@dataclass(slots=True)
class SavedSegment:
    """What the item of a segment says."""

    cursor: Cursor | None = None
    finished: bool = False
    closed: Counts = field(default_factory=Counts)
    pages: dict[int, SavedPage] = field(default_factory=dict)

    @property
    def state(self) -> SegmentState:
        """For the ledger."""
        return FINISHED if self.finished else SegmentState(self.cursor)

    @property
    def begun(self) -> bool:
        """Whether anything of it was read."""
        return self.finished or self.cursor is not None

    def open(self, page: OpenPage, opened: float) -> None:
        """A page is in the ledger, and the segment is read to its end."""
        self.pages[page.number] = SavedPage(
            page.start,
            page.end,
            opened,
            page.item_units,
            len(page.items),
            page.outcomes,
            list(page.failures),
        )
        self.move(page.end)

    def move(self, cursor: Cursor | None) -> None:
        """The segment is read up to `cursor` (None: to its end)."""
        self.cursor, self.finished = cursor, cursor is None

    def close(self, page: OpenPage) -> int:
        """Every item of a page has an outcome. Returns its last revision."""
        self.closed.add(page.counts)
        return self.pages.pop(page.number).revision

    def counts(self) -> Counts:
        """The counts of all items that have an outcome."""
        total = Counts(**self.closed.to_json())
        for page in self.pages.values():
            total.add(page.counts)
        return total

    def to_fields(self) -> dict[str, Any]:
        """The attributes of its item."""
        data = {
            "cursor": self.cursor,
            "finished": self.finished,
            "closed": self.closed.to_json(),
            "pages": {str(number): page.to_json() for number, page in self.pages.items()},
        }
        return {"data": text(data)}

    @classmethod
    def of(cls, fields: Fields) -> "SavedSegment":
        """From the attributes of its item. Raises TypeError, KeyError or ValueError for those of anything else."""
        if "data" not in fields:
            return cls()  # it is claimed, and nothing was read of it
        data = from_text(fields, "data")
        found = cls(
            data["cursor"],
            data["finished"],
            Counts(**data["closed"]),
            {int(number): SavedPage.from_json(page) for number, page in data["pages"].items()},
        )
        if not conforms(found, SavedSegment):
            raise ValueError("a segment has a value of the wrong type")
        wrong = broken_counts([found.closed], found.closed.failed)
        if wrong is not None:
            raise ValueError(wrong)
        return found
