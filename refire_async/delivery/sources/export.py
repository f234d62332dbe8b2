"""The changes in incremental exports, and the items of a full one, as records.

An incremental export has one net change per item and window (DynamoDB Developer Guide: Data export to Amazon S3). So
the exports are read one after the other, in the order of their windows, and the files of one side by side: per key,
records are in the order of time. Each file is a shard. A token is the number of lines of the file that were read, or
`end`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson
from anyio import to_thread

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.delivery.record import EventKind, EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.selection import RecordSelection
from refire_async.delivery.sink import Preview, Sink, Skipped
from refire_async.delivery.sources.choice import Choice, TakeRecords
from refire_async.delivery.sources.made import Change, RecordMaker
from refire_async.delivery.window import Window
from refire_async.errors import RefireError, RefusedError, first_of
from refire_async.model.table import Table
from refire_async.settings import EventImage
from refire_async.sources.chunks import chunks
from refire_async.sources.export import DataFile, ExportLines, ExportSummary
from refire_async.sources.export_folder import ExportFolder
from refire_async.sources.key_lines import BadLineError, check_key

_Make: TypeAlias = Callable[[dict[str, Any], ExportSummary, int], EventRecord]

GAP, OVERLAP = "export-gap", "export-overlap"
"""Findings about the windows of exports."""

END = "end"

_FILES_AT_ONCE = 8
_LINES_AT_ONCE = 500
_MOST_FILES, _MOST_LINES = 10**8, 10**12


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was opened: its folder, what it is of, and its data files."""

    folder: ExportFolder
    summary: ExportSummary
    files: list[DataFile]


def in_order(exports: Sequence[Export], ignored: Collection[str] = ()) -> list[Export]:
    """The exports in the order of their windows, each of which begins where the one before ends.

    Raises RefusedError for a gap or an overlap, unless it is ignored, and for exports that cannot be ordered.
    """
    if len(exports) == 1:
        return list(exports)
    for export in exports:
        if export.summary.start is None or export.summary.end is None:
            raise RefusedError(
                f"the manifest of {export.folder.folder} does not say of what time it is", "replay it alone"
            )
    ordered = sorted(exports, key=lambda export: (export.summary.start or 0.0, export.summary.end or 0.0))
    for before, after in pairwise(ordered):
        end, start = before.summary.end or 0.0, after.summary.start or 0.0
        names = (
            f"{before.folder.folder} ends at {_iso(end)} and {after.folder.folder} begins at {_iso(start)}"
        )
        if start > end and GAP not in ignored:
            raise RefusedError(
                f"changes are missing between two exports: {names}",
                f"export that window too, or replay without it (--ignore {GAP})",
            )
        if (start < end or not after.summary.incremental) and OVERLAP not in ignored:
            raise RefusedError(
                f"two exports have the same changes: {names}",
                f"leave one out, or replay these changes twice (--ignore {OVERLAP})",
            )
    return ordered


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ExportSource:
    """See `Source`."""

    def __init__(
        self,
        exports: Sequence[str],
        table: Table,
        maker: RecordMaker,
        *,
        selection: RecordSelection,
        rules: DeliveryRules,
        services: Services,
        folder: Path,
        window: Window = Window(),  # noqa: B008 - frozen
        as_event: EventImage = "insert",
        latest_per_key: bool = False,
        ignored: Collection[str] = (),
    ) -> None:
        """`exports` are paths or `s3://bucket/prefix`.

        `as_event` is what an item becomes whose export does not say how it was changed: all of a full export's, and
        those with a new image in an incremental export of new images only. `folder` is for temporary files.
        """
        self._names = [name.removesuffix("manifest-summary.json").rstrip("/") for name in exports]
        self._table = table
        self._maker = maker
        self._services = services
        self._as_event = as_event
        self._ignored = ignored
        self._choice = Choice(selection, rules, folder=folder, window=window, latest_per_key=latest_per_key)

    @property
    def skipped(self) -> Skipped:
        """See `Source`."""
        return self._choice.skipped

    async def preview(self) -> Preview:
        """See `Source`. Stale are records with a later change in the exports; the table itself is not looked at.

        Raises RefusedError for a gap or an overlap between exports.
        """
        return await self._choice.look_ahead(self._read_all)

    async def feed(self, sink: Sink) -> None:
        """See `Source`."""
        await self._choice.prepare(self._read_all)

        async def read(file: _File) -> None:
            into = await sink.open_shard(file.name)
            if into.token == END:
                return
            async for records in file.records(done=int(into.token or 0)):
                chosen, skipped = self._choice.sift(records)
                await into.put(chosen, str(file.lines), skipped)
            await into.put((), END)
            await into.drain()

        await self._each_file(read)

    async def _read_all(self, take: TakeRecords) -> None:
        async def read(file: _File) -> None:
            async for records in file.records():
                take(file.name, records)

        await self._each_file(read)

    async def _each_file(self, read: Callable[["_File"], Awaitable[None]]) -> None:
        """Call `read` with each file, window by window. Raises RefireError."""
        failure: RefireError | None = None
        try:
            async with AsyncExitStack() as stack:
                client: Any = None
                if any(name.startswith("s3://") for name in self._names):
                    client = await stack.enter_async_context(self._services.open("s3", None))
                await self._each_file_with(client, read)
        except* UnansweredError as group:
            failure = RefusedError(
                f"the exports cannot be read: {group.exceptions[0]}", "check credentials and network"
            )
        except* RefireError as group:
            failure = first_of(group)
        if failure is not None:
            raise failure

    async def _each_file_with(self, client: Any, read: Callable[["_File"], Awaitable[None]]) -> None:
        slots = anyio.CapacityLimiter(_FILES_AT_ONCE)

        async def read_one(file: _File) -> None:
            async with slots:
                await read(file)

        for number, export in enumerate(await self._open(client)):
            async with anyio.create_task_group() as tasks:
                for place, data in enumerate(export.files):
                    first = 10**24 + (number * _MOST_FILES + place) * _MOST_LINES
                    tasks.start_soon(read_one, _File(export, data, self._make, first=first, client=client))

    async def _open(self, client: Any) -> list[Export]:
        found = []
        for name in self._names:
            folder = ExportFolder(name, partial(chunks, client=client))
            found.append(Export(folder, *await folder.read(self._table)))
        return in_order(found, self._ignored)

    def _make(self, data: dict[str, Any], summary: ExportSummary, sequence: int) -> EventRecord:
        """The record of a line. Raises BadLineError, KeyError, TypeError, ValueError, or AttributeError."""
        change = self._change(data, summary)
        check_key(change.key, self._maker.keys)
        return self._maker.make(change, sequence)

    def _change(self, data: dict[str, Any], summary: ExportSummary) -> Change:
        """The change in a line. Raises KeyError, TypeError, ValueError, AttributeError if it is none."""
        kind: EventKind = "INSERT" if self._as_event == "insert" else "MODIFY"
        item = data.get("Item")
        if item is not None:
            old = item if kind == "MODIFY" else None
            return Change(self._maker.keys.key_of(item), item, old, summary.start or 0.0, kind)
        key = self._maker.keys.key_of(data["Keys"])
        new, old = data.get("NewImage"), data.get("OldImage")
        if new is None:
            kind = "REMOVE"
        elif summary.old_images:
            kind = "INSERT" if old is None else "MODIFY"
        return Change(key, new, old, _written_at(data), kind)


def _written_at(data: dict[str, Any]) -> float:
    written = data["Metadata"]["WriteTimestampMicros"]
    return int(written["N"] if isinstance(written, dict) else written) / 1e6


class _File:
    """One data file. `lines` counts those that were read, also those that were done before."""

    def __init__(self, export: Export, data: DataFile, make: _Make, *, first: int, client: Any) -> None:
        """`first` is less than the sequence number of its first record."""
        self.name = f"{export.summary.export_id}/{data.name.rpartition('/')[2]}"
        self.lines = 0
        self._summary = export.summary
        self._decoder = ExportLines(data)
        self._chunks = chunks(export.folder.path(data.name), client)
        self._first = first
        self._make = make

    async def records(self, done: int = 0) -> AsyncGenerator[list[EventRecord], None]:
        """Records in the order of lines, some at a time, without those of the first `done` lines.

        Raises UsageError or RefusedError for a damaged file.
        """
        async for chunk in self._chunks:
            async for records in self._decoded(self._decoder.feed(chunk), done):
                yield records
        async for records in self._decoded(self._decoder.finish(), done):
            yield records

    async def _decoded(self, lines: Iterator[bytes], done: int) -> AsyncGenerator[list[EventRecord], None]:
        while True:
            begun = self.lines
            records = await to_thread.run_sync(self._decode_some, lines, done)
            if self.lines == begun:
                return
            if records:
                yield records

    def _decode_some(self, lines: Iterator[bytes], done: int) -> list[EventRecord]:
        records = []
        for line in islice(lines, _LINES_AT_ONCE):
            self.lines += 1
            if self.lines <= done:
                continue
            try:
                records.append(self._make(orjson.loads(line), self._summary, self._first + self.lines))
            except BadLineError as error:
                raise self._decoder.bad(str(error)) from None
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._decoder.bad("is not understood") from None
        return records
