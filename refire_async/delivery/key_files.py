"""The keys of a keys file, as a set for choosing records, or in pages for reading items."""

from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack
from typing import Any

from anyio import to_thread

from refire_async.aws.other_services import Services, UnansweredError
from refire_async.delivery.digests import DigestSet
from refire_async.delivery.keys import canonical_key
from refire_async.errors import RefusedError, UsageError
from refire_async.model.keys import Key, KeySchema
from refire_async.sources.chunks import STANDARD_INPUT, chunks
from refire_async.sources.importing import BAD_LINES
from refire_async.sources.key_decoder import KeyDecoder


async def read_keys(
    given: str, table: str, keys: KeySchema, services: Services, ignored: Collection[str] = ()
) -> DigestSet:
    """The keys of a keys file in canonical form (delivery/keys.py). Arguments and errors as for `key_pages`."""
    found = DigestSet()
    async for page in key_pages(given, table, keys, services, ignored):
        found.add(map(canonical_key, page))
    return found


async def key_pages(
    given: str, table: str, keys: KeySchema, services: Services, ignored: Collection[str] = ()
) -> AsyncGenerator[list[Key], None]:
    """The keys of a keys file (a path, `-`, or `s3://…`), as many at a time as a piece of it has.

    `table` is whose keys they are, `ignored` are findings that do not stop it.

    Raises:
        UsageError: it cannot be read, names no key, or has bad lines that are not ignored.
        RefusedError: no permission to read it.
    """
    name = "standard input" if given == STANDARD_INPUT else given.rsplit("/", 1)[-1]
    decoder = KeyDecoder(name, keys, None, table)

    def decode(piece: bytes) -> list[Key]:
        return list(decoder.feed(piece))

    try:
        async with AsyncExitStack() as stack:
            client: Any = None
            if given.startswith("s3://"):
                client = await stack.enter_async_context(services.open("s3", None))
            async for piece in chunks(given, client):
                yield await to_thread.run_sync(decode, piece)
    except UnansweredError as error:
        raise RefusedError(f"{given} cannot be read: {error}", "check credentials and network") from error
    yield list(decoder.finish())
    bad = decoder.bad
    if not decoder.found:
        said = bad.describe_all(name) if bad.count else f"{name} is empty: it names no key"
        raise UsageError(said, f"give lines that name {', '.join(keys.names)}, the key of the table")
    if bad.count and BAD_LINES not in ignored:
        raise UsageError(bad.describe(name), f"correct it, or leave such lines out with --ignore {BAD_LINES}")
