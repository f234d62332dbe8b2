"""What the contenders have in common: their arguments, and the stream that they deliver."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.framework.null_backend import NOW

BATCH = 100
SINCE = NOW - 3600.0
"""When the window of a replay begins, in seconds since the epoch by the time of the backend; all records are in it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender is to do: deliver every record of the table's stream to `function`, `concurrency` at a time."""

    url: str
    table: str
    function: str
    concurrency: int
    folder: Path


def job() -> Job:
    """The job on the command line."""
    url, table, function, concurrency, folder = sys.argv[1:]
    return Job(url, table, function, int(concurrency), Path(folder))
