"""Settings that a run chooses for itself, from the table's size and the budget. Pure.

Segments and workers follow `benchmarks/sweep`, which measures them at the default quota of a table (40,000 WCU) for
items of several sizes at several latencies: as few as reach nine tenths of the fastest everywhere. A test holds what
is chosen here against the published result. Measured there:

* fewer lanes than partitions cannot spend the capacity, at any latency: a lane per partition is the least;
* workers are bound by latency: 25 items each in `1 / CALLS_PER_S` seconds must make up the budget. More cost nothing.
"""

import math
from collections.abc import Iterator

from refire_async.model.partitions import partitions_needed
from refire_async.model.selection import Selection
from refire_async.model.table import Table
from refire_async.pacing.capacity import partitions_of_capacity
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
LANES_PER_PARTITION = 4
"""Lanes at work that a large table should have for each partition of its capacity."""

LEAST_READERS = 32
MOST_READERS = 96
BUFFERED_ITEMS = 32_000
"""Items that all readers together hold, in two pages each, unless that makes pages small: 1.5 KB an item, 48 MB."""

LEAST_PAGE_ITEMS = 250
"""Below this a read per page weighs too much on CPU time per item."""

CALLS_PER_S = 20.0
"""Calls that one worker makes per second when an answer takes 50 ms: long for DynamoDB, so that its slower moments do
not bound the run. Workers beyond need cost nothing; they wait for the budget."""


def choose_segments(table: Table, write_rate: float) -> int:
    """How many Scan segments: enough that lanes cover all partitions, few enough that none is a page or two.

    And a multiple of the partitions that the table's capacity needs, where that takes less than twice as many: then
    each partition has as many lanes as any other, so that none is asked for more than its share.
    """
    lanes, partitions = _enough_segments(table, write_rate), partitions_of_capacity(table)
    if partitions <= 2 * lanes:
        lanes = math.ceil(lanes / partitions) * partitions
    return min(lanes, MOST_SEGMENTS)


def total_segments(selection: Selection, table: Table, write_rate: float, wanted: int | None) -> int:
    """Segments in which a run reads `selection`: one for each hash key of a query; `wanted`, or else
    `choose_segments`, for a Scan. A list has 1 until it is imported: `sources.key_list.choose_segments`.

    `write_rate` is the WCU/s of the scarcest resource.
    """
    if selection.kind == "scan":
        return wanted or choose_segments(table, write_rate)
    return len(selection.key_values) or 1


def _enough_segments(table: Table, write_rate: float) -> int:
    partitions = partitions_needed(write_rate)
    if table.size_bytes < SMALL_TABLE_BYTES:
        # A lane per partition, no more: every segment costs a read, however few items it has.
        return min(max(SMALL_SEGMENTS, partitions), MOST_SEGMENTS)
    by_size = math.ceil(table.size_bytes / SEGMENT_BYTES)
    by_rate = min(LANES_PER_PARTITION * partitions, math.ceil(table.size_bytes / LEAST_SEGMENT_BYTES))
    return min(max(LEAST_SEGMENTS, partitions, by_size, by_rate), MOST_SEGMENTS)


def choose_workers(writer: WriterKind, write_rate: float) -> int:
    """How many requests are on their way at once: enough for the budget at an ordinary latency."""
    items_per_call = 25 if writer == "partiql" else 1
    wanted = math.ceil(write_rate / items_per_call / CALLS_PER_S)
    return max(8, min(wanted, 128 if writer == "partiql" else 512))


def choose_readers(write_rate: float) -> int:
    """How many segments are read, and written to, at once.

    A segment is read in the order of its hashes, so a lane writes to one partition at a time: fewer lanes than
    partitions could not spend the table's capacity, and with twice as many it is no matter that some coincide. As many
    for each partition as for any other, for where segments are cut like partitions.
    """
    partitions = partitions_needed(write_rate)
    each = max(2, math.ceil(LEAST_READERS / partitions))
    return min(each * partitions, MOST_READERS)


def choose_page_items(readers: int) -> int:
    """Items in a page, so that memory hardly depends on the number of readers (72 MB for items at the most)."""
    return max(LEAST_PAGE_ITEMS, BUFFERED_ITEMS // 2 // readers)


def spread(total: int) -> Iterator[int]:
    """The numbers below `total`, each once, neighbours far apart (bit reversal).

    Segments are ranges of the key hash in order, so any few consecutive ones of this order lie all over the
    table's partitions. Writing in scan order is a known cause of rolling hot partitions (DynamoDB Developer
    Guide: Key range throughput exceeded).
    """
    bits = max(0, (total - 1).bit_length())
    for number in range(1 << bits):
        segment = int(format(number, f"0{bits}b")[::-1], 2) if bits else 0
        if segment < total:
            yield segment
