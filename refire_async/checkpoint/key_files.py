"""The lists of failed and missing keys beside a checkpoint, which `--keys-file` reads."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import orjson
from anyio import to_thread

from refire_async.private import replacing

FAILED, MISSING = ".failed.jsonl", ".missing.jsonl"
"""Suffixes that a run and a verification append to the name of the checkpoint."""


def write_keys(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace `path` by a file with one JSON object per line, mode 0600. Raises OSError."""
    with replacing(path) as file:
        for row in rows:
            file.write(_line(row))


async def write_keys_in_blocks(path: Path, blocks: AsyncIterator[list[dict[str, Any]]]) -> None:
    """As `write_keys`, for rows that arrive in blocks. Raises OSError."""

    def write(rows: list[dict[str, Any]]) -> None:
        file.writelines(map(_line, rows))

    async with AsyncExitStack() as outer:
        inner = ExitStack()

        async def leave(*error: Any) -> None:
            await to_thread.run_sync(inner.__exit__, *error)

        file = await to_thread.run_sync(inner.enter_context, replacing(path))
        outer.push_async_exit(leave)
        async for rows in blocks:
            await to_thread.run_sync(write, rows)


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
