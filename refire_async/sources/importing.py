"""Imports the keys of a file or an export into the run's own list, before the first write.

The whole input is read first. So bad lines are reported while the table is still untouched, a key that is listed
twice fires once without further bookkeeping, and the run no longer depends on the input.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from anyio import to_thread

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.errors import RefusedError, UsageError
from refire_async.events import Emit, KeysRead
from refire_async.model.keys import Item, Key
from refire_async.model.run import RunSpec
from refire_async.model.stop import StopRequest
from refire_async.model.table import Table
from refire_async.sources.chunks import STANDARD_INPUT, chunks
from refire_async.sources.export import DataFile, ExportDecoder
from refire_async.sources.export_folder import ExportFolder
from refire_async.sources.key_decoder import KeyDecoder
from refire_async.sources.key_list import KeyListWriter
from refire_async.sources.sample import Sample

SAMPLED_FILES = 8
"""Number of data files of an export from which sample items are drawn."""

BAD_LINES = "bad-lines"
"""Id of the finding that lines of a keys file name no key."""


R = TypeVar("R", bound="_Reading")


@dataclass(frozen=True, slots=True)
class ImportContext:
    """What an import needs: AWS services, the receiver of events, the stop request, ids of ignored findings."""

    services: Services
    emit: Emit
    stop: StopRequest
    ignored: frozenset[str]


async def fingerprint(spec: RunSpec, table: Table, context: ImportContext) -> RunSpec:
    """The spec with the fingerprint of the present input. Raises UsageError or RefusedError."""
    async with _reading(_kind(spec), spec, table, context) as reading:
        return await reading.fingerprint()


async def import_keys(spec: RunSpec, table: Table, path: Path, context: ImportContext) -> RunSpec:
    """Create the run's list of keys at `path`.

    Returns the spec with the fingerprint of the input and the segments of the list.

    Raises:
        UsageError: the input is missing, not a list of keys, or has bad lines that are not ignored.
        RefusedError: no permission to read it; the export is damaged or of another table; the disk is full.
        StoppedError: a stop was requested.
    """
    async with _reading(_kind(spec), spec, table, context) as reading:
        with KeyListWriter(path, spec.keys) as writer:
            return await reading.import_keys(writer)


async def draw_from_export(
    spec: RunSpec, table: Table, context: ImportContext, most: int, draw: random.Random
) -> tuple[int, list[Item]]:
    """The number of items in the manifest of the run's export, and a sample of at most `most` items.

    The sample consists of the first items of a few random files, so that little of an export of any size is read. In an
    incremental export, the number includes items that were deleted in its time window.

    Raises:
        UsageError, RefusedError: as `import_keys`.
    """
    async with _reading(_ReadingExport, spec, table, context) as reading:
        return await reading.draw(most, draw)


def _kind(spec: RunSpec) -> type["_Reading"]:
    return _ReadingExport if spec.selection.kind == "export" else _ReadingKeys


@asynccontextmanager
async def _reading(kind: type[R], spec: RunSpec, table: Table, context: ImportContext) -> AsyncIterator[R]:
    """Open the input for the duration of the block."""
    given = spec.selection.given
    try:
        async with AsyncExitStack() as stack:
            client: Any = None
            if given.startswith("s3://"):
                client = await stack.enter_async_context(context.services.open("s3", None))
            yield kind(spec, table, context, client)
    except UnansweredError as error:
        raise RefusedError(f"{given} cannot be read: {error}", "check credentials and network") from error


class _Reading(ABC):
    """One pass over the input."""

    def __init__(self, spec: RunSpec, table: Table, context: ImportContext, client: Any) -> None:
        self._spec = spec
        self._table = table
        self._context = context
        self._client = client
        self._digest = blake2b(digest_size=16)
        percent = spec.selection.sample
        self._sample = None if percent is None else Sample(spec.keys, percent)

    @abstractmethod
    async def fingerprint(self) -> RunSpec:
        """See the function of this name."""

    @abstractmethod
    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        """See the function of this name; `writer` creates the list."""

    def _with_fingerprint(self) -> RunSpec:
        selection = replace(self._spec.selection, fingerprint=self._digest.hexdigest())
        return replace(self._spec, selection=selection)

    async def _chunks(self, name: str) -> AsyncGenerator[bytes]:
        """The content of `name`. Raises StoppedError if a stop is requested; there is nothing to save yet."""
        stop = self._context.stop
        async for chunk in chunks(name, self._client):
            if stop.reason is not None:
                raise stop.before_writing("while the keys were read")
            yield chunk

    async def _add(self, writer: KeyListWriter, found: Iterator[tuple[Key, Item | None]]) -> None:
        """Add the keys to the list, in a worker thread."""
        sample = self._sample

        def add() -> None:
            for key, more in found:
                if sample is None or sample.takes(key):
                    writer.add(key, more)

        await to_thread.run_sync(add)
        self._context.emit(KeysRead(writer.taken))

    async def _finish(self, writer: KeyListWriter, left_out: int = 0) -> RunSpec:
        created = await to_thread.run_sync(writer.finish)
        self._context.emit(KeysRead(writer.taken, created.items, left_out))
        return replace(self._with_fingerprint(), total_segments=created.segments)


class _ReadingKeys(_Reading):
    """A keys file: a file, standard input, or an S3 object."""

    async def fingerprint(self) -> RunSpec:
        async for chunk in self._chunks(self._spec.selection.given):
            self._digest.update(chunk)
        return self._with_fingerprint()

    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        given = self._spec.selection.given
        name = "standard input" if given == STANDARD_INPUT else given.rsplit("/", 1)[-1]
        # A sample checks each key.
        on_plain = writer.add_plain if self._sample is None else None
        decoder = KeyDecoder(name, self._spec.keys, on_plain, self._spec.table)
        async for chunk in self._chunks(given):
            self._digest.update(chunk)
            await self._add(writer, ((key, None) for key in decoder.feed(chunk)))
        await self._add(writer, ((key, None) for key in decoder.finish()))
        bad = decoder.bad
        if not decoder.found and bad.count:
            names = ", ".join(self._spec.keys.names)
            raise UsageError(bad.describe_all(name), f"give lines that name {names}, the key of the table")
        if not decoder.found:
            raise UsageError(f"{name} is empty: it names no key", "give a list with at least one key")
        if bad.count and BAD_LINES not in self._context.ignored:
            raise UsageError(
                bad.describe(name), f"correct the list, or skip such lines with --ignore {BAD_LINES}"
            )
        return await self._finish(writer, decoder.bad.count)


class _ReadingExport(_Reading):
    """An export, in S3 or in a folder. It never changes, so the hash of its manifests is its fingerprint."""

    def __init__(self, spec: RunSpec, table: Table, context: ImportContext, client: Any) -> None:
        super().__init__(spec, table, context, client)
        self._folder = ExportFolder(spec.selection.given, self._chunks)

    async def fingerprint(self) -> RunSpec:
        await self._files()
        return self._with_fingerprint()

    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        for file in await self._files():
            decoder = self._decoder(file)
            async for chunk in self._chunks(self._folder.path(file.name)):
                await self._add(writer, decoder.feed(chunk))
            await self._add(writer, decoder.finish())
        return await self._finish(writer)

    async def draw(self, most: int, draw: random.Random) -> tuple[int, list[Item]]:
        files = [file for file in await self._files() if file.items]
        items = sum(file.items for file in files)
        drawn: list[Item] = []
        chosen = draw.sample(files, min(len(files), SAMPLED_FILES))
        for file in chosen:
            drawn += await self._first(file, math.ceil(most * file.items / sum(one.items for one in chosen)))
        percent = self._spec.selection.sample
        draw.shuffle(drawn)
        return items if percent is None else round(items * percent / 100.0), drawn

    async def _first(self, file: DataFile, most: int) -> list[Item]:
        """The first items of a file that belong to the sample, if there is one."""
        decoder, found = self._decoder(file), []
        takes = self._sample.takes if self._sample is not None else bool
        async with aclosing(self._chunks(self._folder.path(file.name))) as given:
            async for chunk in given:
                for key, more in decoder.feed(chunk):
                    if takes(key):
                        found.append({**key, **more})
                    if len(found) >= most:
                        return found
        found += [{**key, **more} for key, more in decoder.finish() if takes(key)]
        return found[:most]

    def _decoder(self, file: DataFile) -> ExportDecoder:
        spec = self._spec
        attributes = [spec.marker.attribute]
        if spec.ttl_attribute is not None:
            attributes.append(spec.ttl_attribute)
        return ExportDecoder(file, spec.keys, attributes)

    async def _files(self) -> list[DataFile]:
        """The data files, after a check of the manifests."""
        _, files = await self._folder.read(self._table)
        for manifest in self._folder.manifests:
            self._digest.update(manifest)
        return files
