"""Choose segments, readers, workers and page size from the table's size and the budget. Pure.

Segments and workers follow `benchmarks/sweep`, which measures them at the default quota of a table (40,000 WCU) for
items of several sizes at several latencies: the smallest numbers that reach 90% of the highest throughput in every
case. A test compares these functions with the published result. Measured there:

* fewer lanes than partitions cannot use the capacity, at any latency: the minimum is one lane per partition;
* workers are bound by latency: 25 items each per `1 / CALLS_PER_S` seconds must add up to the budget. More workers
  cost nothing.
"""

import math
from collections.abc import Iterator

from refire_async.model.capacity import partitions_needed
from refire_async.model.selection import Selection
from refire_async.model.table import Table
from refire_async.pacing.capacity import partitions_of_capacity
from refire_async.settings import WriterKind

MAX_SEGMENTS = 1_000_000
"""Largest TotalSegments of a parallel scan (DynamoDB API reference: Scan)."""

SEGMENT_BYTES = 1 << 30
"""About 1 GiB per segment: smaller than the 2 GB that DynamoDB Developer Guide: Scan recommends, so that the segments
being read lie in many partitions."""

MIN_SEGMENT_BYTES = 4 << 20
"""At any rate a segment should hold several pages."""

SMALL_TABLE_BYTES = 100 << 20
SMALL_SEGMENTS = 8
MIN_SEGMENTS = 32
"""Segments at least: of a table below `SMALL_TABLE_BYTES`, and of a larger one."""

LANES_PER_PARTITION = 4
"""Lanes for each partition of its capacity that a large table should have."""

MIN_READERS = 32
MAX_READERS = 96
BUFFERED_ITEMS = 32_000
"""Items that all readers together hold, in two pages each, unless pages become too small: 1.5 KB per item, 48 MB."""

MIN_PAGE_ITEMS = 250
"""Smaller pages raise the CPU time per item, because each page costs one read."""

CALLS_PER_S = 20.0
"""Calls of one worker per second at a latency of 50 ms. This is slow for DynamoDB, so that periods of higher latency do
not limit the run. Additional workers cost nothing; they wait for the budget."""


def choose_segments(table: Table, write_rate: float) -> int:
    """The number of Scan segments: enough lanes to cover all partitions, few enough that each holds several pages.

    It is a multiple of the partitions that the table's capacity needs, if that is less than twice as many. Then every
    partition has the same number of lanes, and none is asked for more than its share.

    `write_rate` is the WCU/s of the scarcest resource.
    """
    lanes, partitions = _min_segments(table, write_rate), partitions_of_capacity(table)
    if partitions <= 2 * lanes:
        lanes = math.ceil(lanes / partitions) * partitions
    return min(lanes, MAX_SEGMENTS)


def total_segments(selection: Selection, table: Table, write_rate: float, wanted: int | None) -> int:
    """The number of segments in which a run reads `selection`.

    A query has one for each hash key; a Scan has `wanted`, or else `choose_segments`. A list has 1 until it is
    imported (then `sources.key_list.choose_segments`).

    `write_rate` is the WCU/s of the scarcest resource.
    """
    if selection.kind == "scan":
        return wanted or choose_segments(table, write_rate)
    return len(selection.key_values) or 1


def _min_segments(table: Table, write_rate: float) -> int:
    partitions = partitions_needed(write_rate)
    if table.size_bytes < SMALL_TABLE_BYTES:
        # One lane per partition at most: every segment costs at least one read.
        return min(max(SMALL_SEGMENTS, partitions), MAX_SEGMENTS)
    by_size = math.ceil(table.size_bytes / SEGMENT_BYTES)
    by_rate = min(LANES_PER_PARTITION * partitions, math.ceil(table.size_bytes / MIN_SEGMENT_BYTES))
    return min(max(MIN_SEGMENTS, partitions, by_size, by_rate), MAX_SEGMENTS)


def choose_workers(writer: WriterKind, write_rate: float) -> int:
    """The number of concurrent write requests: enough to use the budget (WCU/s) at an ordinary latency."""
    items_per_call = 25 if writer == "partiql" else 1
    wanted = math.ceil(write_rate / items_per_call / CALLS_PER_S)
    return max(8, min(wanted, 128 if writer == "partiql" else 512))


def choose_readers(write_rate: float) -> int:
    """The number of segments that are read, and written to, at once.

    A segment is read in the order of its hashes, so a lane writes to one partition at a time: fewer lanes than
    partitions could not use the table's capacity, and with twice as many it does not matter that some write to the
    same partition. The number is a multiple of the partitions, in case segments and partitions have the same bounds.
    """
    partitions = partitions_needed(write_rate)
    each = max(2, math.ceil(MIN_READERS / partitions))
    return min(each * partitions, MAX_READERS)


def choose_page_items(readers: int) -> int:
    """Items per page, chosen so that the memory for items stays below 72 MB with any number of readers."""
    return max(MIN_PAGE_ITEMS, BUFFERED_ITEMS // 2 // readers)


def segment_order(total: int) -> Iterator[int]:
    """The numbers below `total`, each once, with neighbours far apart (bit reversal).

    Segments are consecutive ranges of the key hash, so a few consecutive segments of this order are spread over all of
    the table's partitions. Writing in scan order is a known cause of rolling hot partitions (DynamoDB Developer Guide:
    Key range throughput exceeded).
    """
    bits = max(0, (total - 1).bit_length())
    for number in range(1 << bits):
        segment = int(format(number, f"0{bits}b")[::-1], 2) if bits else 0
        if segment < total:
            yield segment


def segments_of(total: int, task: int, tasks: int) -> Iterator[int]:
    """The segments of one of `tasks` tasks, in the order of visits: one of every `tasks` neighbours of that order.

    So the tasks together begin all over the table. Which one of the neighbours it is changes: the order is a bit
    reversal, so that every fourth segment of it is a quarter of the hash range, and a task that is left alone with
    that could not use more than a quarter of the partitions.
    """
    for place, segment in enumerate(segment_order(total)):
        if (place + _digit_sum(place // tasks, tasks & -tasks)) % tasks == task:
            yield segment


def _digit_sum(number: int, base: int) -> int:
    """The sum of the digits of `number` in `base`, a power of two; 0 in base 1: odd strides need no turn."""
    total = 0
    while number and base > 1:
        number, digit = divmod(number, base)
        total += digit
    return total
