"""Which lane of its shard a record belongs to. Pure."""

from collections.abc import Iterable
from zlib import crc32

from refire_async.delivery.record import EventRecord


def lane_of(key: bytes, lanes: int) -> int:
    """The lane, from 0, of a canonical primary key: the same one in every attempt, so that order per key holds."""
    return crc32(key) % lanes


def split_into_lanes(records: Iterable[EventRecord], lanes: int) -> dict[int, list[EventRecord]]:
    """The records of each lane that gets any, in their order. The event source mapping calls the number of lanes
    ParallelizationFactor."""
    if lanes == 1:
        only = list(records)
        return {0: only} if only else {}
    split: dict[int, list[EventRecord]] = {}
    for record in records:
        lane = crc32(record.key) % lanes  # as `lane_of`; a call per record would double the time
        if lane in split:
            split[lane].append(record)
        else:
            split[lane] = [record]
    return split
