"""The two stores of a run as a state machine uses them: synchronous, and cut off wherever it wants."""

import asyncio
import itertools
import re
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from refire_async.checkpoint.dynamodb import claims, runs
from refire_async.checkpoint.dynamodb.blobs import TableBlobs
from refire_async.checkpoint.dynamodb.places import task_name
from refire_async.checkpoint.dynamodb.store import TableStore, read_progress
from refire_async.checkpoint.dynamodb.table import CheckpointTable, Condition, Fields
from refire_async.checkpoint.file_store import FileStore
from refire_async.checkpoint.ledger import Failure
from refire_async.checkpoint.reading import Progress, SavedRun
from refire_async.checkpoint.run_store import Commit, Operation, RunStore
from refire_async.model.counts import Counts, Totals
from refire_async.settings import Connection
from tests.support.checkpoints import SPEC, crashed_copy, new_store, reopened

T = TypeVar("T")


class CutOffError(Exception):
    """The process is dead: nothing that it writes arrives any more."""


class Place(Protocol):
    """The run in a store, open for one process. `crash` and `stop` leave it for the next process."""

    number: int
    """That of the process; a later process has a higher one."""

    def progress(self) -> Progress:
        """How far the run is."""

    def load(self) -> SavedRun:
        """The state of the run."""

    def failures(self) -> list[Failure]:
        """The items that could not be touched."""

    def commit(self, operations: Sequence[Operation], counts: Counts) -> None:
        """Save operations."""

    def cut(self, operations: Sequence[Operation], counts: Counts, writes: int) -> None:
        """The process dies while it saves operations, after so many writes."""

    def crash(self) -> None:
        """The process dies, and another one goes on."""

    def stop(self) -> None:
        """The process ends in order, and another one goes on."""

    def close(self) -> None:
        """The end of the test."""


class _Base:
    store: RunStore
    number: int

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def progress(self) -> Progress:
        return self.run(self.store.progress(range(SPEC.total_segments)))

    def load(self) -> SavedRun:
        return self.run(self.store.load())

    def failures(self) -> list[Failure]:
        async def all_of() -> list[Failure]:
            return [failure async for block in self.store.failures() for failure in block]

        return self.run(all_of())

    def commit(self, operations: Sequence[Operation], counts: Counts) -> None:
        self.run(self.store.commit(Commit(operations, self.number, counts, Totals())))


class FilePlace(_Base):
    """A checkpoint file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.files = (Path(self.folder.name) / f"{n}.refire" for n in itertools.count())
        self.file = new_store(next(self.files))
        self._open()

    def _open(self) -> None:
        self.store = FileStore(self.file)
        self.number = self.load().next_attempt * 1_024

    def cut(self, operations: Sequence[Operation], counts: Counts, writes: int) -> None:
        """A transaction leaves nothing of itself."""

    def crash(self) -> None:
        copy = crashed_copy(self.file, next(self.files))
        self.file.close()
        self.file = reopened(copy)
        self._open()

    def stop(self) -> None:
        self.file.close()
        self.file = reopened(self.file.path)
        self._open()

    def close(self) -> None:
        self.file.close()
        self.folder.cleanup()
        self.runner.close()


class TablePlace(_Base):
    """A checkpoint table. Every other commit is settled; what the others put off is lost in a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.table = InMemoryTable()
        self.run(runs.create(self.table, SPEC, Connection(), 1, 1.8e9))
        self.commits = 0
        self._open()

    def blobs(self) -> TableBlobs:
        return TableBlobs(self.table, SPEC.run_id, lambda: 1.8e9)

    def _open(self) -> None:
        self.table.left = None

        async def take_over() -> None:
            found = await self.table.get(SPEC.run_id, task_name(0))
            if found is not None:
                await claims.release(self.table, SPEC.run_id, 0, claims.Claim.of(found), finished=False)
            claim = await claims.take(self.table, SPEC.run_id, 0, claims.own_name())
            store = TableStore(self.table, SPEC, self.blobs(), claim=claim)
            await store.claim_segments(range(SPEC.total_segments))
            self.store, self.number = store, claim.epoch * 1_024

        self.run(take_over())
        self.fresh = True

    def progress(self) -> Progress:
        if self.fresh:
            self.fresh = False
            return super().progress()

        async def saved() -> Progress:
            return await read_progress(
                self.table, SPEC, self.blobs(), await runs.read_segments(self.table, SPEC)
            )

        return self.run(saved())

    def commit(self, operations: Sequence[Operation], counts: Counts) -> None:
        super().commit(operations, counts)
        self.commits += 1
        if self.commits % 2:
            self.run(self.store.settle())

    def cut(self, operations: Sequence[Operation], counts: Counts, writes: int) -> None:
        self.table.left = writes
        try:
            super().commit(operations, counts)
            self.run(self.store.settle())
        except* CutOffError:
            pass

    def crash(self) -> None:
        self._open()

    def stop(self) -> None:
        self.run(self.store.settle())
        self._open()

    def close(self) -> None:
        self.runner.close()


class InMemoryTable(CheckpointTable):
    """A checkpoint table without a service. `left` writes arrive; None: all."""

    def __init__(self) -> None:
        self.name = "in-memory"
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.left: int | None = None

    def _write(self, place: tuple[str, str], condition: Condition | None) -> bool:
        if self.left is not None:
            if self.left == 0:
                raise CutOffError
            self.left -= 1
        return condition is None or holds(condition, self.items.get(place))

    async def get(self, partition: str, name: str) -> Fields | None:
        return self.items.get((partition, name))

    async def put(
        self, partition: str, name: str, fields: Fields, condition: Condition | None = None
    ) -> bool:
        if not self._write((partition, name), condition):
            return False
        self.items[partition, name] = {"id": {"S": partition}, "name": {"S": name}, **fields}
        return True

    async def update(self, partition: str, name: str, sets: Fields, condition: Condition) -> Fields | None:
        if not self._write((partition, name), condition):
            return None
        before = self.items.get((partition, name), {"id": {"S": partition}, "name": {"S": name}})
        self.items[partition, name] = {**before, **sets}
        return self.items[partition, name]

    async def query(self, partition: str, prefix: str) -> AsyncIterator[Fields]:
        for (place, name), item in sorted(self.items.items()):
            if place == partition and name.startswith(prefix):
                yield item


def holds(condition: Condition, item: Fields | None) -> bool:
    """Whether a condition of this program holds."""
    return any(all(_terms(part, condition, item)) for part in condition.expression.split(" OR "))


def _terms(part: str, condition: Condition, item: Fields | None) -> Iterator[bool]:
    for term in part.split(" AND "):
        if found := re.fullmatch(r"attribute_(not_)?exists\((\w+)\)", term):
            yield (item is not None and found[2] in item) is (found[1] is None)
            continue
        name, operator, place = term.split()
        value = None if item is None else item.get(name)
        wanted = condition.values[place]["N"]
        yield (
            value is not None
            and {"=": int(value["N"]) == int(wanted), "<=": int(value["N"]) <= int(wanted)}[operator]
        )
