"""Expected changes: encodes the acknowledged pages of a checkpoint as rows. Pure."""

from collections.abc import Iterator

from refire_async.checkpoint.pages import AcknowledgedPage, NoteKind
from refire_async.model.keys import AttributeValue, Item, Key, identity
from refire_async.model.run import RunSpec
from refire_async.verification.encoding import (
    ALREADY,
    FOREIGN,
    MAX_CACHED_CODES,
    MAX_NUMBER_CODE,
    OPENED,
    READ,
    TOUCHED,
    Codes,
    ExpectedRow,
    code,
    digester,
    is_number,
)


class ExpectedRows:
    """Encodes pages as rows and numbers those that expect an event, from 0 (`count` is the next number).

    Two encoders of the same run number the same pages alike.
    """

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._attribute = spec.marker.attribute
        self._digest = digester(spec.keys.names)
        self._codes = Codes()
        self._pairs: dict[str | None, tuple[int, int]] = {}
        self.count = 0

    def _next(self, read: AttributeValue | None) -> int:
        """The code of the marker that a touch writes over `read`."""
        if self._spec.marker.kind == "revision":
            before = self._codes.of(read)
            if is_number(before) and before < MAX_NUMBER_CODE:
                return before + 1
        return code(self._spec.marker.next(read))

    def _pair(self, read: AttributeValue) -> tuple[int, int]:
        """The codes of a marker and of the one that a touch writes over it, cached by the text of the number."""
        pair = self._codes.of(read), self._next(read)
        if (text := read.get("N")) is not None and len(self._pairs) < MAX_CACHED_CODES:
            self._pairs[text] = pair
        return pair

    def of(self, page: AcknowledgedPage) -> Iterator[ExpectedRow]:
        """The rows of one page."""
        attribute, digest, code, next_code = self._attribute, self._digest, self._codes.of, self._next
        number = self.count
        if not page.notes:
            first, pairs = next_code(None), self._pairs
            for item in page.items:
                read = item.get(attribute)
                if read is None:
                    yield digest(item), 0, first, number, TOUCHED
                else:
                    pair = pairs.get(read.get("N")) or self._pair(read)
                    yield digest(item), *pair, number, TOUCHED
                number += 1
            self.count = number
            return
        for item, kind, replaced in self._noted(page):
            read = item.get(attribute)
            if kind == "read":
                yield digest(item), code(read), 0, 0, READ
                continue
            row_kind = ALREADY if kind == "already" else TOUCHED
            yield digest(item), code(read), next_code(replaced.get(attribute)), number, row_kind
            number += 1
        self.count = number

    def foreign(self, page: AcknowledgedPage) -> Iterator[ExpectedRow]:
        """The touches of a page of another run, which is not the one to verify."""
        for row in self.of(page):
            if row[4] == TOUCHED:
                yield (*row[:4], FOREIGN)

    def opened(self, page: AcknowledgedPage, touches_from: int, matches_from: int) -> Iterator[ExpectedRow]:
        """OPENED rows for the items of a page.

        No record before `touches_from` is an additional touch, none before `matches_from` is the run's own touch
        (seconds since the epoch).
        """
        for item in (*page.items, *(item for kind, item in page.notes if kind == "read")):
            yield self._digest(item), touches_from, matches_from, 0, OPENED

    def keys(self, page: AcknowledgedPage) -> Iterator[Key]:
        """The keys of the numbered items of a page, in the order of their numbers."""
        for item, kind, _ in self._noted(page):
            if kind != "read":
                yield self._spec.keys.key_of(item)
                self.count += 1

    def _noted(self, page: AcknowledgedPage) -> Iterator[tuple[Item, NoteKind | None, Item]]:
        """(item as it was read first, kind of its note, item as it was when its touch was sent)."""
        if not page.notes:
            for item in page.items:
                yield item, None, item
            return
        names = self._spec.keys.names
        notes = {identity(names, item): (kind, item) for kind, item in page.notes}
        for item in page.items:
            kind, noted = notes.get(identity(names, item), (None, item))
            if kind != "none":
                yield item, kind, noted if kind == "conflict" else item
        for kind, item in page.notes:
            if kind == "read":
                yield item, kind, item
