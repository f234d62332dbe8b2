"""What a run needs of the place in which its state lives: a file, or a table.

The journal collects operations and commits them in groups; nothing else writes while the pipeline works. Every
implementation passes one contract suite (tests/checkpoint/test_run_store_contract.py).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from refire_async.checkpoint.ledger import Failure, OpenPage
from refire_async.checkpoint.reading import Progress, SavedRun
from refire_async.model.counts import Counts, Totals
from refire_async.model.keys import Cursor, Item
from refire_async.model.run import RunStatus
from refire_async.model.table import Stream


@dataclass(frozen=True, slots=True)
class PageOpened:
    """Put `page` in the ledger, and move the cursor of its segment to its end.

    With `digests`, one per item, the store removes the items whose digest the run has saved before from the page and
    counts them as `already`.
    """

    page: OpenPage
    digests: Sequence[bytes] | None = None


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """`segment` is read up to `cursor` (None: to its end)."""

    segment: int
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class PageClosed:
    """Every item of `page` has an outcome: move it from the ledger to the history."""

    page: OpenPage


@dataclass(frozen=True, slots=True)
class PageAmended:
    """Replace items of an open page by `present`, their state when they were read again.

    `first`: the ledger's earlier state of them is the one that the run read first.
    """

    page: OpenPage
    present: Sequence[Item]
    first: bool


@dataclass(frozen=True, slots=True)
class PageShrunk:
    """At an orderly stop only `rest` of the page stays open; its other items are acknowledged."""

    page: OpenPage
    rest: Sequence[Item]


Operation: TypeAlias = PageOpened | CursorMoved | PageClosed | PageAmended | PageShrunk


@dataclass(frozen=True, slots=True)
class Commit:
    """Operations in their order, and what process `process` has counted and consumed when they are done.

    `counts` are those of the pages that the process closed, with those that these operations close.
    """

    operations: Sequence[Operation]
    process: int
    counts: Counts
    totals: Totals


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """A list of keys that is in the store: its items, size in bytes and CRC; `read` returns a range of its bytes."""

    items: int
    size: int
    crc32: int
    read: Callable[[int, int], Awaitable[bytes]]


class RunStore(Protocol):
    """The state of one run, open for writing. Methods may be called from one event loop, `commit` once at a time."""

    @property
    def name(self) -> str:
        """What `--checkpoint` calls it: the path of a file, or the address of a run in a table."""

    @property
    def outputs(self) -> Path:
        """Lists of keys are written beside this path, under its name and a suffix. It need not exist."""

    @property
    def keys(self) -> StoredKeys | None:
        """The run's list of keys, if the store has it; None if it is a file, or there is none."""

    clock: Callable[[], float]
    """The service's time (seconds since the epoch), because saved times are compared with those of the stream."""

    async def load(self) -> SavedRun:
        """The state of the run. Raises CheckpointRefusedError if it cannot be read."""

    async def progress(self, segments: Container[int]) -> Progress:
        """The progress of `segments`. Raises CheckpointRefusedError if it cannot be read."""

    async def commit(self, commit: Commit) -> None:
        """Save all operations of a segment, or none; they are durable when this returns.

        Raises StoppedError if they cannot be saved, or belong to another process now.
        """

    async def settle(self) -> None:
        """Write what a store put off, because no write of the run depends on it: `load` then has everything.

        Raises StoppedError.
        """

    async def start_attempt(self, stream: Stream) -> None:
        """Save the status `running` and the stream of the table. Raises StoppedError."""

    async def save_status(self, status: RunStatus) -> None:
        """Save the status of the run. Raises StoppedError."""

    async def save_clock(self, offset_s: float) -> None:
        """Save that times are the service's, `offset_s` ahead of this machine's clock. Raises StoppedError."""

    def failures(self) -> AsyncIterator[list[Failure]]:
        """The items that could not be touched, in blocks, in the order in which they were found.

        Raises CheckpointRefusedError if they cannot be read.
        """
