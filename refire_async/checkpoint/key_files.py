"""The lists of failed and missing keys beside a checkpoint, which `--keys-file` reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from refire_async.private import replacing

FAILED, MISSING = ".failed.jsonl", ".missing.jsonl"
"""Suffixes that a run and a verification append to the name of the checkpoint."""


def write_keys(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace `path` by a file with one JSON object per line, mode 0600. Raises OSError."""
    with replacing(path) as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
