"""How many partitions a table has, and what one of them takes. Pure."""

import math

PARTITION_WCU = 1_000.0
PARTITION_RCU = 3_000.0
"""Units per second of one partition, which a hash key never exceeds (DynamoDB Developer Guide: Key range throughput
exceeded)."""

PARTITION_BYTES = 10 << 30
"""A partition holds about 10 GB (DynamoDB Developer Guide: Partitions and data distribution)."""


def partitions_needed(write: float, read: float = 0.0, size_bytes: float = 0.0) -> int:
    """The fewest partitions that serve `write` and `read` units per second and hold `size_bytes`.

    A table may have more: partitions that were split for an earlier peak are never merged.
    """
    return max(
        1,
        math.ceil(write / PARTITION_WCU),
        math.ceil(read / PARTITION_RCU),
        math.ceil(size_bytes / PARTITION_BYTES),
    )
