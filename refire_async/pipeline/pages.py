"""Pages between the read and the acknowledgement of their last write."""

import anyio

from refire_async import failpoints
from refire_async.checkpoint.journal import Journal
from refire_async.checkpoint.ledger import OpenPage
from refire_async.events import Emit, PageAcknowledged


class PagesInProgress:
    """Closes each page in the journal once every item has an outcome, and releases its reader's slot."""

    def __init__(self, journal: Journal, emit: Emit) -> None:
        self._journal = journal
        self._emit = emit
        self._slots: dict[int, anyio.Semaphore] = {}

    def add(self, page: OpenPage, slots: anyio.Semaphore) -> None:
        """Add a page that is in the ledger and holds one of its reader's `slots`."""
        self._slots[page.number] = slots

    def acknowledge(self, page: OpenPage) -> None:
        """Close `page`: every item has an outcome."""
        if failpoints.reached is not None:
            failpoints.reached("page-settled")
        self._journal.close(page)
        if failpoints.reached is not None:
            failpoints.reached("page-closed")
        self._emit(PageAcknowledged(page.segment, page.counts))
        slots = self._slots.pop(page.number, None)
        if slots is not None:
            slots.release()
