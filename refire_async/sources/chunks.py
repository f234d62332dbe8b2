"""Reads a file, standard input or an S3 object in chunks."""

import io
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from anyio import to_thread

from refire_async.aws.objects import CHUNK_BYTES, object_chunks, parse_object_name
from refire_async.errors import UsageError

STANDARD_INPUT = "-"


def chunks(name: str, client: Any) -> AsyncIterator[bytes]:
    """The content of `name`: a path, `-`, or `s3://bucket/key` (then `client` is an S3 client).

    Raises UsageError, and what `object_chunks` raises.
    """
    if name == STANDARD_INPUT:
        return _stream_chunks()
    if name.startswith("s3://"):
        return object_chunks(client, parse_object_name(name))
    return file_chunks(Path(name))


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """The content of a file. Raises UsageError if it cannot be read."""
    try:
        file = await to_thread.run_sync(io.FileIO, path)
        with file:
            while chunk := await to_thread.run_sync(file.read, CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "check its name and permissions"
        ) from None


async def _stream_chunks() -> AsyncIterator[bytes]:
    # A read from a pipe cannot be interrupted: the thread is abandoned when the program ends.
    read: Callable[[int], bytes] = sys.stdin.buffer.read1  # type: ignore[union-attr] # a BufferedReader
    try:
        while chunk := await to_thread.run_sync(read, CHUNK_BYTES, abandon_on_cancel=True):
            yield chunk
    except (OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {error}", "give the keys in a file") from None
