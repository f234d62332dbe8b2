"""Units as types, so that mypy does not let them be mixed up, and shared constants."""

import math
from datetime import UTC, datetime
from typing import NewType

Wcu = NewType("Wcu", float)
"""Write capacity units: one write of up to 1 KiB (DynamoDB Developer Guide: Read and write operations)."""

Rcu = NewType("Rcu", float)
"""Read capacity units: one strongly consistent read of up to 4 KiB; an eventually consistent one costs half."""

WCU_BYTES = 1024
RCU_BYTES = 4096

MINUTE_S = 60
"""Period of the shortest CloudWatch metrics that DynamoDB and Lambda publish."""

STREAM_RETENTION_S = 24 * 3600.0
"""A stream record is kept this long, read or not, and may be trimmed at any time after that (DynamoDB Developer Guide:
Change data capture for DynamoDB Streams)."""


def minute_of(instant: float) -> int:
    """The first second of the minute of `instant` (seconds since 1970)."""
    return math.floor(instant / MINUTE_S) * MINUTE_S


def utc_text(instant: float) -> str:
    """Seconds since 1970 as `2026-11-30 12:00:00 UTC`."""
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso_seconds(instant: float) -> str:
    """Seconds since 1970 as ISO 8601 with seconds and offset: `2026-11-30T12:00:00+00:00`, which Python reads back."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")


def utc_iso(instant: float) -> str:
    """Seconds since 1970 as ISO 8601 with milliseconds: `2026-11-30T12:00:00.000Z`."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
