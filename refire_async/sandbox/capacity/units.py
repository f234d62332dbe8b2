"""Read and write units, exact to the unit.

Sizes are item sizes in bytes as DynamoDB counts them (Developer Guide: DynamoDB item sizes and formats);
``None`` is an item or index entry that does not exist. Write units are whole numbers; read units are
multiples of 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WRITE_UNIT_BYTES = 1024  # Developer Guide: Read and write operations, write capacity units
READ_UNIT_BYTES = 4096  # Developer Guide: Read and write operations, read capacity units


def write_units(before_bytes: int | None, after_bytes: int | None) -> int:
    """WCU that a write of one item takes from the table: by the larger of before and after, at least 1.

    The same rule serves PutItem, UpdateItem, DeleteItem (``after_bytes`` None), a delete of nothing (both
    None: 1 unit) and a write that changes nothing (Developer Guide: Read and write operations). LSI units
    come on top, see ``index_write_units``.
    """
    return -(-max(before_bytes or 0, after_bytes or 0) // WRITE_UNIT_BYTES) or 1


def failed_condition_units(stored_bytes: int | None, attempted_bytes: int | None) -> int:
    """WCU of a write whose condition does not hold; no index is charged.

    An absent item costs 1, whatever was attempted; a stored one costs by the larger of stored and attempted
    (Developer Guide: Working with items, Conditional writes; its pages disagree on which size counts, the
    newer wording charges the larger).
    """
    return 1 if stored_bytes is None else write_units(stored_bytes, attempted_bytes)


def index_write_units(
    before_bytes: int | None, after_bytes: int | None, *, key_changed: bool, content_changed: bool
) -> int:
    """Units that a write of the base item costs one index, GSI or LSI alike; 0 means that the index is absent.

    Sizes are those of the projected entry (Developer Guide: Global secondary indexes, Write capacity units).
    ``key_changed`` says that the entry moves to another index key, ``content_changed`` that something
    projected differs; both matter only where an entry exists before and after. A moved entry costs a delete
    (``entry_units(before_bytes)``, on the old key's partition) and a put (``entry_units(after_bytes)``, on
    the new key's); this function returns their sum.
    """
    if before_bytes is None:
        return 0 if after_bytes is None else _write_blocks(after_bytes)
    if after_bytes is None:
        return _write_blocks(before_bytes)
    if key_changed:
        return _write_blocks(before_bytes) + _write_blocks(after_bytes)
    if content_changed:
        return _write_blocks(max(before_bytes, after_bytes))
    return 0


def entry_units(entry_bytes: int) -> int:
    """Units of writing or deleting one index entry of this projected size."""
    return _write_blocks(entry_bytes)


def read_units(item_bytes: int | None, consistent: bool) -> float:  # noqa: FBT001  a request's own ConsistentRead
    """RCU of reading one item: 4 KB blocks, half price if eventually consistent.

    An absent item (None) costs one block (Developer Guide: Read and write operations).
    """
    return _read_blocks(item_bytes or 0) * _rate(consistent)


def batch_read_units(item_bytes: Iterable[int | None], consistent: bool) -> float:  # noqa: FBT001  as read_units
    """RCU of BatchGetItem: every item is rounded by itself, absent ones cost one block each."""
    return sum(_read_blocks(size or 0) for size in item_bytes) * _rate(consistent)


def query_units(page_bytes: int, consistent: bool) -> float:  # noqa: FBT001  as read_units
    """RCU of one Query page: the sum of all items read, filtered out or not, rounded up once.

    A page without items costs one block.
    """
    return _read_blocks(page_bytes) * _rate(consistent)


def scan_units(
    bytes_by_partition: Sequence[int],
    consistent: bool,  # noqa: FBT001  as read_units
    *,
    round_per_partition: bool = False,
) -> tuple[float, ...]:
    """RCU of one Scan page for each partition that it touched, in the order given; the sum is the page's cost.

    The sizes of the items evaluated, filtered out or not, are summed and rounded up once for the page, and
    every touched partition costs at least one block, even if it holds nothing (Developer Guide: Scan, capacity
    units). How a page that spans partitions is rounded is not documented: with ``round_per_partition`` each
    partition's part is rounded by itself.
    """
    rate = _rate(consistent)
    if round_per_partition or len(bytes_by_partition) == 1:
        return tuple(_read_blocks(size) * rate for size in bytes_by_partition)
    total = sum(bytes_by_partition)
    holding = sum(1 for size in bytes_by_partition if size)
    # One block each, then what is left of the page's sum, shared by size. Shares are differences of a
    # running total, so that they are whole and add up.
    left = max(0, -(-total // READ_UNIT_BYTES) - holding)
    shares = []
    running = given = 0
    for size in bytes_by_partition:
        running += size
        upto = left * running // total if total else 0
        shares.append((1 + upto - given) * rate)
        given = upto
    return tuple(shares)


def _write_blocks(size: int) -> int:
    return -(-size // WRITE_UNIT_BYTES) or 1


def _read_blocks(size: int) -> int:
    return -(-size // READ_UNIT_BYTES) or 1


def _rate(consistent: bool) -> float:  # noqa: FBT001  as read_units
    return 1.0 if consistent else 0.5
