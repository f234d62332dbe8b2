"""Making a run's list of keys out of what the user gave, before anything is written.

The whole input is read first. So a bad line is told by its number while the table is still untouched, a key that is
listed twice fires once without any book-keeping later, and the run does not depend on the input any more.
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
from refire_async.sources.chunks import STANDARD_INPUT, pieces
from refire_async.sources.export import DataFile, ExportDecoder
from refire_async.sources.export_folder import ExportFolder
from refire_async.sources.key_decoder import KeyDecoder
from refire_async.sources.key_list import KeyListWriter
from refire_async.sources.sample import Sample

FILES_DRAWN = 8
"""Files of an export that a few items of it are drawn from."""

BAD_LINES = "bad-lines"
"""The finding that lines of a keys file name no key."""


R = TypeVar("R", bound="_Reading")


@dataclass(frozen=True, slots=True)
class ImportContext:
    """What gathering has to do with the world: AWS, those who look on, a wish to stop, findings to ignore."""

    services: Services
    emit: Emit
    stop: StopRequest
    ignored: frozenset[str]


async def recognise(spec: RunSpec, table: Table, world: ImportContext) -> RunSpec:
    """The spec with the fingerprint of the input as it is now. Raises UsageError or RefusedError."""
    async with _reading(_kind(spec), spec, table, world) as reading:
        return await reading.recognise()


async def import_keys(spec: RunSpec, table: Table, path: Path, world: ImportContext) -> RunSpec:
    """Make the list of the run at `path`. Gives the spec with the input's fingerprint and the list's segments.

    Raises:
        UsageError: the input is not there, is no list of keys, or has bad lines that are not ignored.
        RefusedError: no permission to read it; an export that is damaged or of another table; no room for the list.
        StoppedError: the user wants to stop.
    """
    async with _reading(_kind(spec), spec, table, world) as reading:
        with KeyListWriter(path, spec.keys) as writer:
            return await reading.import_keys(writer)


async def draw_from_export(
    spec: RunSpec, table: Table, world: ImportContext, most: int, draw: random.Random
) -> tuple[int, list[Item]]:
    """How many items the manifest of the run's export tells of, and at most `most` of them with what is known of them.

    These are the first ones of a few files drawn at random, so that little is read of an export of any size. Of an
    incremental export, items that were deleted in its window are told of too.

    Raises:
        UsageError, RefusedError: as `import_keys`.
    """
    async with _reading(_ReadingExport, spec, table, world) as reading:
        return await reading.draw(most, draw)


def _kind(spec: RunSpec) -> type["_Reading"]:
    return _ReadingExport if spec.selection.kind == "export" else _ReadingKeys


@asynccontextmanager
async def _reading(kind: type[R], spec: RunSpec, table: Table, world: ImportContext) -> AsyncIterator[R]:
    """The input, open for the length of the block."""
    given = spec.selection.given
    try:
        async with AsyncExitStack() as stack:
            client: Any = None
            if given.startswith("s3://"):
                client = await stack.enter_async_context(world.services.open("s3", None))
            yield kind(spec, table, world, client)
    except UnansweredError as error:
        raise RefusedError(f"{given} cannot be read: {error}", "check credentials and network") from error


class _Reading(ABC):
    """One look at the input."""

    def __init__(self, spec: RunSpec, table: Table, world: ImportContext, client: Any) -> None:
        self._spec = spec
        self._table = table
        self._world = world
        self._client = client
        self._digest = blake2b(digest_size=16)
        percent = spec.selection.sample
        self._sample = None if percent is None else Sample(spec.keys, percent)

    @abstractmethod
    async def recognise(self) -> RunSpec:
        """See the function of this name."""

    @abstractmethod
    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        """See the function of this name; `writer` makes the list."""

    def _recognised(self) -> RunSpec:
        selection = replace(self._spec.selection, fingerprint=self._digest.hexdigest())
        return replace(self._spec, selection=selection)

    async def _pieces(self, name: str) -> AsyncGenerator[bytes]:
        """The bytes of `name`, as long as the user does not want to stop: there is nothing to save yet."""
        stop = self._world.stop
        async for piece in pieces(name, self._client):
            if stop.reason is not None:
                raise stop.before_writing("while the keys were read")
            yield piece

    async def _take(self, writer: KeyListWriter, found: Iterator[tuple[Key, Item | None]]) -> None:
        """Put what is found in the list, in a worker thread."""
        sample = self._sample

        def take() -> None:
            for key, more in found:
                if sample is None or sample.takes(key):
                    writer.add(key, more)

        await to_thread.run_sync(take)
        self._world.emit(KeysRead(writer.taken))

    async def _finish(self, writer: KeyListWriter, left_out: int = 0) -> RunSpec:
        made = await to_thread.run_sync(writer.finish)
        self._world.emit(KeysRead(writer.taken, made.items, left_out))
        return replace(self._recognised(), total_segments=made.segments)


class _ReadingKeys(_Reading):
    """A keys file, wherever it is."""

    async def recognise(self) -> RunSpec:
        async for piece in self._pieces(self._spec.selection.given):
            self._digest.update(piece)
        return self._recognised()

    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        given = self._spec.selection.given
        name = "standard input" if given == STANDARD_INPUT else given.rsplit("/", 1)[-1]
        # A sample looks at each key.
        take_plain = writer.add_plain if self._sample is None else None
        decoder = KeyDecoder(name, self._spec.keys, take_plain, self._spec.table)
        async for piece in self._pieces(given):
            self._digest.update(piece)
            await self._take(writer, ((key, None) for key in decoder.feed(piece)))
        await self._take(writer, ((key, None) for key in decoder.finish()))
        bad = decoder.bad
        if not decoder.found and bad.count:
            names = ", ".join(self._spec.keys.names)
            raise UsageError(bad.describe_all(name), f"give lines that name {names}, the key of the table")
        if not decoder.found:
            raise UsageError(f"{name} is empty: it names no key", "give a list with at least one key")
        if bad.count and BAD_LINES not in self._world.ignored:
            raise UsageError(
                bad.describe(name), f"mend it, or leave such lines out with --ignore {BAD_LINES}"
            )
        return await self._finish(writer, decoder.bad.count)


class _ReadingExport(_Reading):
    """An export, in S3 or in a folder. It does not change, so its manifests are fingerprint enough."""

    def __init__(self, spec: RunSpec, table: Table, world: ImportContext, client: Any) -> None:
        super().__init__(spec, table, world, client)
        self._folder = ExportFolder(spec.selection.given, self._pieces)

    async def recognise(self) -> RunSpec:
        await self._files()
        return self._recognised()

    async def import_keys(self, writer: KeyListWriter) -> RunSpec:
        for file in await self._files():
            decoder = self._decoder(file)
            async for piece in self._pieces(self._folder.path(file.name)):
                await self._take(writer, decoder.feed(piece))
            await self._take(writer, decoder.finish())
        return await self._finish(writer)

    async def draw(self, most: int, draw: random.Random) -> tuple[int, list[Item]]:
        files = [file for file in await self._files() if file.items]
        items = sum(file.items for file in files)
        drawn: list[Item] = []
        chosen = draw.sample(files, min(len(files), FILES_DRAWN))
        for file in chosen:
            drawn += await self._first(file, math.ceil(most * file.items / sum(one.items for one in chosen)))
        percent = self._spec.selection.sample
        draw.shuffle(drawn)
        return items if percent is None else round(items * percent / 100.0), drawn

    async def _first(self, file: DataFile, most: int) -> list[Item]:
        """The first items of a file; of a sample, those of the first ones that belong to it."""
        decoder, found = self._decoder(file), []
        takes = self._sample.takes if self._sample is not None else bool
        async with aclosing(self._pieces(self._folder.path(file.name))) as given:
            async for piece in given:
                for key, more in decoder.feed(piece):
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
        """The data files, manifests checked."""
        _, files = await self._folder.read(self._table)
        for manifest in self._folder.manifests:
            self._digest.update(manifest)
        return files
