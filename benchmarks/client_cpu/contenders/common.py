"""What the contenders have in common: their arguments, their loop, the touch."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

REGION = "us-east-1"
BATCH = 25

EXPRESSION = "ADD #r :one"
CONDITION = "attribute_exists(pk)"
"""The touch as people write it: add 1, create no item."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender is to do: touch every item of `table`."""

    url: str
    table: str
    workers: int
    segments: int


def job() -> Job:
    """The job on the command line."""
    url, table, workers, segments = sys.argv[1:]
    return Job(url, table, int(workers), int(segments))


def run(main: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous contender."""
    run_loop(main(job()))


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, on uvloop where it is installed, as the engine does."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - optional

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def statement(table: str, *, marked: bool) -> str:
    """A conditional touch in PartiQL; parameters: new value, key, and the old value where there is one."""
    condition = '"revision" = ?' if marked else '"revision" IS MISSING'
    return f'UPDATE "{table}" SET "revision" = ? WHERE "pk" = ? AND {condition}'  # noqa: S608 - a name of ours
