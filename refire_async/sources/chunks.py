"""The bytes of a file, of standard input or of an object in S3, piece by piece."""

import io
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from anyio import to_thread

from refire_async.aws.objects import PIECE, object_pieces, parse_object_name
from refire_async.errors import UsageError

STANDARD_INPUT = "-"


def pieces(name: str, client: Any) -> AsyncIterator[bytes]:
    """The bytes of `name`: a path, `-`, or `s3://bucket/key` (then `client` is one of S3).

    Raises UsageError, and what `object_pieces` raises.
    """
    if name == STANDARD_INPUT:
        return _stream_pieces()
    if name.startswith("s3://"):
        return object_pieces(client, parse_object_name(name))
    return file_pieces(Path(name))


async def file_pieces(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file. Raises UsageError if it cannot be read."""
    try:
        file = await to_thread.run_sync(io.FileIO, path)
        with file:
            while piece := await to_thread.run_sync(file.read, PIECE):
                yield piece
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "check its name and permissions"
        ) from None


async def _stream_pieces() -> AsyncIterator[bytes]:
    # A read of a pipe cannot be interrupted: the thread is left alone when the program ends.
    read: Callable[[int], bytes] = sys.stdin.buffer.read1  # type: ignore[union-attr] # a BufferedReader
    try:
        while piece := await to_thread.run_sync(read, PIECE, abandon_on_cancel=True):
            yield piece
    except (OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {error}", "give the keys in a file") from None
