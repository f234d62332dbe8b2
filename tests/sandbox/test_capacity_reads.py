"""Reads: admitted while anything is left, paid for afterwards, independent of writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.reasons import Reason
from refire_async.sandbox.capacity.specs import Provisioned, ResourceSpec
from tests.sandbox.capacity_support import hammer, make, uniform

HOT = 0x1234_5678_9ABC_DEF0


def test_rate_of_pages() -> None:
    """Pages of 128 units on a table of 1,000 RCU: 1,000 units a second over a minute, each refusal named."""
    table, clock = make(Provisioned(read=1000, write=10))
    read = 0
    for _ in range(6000):
        clock.advance(0.01)
        throttle = table.check_read(None, HOT, 128)
        if throttle is None:
            table.charge_read(None, HOT, 128)
            read += 128
        else:
            assert throttle.reason is Reason.TABLE_READ_PROVISIONED
    assert read == pytest.approx(60_000, rel=0.02)


def test_one_partition_serves_3000() -> None:
    """One hash key of a table of 30,000 RCU gets 3,000 a second, and the partition is to blame."""
    table, clock = make(Provisioned(read=30_000, write=10))
    read, reasons = 0.0, set()
    for _ in range(2000):
        clock.advance(0.005)
        throttle = table.check_read(None, HOT)
        if throttle is None:
            table.charge_read(None, HOT, 20)
            read += 20
        else:
            reasons.add(throttle.reason)
    assert read == pytest.approx(30_000, rel=0.02)
    assert reasons == {Reason.TABLE_READ_KEY_RANGE}


def test_reads_and_writes_are_independent() -> None:
    """A table whose writes are used up reads as before, and the other way round."""
    table, clock = make(Provisioned(read=100, write=100))
    clock.advance(1)
    while table.admit_write(HOT, 1) is None:
        pass
    assert table.check_read(None, HOT) is None
    table.charge_read(None, HOT, 10_000)
    assert table.check_read(None, HOT) is not None
    admitted, _ = hammer(table, clock, 10, keys=uniform(), rate=500)
    assert admitted == pytest.approx(1000, rel=0.02)


def test_an_idle_hour_leaves_one_second_of_reads() -> None:
    """Without burst, unused reads of an hour are worth one second of capacity."""
    table, clock = make(Provisioned(100, 10))
    clock.advance(3600)
    read = 0
    while table.check_read(None, HOT) is None:
        table.charge_read(None, HOT, 1)
        read += 1
    assert read == 100


def test_index_reads_have_their_own_capacity() -> None:
    """Reads of a GSI take from the GSI alone, and never throttle the table."""
    table, clock = make(Provisioned(100, 100), indexes={"i": ResourceSpec(Provisioned(10, 10))})
    clock.advance(1)
    table.charge_read("i", HOT, 50)
    throttle = table.check_read("i", HOT)
    assert throttle is not None
    assert throttle.reason is Reason.INDEX_READ_PROVISIONED
    assert table.check_read(None, HOT) is None
    assert table.admit_write(HOT, 1, (("i", HOT, 1),)) is None


@given(
    st.floats(1, 5000),
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 2**64 - 1), st.integers(1, 256)), max_size=100),
)
def test_never_more_than_rate_and_one_request(rate: float, attempts: list) -> None:
    """Units read never exceed rate * t + one second of capacity, plus the last request that was let in."""
    table, clock = make(Provisioned(rate, 10))
    total = 0
    for wait, hash64, halves in attempts:
        clock.advance(wait)
        if table.check_read(None, hash64) is None:
            table.charge_read(None, hash64, halves / 2)
            total += halves
            assert total / 2 <= rate * clock.monotonic() + rate + 128 + 1e-6
