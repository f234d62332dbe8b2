"""Settings that a run chooses for itself, from the table's size and the budget. Pure."""

import math

from refire_async.model.table import Table
from refire_async.settings import WriterKind

MOST_SEGMENTS = 1_000_000
SEGMENT_BYTES = 1 << 30
"""About 1 GiB a segment: finer than the 2 GB that DynamoDB Developer Guide: Scan starts from, so that the
segments at work lie in many partitions."""

LEAST_SEGMENT_BYTES = 4 << 20
"""However high the rate: a segment should hold some pages."""

SMALL_TABLE_BYTES = 100 << 20
SMALL_SEGMENTS = 8
LEAST_SEGMENTS = 32
PARTITION_WCU = 1_000.0
"""Write units per second of one partition (DynamoDB Developer Guide: Key range throughput exceeded)."""

LANES_PER_PARTITION = 4
"""Lanes at work that a large table should have for each partition of its capacity."""

CALLS_PER_S = 50.0
"""Calls that one worker makes per second when an answer takes 20 ms."""


def choose_segments(table: Table, write_rate: float) -> int:
    """How many Scan segments: enough that lanes cover all partitions, few enough that none is a page or two."""
    partitions = math.ceil(write_rate / PARTITION_WCU)
    if table.size_bytes < SMALL_TABLE_BYTES:
        # A lane per partition, no more: every segment costs a read, however few items it has.
        return min(max(SMALL_SEGMENTS, partitions), MOST_SEGMENTS)
    by_size = math.ceil(table.size_bytes / SEGMENT_BYTES)
    by_rate = min(LANES_PER_PARTITION * partitions, math.ceil(table.size_bytes / LEAST_SEGMENT_BYTES))
    return min(max(LEAST_SEGMENTS, by_size, by_rate), MOST_SEGMENTS)


def choose_workers(writer: WriterKind, write_rate: float) -> int:
    """How many requests are on their way at once: enough for the budget at an ordinary latency."""
    items_per_call = 25 if writer == "partiql" else 1
    wanted = math.ceil(write_rate / items_per_call / CALLS_PER_S)
    return max(4, min(wanted, 64 if writer == "partiql" else 256))
