"""What a run says of its items: the pages that it settled, as claims. Pure."""

from collections.abc import Iterator

from refire_async.checkpoint.pages import NoteKind, SettledPage
from refire_async.model.keys import AttributeValue, Item, Key, identity
from refire_async.model.run import RunSpec
from refire_async.verification.encoding import (
    ALREADY,
    FOREIGN,
    MAX_NUMBER_CODE,
    OPENED,
    READ,
    TOUCHED,
    Claim,
    Codes,
    code,
    digester,
    is_number,
)


class Claims:
    """Makes claims of settled pages and numbers those that expect an event, from 0. Two of the same run agree."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._attribute = spec.marker.attribute
        self._digest = digester(spec.keys.names)
        self._codes = Codes()
        self.count = 0

    def _following(self, read: AttributeValue | None) -> int:
        """The code of what a touch writes over `read`."""
        if self._spec.marker.kind == "revision":
            before = self._codes.of(read)
            if is_number(before) and before < MAX_NUMBER_CODE:
                return before + 1
        return code(self._spec.marker.next(read))

    def of(self, page: SettledPage) -> Iterator[Claim]:
        """The claims of one page."""
        attribute, digest, code, following = self._attribute, self._digest, self._codes.of, self._following
        number = self.count
        if not page.notes:
            first = following(None)
            for item in page.items:
                read = item.get(attribute)
                if read is None:
                    yield digest(item), 0, first, number, TOUCHED
                else:
                    yield digest(item), code(read), following(read), number, TOUCHED
                number += 1
            self.count = number
            return
        for item, kind, replaced in self._noted(page):
            read = item.get(attribute)
            if kind == "read":
                yield digest(item), code(read), 0, 0, READ
                continue
            claimed = ALREADY if kind == "already" else TOUCHED
            yield digest(item), code(read), following(replaced.get(attribute)), number, claimed
            number += 1
        self.count = number

    def foreign(self, page: SettledPage) -> Iterator[Claim]:
        """The touches of a run that is not the one to be proved."""
        for row in self.of(page):
            if row[4] == TOUCHED:
                yield (*row[:4], FOREIGN)

    def opened(self, page: SettledPage, touches_from: int, matches_from: int) -> Iterator[Claim]:
        """That no record of this page's items is a touch, or the very touch, before these seconds."""
        for item in (*page.items, *(item for kind, item in page.notes if kind == "read")):
            yield self._digest(item), touches_from, matches_from, 0, OPENED

    def keys(self, page: SettledPage) -> Iterator[Key]:
        """Keys of those items of a page that have a number, in its order."""
        for item, kind, _ in self._noted(page):
            if kind != "read":
                yield self._spec.keys.key_of(item)
                self.count += 1

    def _noted(self, page: SettledPage) -> Iterator[tuple[Item, NoteKind | None, Item]]:
        """(item as it was read first, what its note says, item as it was when its touch was sent)."""
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
