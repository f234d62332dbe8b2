"""The address of a run in a checkpoint table: `dynamodb://TABLE/RUN_ID`."""

import re
from dataclasses import dataclass

from refire_async.errors import UsageError

SCHEME = "dynamodb://"

_ADDRESS = re.compile(r"dynamodb://([a-zA-Z0-9_.-]{3,255})(?:/([a-zA-Z0-9_.-]{1,100}))?")


@dataclass(frozen=True, slots=True)
class TableAddress:
    """A run in a table. Without `run_id` the run has not been named yet."""

    table: str
    run_id: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.table}" + (f"/{self.run_id}" if self.run_id else "")


def parse_address(text: str) -> TableAddress:
    """The address in this text. Raises UsageError."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not the address of a run in a table",
            "write dynamodb://TABLE/RUN_ID, for example dynamodb://refire-runs/orders-2026-12-01",
        )
    return TableAddress(found[1], found[2])
