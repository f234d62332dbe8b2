"""Rows on disk by partition: all of them come back, and memory stays bounded for runs of any size."""

import random
from pathlib import Path

import pytest

from refire_async.verification import spill as module
from refire_async.verification.encoding import BOTH, EXPECTED_STRUCT, OBSERVED_STRUCT, TOUCHED
from refire_async.verification.spill import MAX_PARTITIONS, Spill

ROWS = 4_000


@pytest.mark.parametrize(
    ("expected", "partitions"), [(0, 64), (10**7, 128), (10**9, 8_192), (10**12, MAX_PARTITIONS)]
)
def test_every_row_comes_back_from_the_partition_of_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: int, partitions: int
) -> None:
    """Expected and observed rows of a key meet in one partition, in the order of adding, also those on disk."""
    monkeypatch.setattr(module, "_MAX_WAITING_BYTES", 512 * partitions)
    draw = random.Random(1)
    keys = [draw.randbytes(16) for _ in range(ROWS)]
    with Spill(tmp_path, expected) as spill:
        assert spill.partitions == partitions
        for start in range(0, ROWS, 500):
            spill.add_expected((key, 1, 2, 0, TOUCHED) for key in keys[start : start + 500])
            spill.add_observed((key, 1, 2, 7, BOTH) for key in keys[start : start + 500])
        met = 0
        for partition in range(partitions):
            before = [row[0] for row in EXPECTED_STRUCT.iter_unpack(spill.expected(partition))]
            assert before == [row[0] for row in OBSERVED_STRUCT.iter_unpack(spill.observed(partition))]
            assert spill.count_observed(partition) == len(before)
            met += len(before)
        assert met == ROWS


def test_rows_in_memory_are_bounded_with_the_most_partitions(tmp_path: Path) -> None:
    """The chunks of all partitions take at most 64 MB, and a partition of 10^9 rows fits into 60 MB."""
    with Spill(tmp_path, 10**12) as spill:
        waiting = spill.partitions * (spill._expected._full + spill._observed._full)
        assert waiting <= 64 << 20
        assert spill._observed._full > 0
    assert 10**9 / MAX_PARTITIONS <= module._ROWS_PER_PARTITION
