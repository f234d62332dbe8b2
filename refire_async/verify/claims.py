"""What a run says of its items: the pages that it settled, as claims. Pure."""

from collections.abc import Iterator

from refire_async.checkpoint.settled import NoteKind, SettledPage
from refire_async.model.keys import Item, Key, identity
from refire_async.model.run import RunSpec
from refire_async.verify.rows import ALREADY, FOREIGN, READ, TOUCHED, Claim, code, digest


class Claims:
    """Makes claims of settled pages and numbers those that expect an event, from 0. Two of the same run agree."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self.count = 0

    def of(self, page: SettledPage) -> Iterator[Claim]:
        """The claims of one page."""
        names, marker = self._spec.keys.names, self._spec.marker
        attribute, following = marker.attribute, marker.next
        number = self.count
        for item, kind, replaced in self._noted(page):
            read = item.get(attribute)
            if kind == "read":
                yield digest(names, item), code(read), 0, 0, READ
                continue
            claimed = ALREADY if kind == "already" else TOUCHED
            yield digest(names, item), code(read), code(following(replaced.get(attribute))), number, claimed
            number += 1
        self.count = number

    def foreign(self, page: SettledPage) -> Iterator[Claim]:
        """The touches of a run that is not the one to be proved."""
        for row in self.of(page):
            if row[4] == TOUCHED:
                yield (*row[:4], FOREIGN)

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
