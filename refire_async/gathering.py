"""Making a run's list of keys out of what the user gave, before anything is written.

The whole input is read first. So a bad line is told by its number while the table is still untouched, a key that is
listed twice fires once without any book-keeping later, and the run does not depend on the input any more.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from anyio import to_thread

from refire_async.errors import ExitCode, RefusedError, StoppedError, UsageError
from refire_async.events import Emit, KeysRead
from refire_async.model.keys import Key
from refire_async.model.run import RunSpec
from refire_async.model.selection import Selection
from refire_async.pipeline import StopRequest
from refire_async.sources.key_decoder import KeyDecoder
from refire_async.sources.key_list import KeyListWriter
from refire_async.sources.pieces import STANDARD_INPUT, pieces
from refire_async.sources.sample import Sample
from refire_async.wire.services import Services, UnansweredError

BAD_LINES = "bad-lines"
"""The finding that lines of a keys file name no key."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """What gathering has to do with the world: AWS, those who look on, a wish to stop, findings to ignore."""

    services: Services
    emit: Emit
    stop: StopRequest
    ignored: frozenset[str]


async def recognise(spec: RunSpec, world: Gathering) -> RunSpec:
    """The spec with the fingerprint of the input as it is now. Raises UsageError or RefusedError."""
    digest = blake2b(digest_size=16)
    async with _opened(spec.selection, world) as found:
        async for piece in found:
            _heed(world.stop)
            digest.update(piece)
    return replace(spec, selection=replace(spec.selection, fingerprint=digest.hexdigest()))


async def gather(spec: RunSpec, path: Path, world: Gathering) -> RunSpec:
    """Make the list of the run at `path`. Gives the spec with the input's fingerprint and the list's segments.

    Raises:
        UsageError: the input is not there, is no list of keys, or has bad lines that are not ignored.
        RefusedError: no permission to read it.
        StoppedError: no room for the list, or the user wants to stop.
    """
    selection = spec.selection
    name = _name(selection)
    decoder = KeyDecoder(name, spec.keys)
    sample = None if selection.sample is None else Sample(spec.keys, selection.sample)
    digest = blake2b(digest_size=16)
    with KeyListWriter(path, spec.keys) as writer:

        def take(keys: Iterator[Key]) -> None:
            for key in keys:
                if sample is None or sample.takes(key):
                    writer.add(key)

        async with _opened(selection, world) as found:
            async for piece in found:
                _heed(world.stop)
                digest.update(piece)
                await to_thread.run_sync(take, decoder.feed(piece))
                world.emit(KeysRead(writer.taken))
        await to_thread.run_sync(take, decoder.finish())
        if decoder.bad.count and BAD_LINES not in world.ignored:
            raise UsageError(
                decoder.bad.describe(name), f"mend it, or leave such lines out with --ignore {BAD_LINES}"
            )
        made = await to_thread.run_sync(writer.finish)
    world.emit(KeysRead(writer.taken, made.items, decoder.bad.count))
    return replace(
        spec,
        selection=replace(selection, fingerprint=digest.hexdigest()),
        total_segments=made.segments,
    )


def _name(selection: Selection) -> str:
    """What errors call the input."""
    given = selection.keys_file or ""
    return "standard input" if given == STANDARD_INPUT else given.rsplit("/", 1)[-1]


@asynccontextmanager
async def _opened(selection: Selection, world: Gathering) -> AsyncIterator[AsyncIterator[bytes]]:
    given = selection.keys_file or ""
    try:
        async with AsyncExitStack() as stack:
            client: Any = None
            if given.startswith("s3://"):
                client = await stack.enter_async_context(world.services.open("s3", None))
            yield pieces(given, client)
    except UnansweredError as error:
        raise RefusedError(f"{given} cannot be read: {error}", "check credentials and network") from error


def _heed(stop: StopRequest) -> None:
    """Raise StoppedError if the user wants to stop: there is nothing to save yet."""
    if stop.reason is not None:
        error = StoppedError("stopped while the keys were read; nothing was written")
        if stop.reason == "interrupted":
            error.exit_code = ExitCode.INTERRUPTED
        raise error
