"""The order in which segments are visited. Pure."""

from collections.abc import Iterator


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
