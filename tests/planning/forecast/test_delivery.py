"""Invocations, time and cost of a delivery."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.planning.forecast.cost import Prices
from refire_async.planning.forecast.delivery import (
    FUNCTION,
    LANES,
    MAX_EVENT_BYTES,
    PROCESS,
    RATE,
    READING,
    RECORDS_PER_S,
    DeliveryLoad,
    DeliverySpeed,
    forecast_delivery,
    whole_batches,
)
from tests.support.examples import examples

LOAD = DeliveryLoad(records=1_000_000, size_bytes=2_000_000_000, invocations=10_000)


@pytest.mark.parametrize(
    ("speed", "seconds", "bound_by"),
    [
        (DeliverySpeed(), None, None),
        (DeliverySpeed(batch_s=0.3), 300.0, FUNCTION),
        (DeliverySpeed(batch_s=0.3, shards=4), 750.0, LANES),
        (DeliverySpeed(batch_s=0.3, shards=4, parallelization=10), 300.0, FUNCTION),
        (DeliverySpeed(batch_s=0.3, concurrency=30, max_rate=1_000), 1_000.0, RATE),
        (DeliverySpeed(max_rate=500), 2_000.0, RATE),
        (DeliverySpeed(batch_s=0.001), 1_000_000 / RECORDS_PER_S, PROCESS),
        (DeliverySpeed(batch_s=0.001, shards=4, parallelization=10), 2e9 / (2 << 20) / 4, READING),
    ],
)
def test_the_slowest_part_decides(speed: DeliverySpeed, seconds: float | None, bound_by: str | None) -> None:
    """Function, lanes, the rate that was asked for, this process; nothing is said where nothing is known."""
    made = forecast_delivery(LOAD, speed)
    assert made.seconds == pytest.approx(seconds)
    assert made.bound_by == bound_by


def test_other_concurrencies_are_shown_where_they_matter() -> None:
    """Half, twice and four times; none without a known duration."""
    made = forecast_delivery(LOAD, DeliverySpeed(batch_s=0.3, concurrency=10))
    assert made.others == ((5, pytest.approx(600)), (20, pytest.approx(150)), (40, pytest.approx(75)))
    assert forecast_delivery(LOAD, DeliverySpeed(max_rate=5)).others == ()
    (_, twice, four) = forecast_delivery(LOAD, DeliverySpeed(batch_s=0.3, shards=10)).others
    assert twice[1] == four[1] == pytest.approx(300), "more than the lanes can use is no faster"


def test_the_cost_has_three_parts() -> None:
    """Requests; GB-seconds; calls of GetRecords, by number or by size, twice."""
    prices = Prices(lambda_million=0.2, lambda_gb_second_million=16.0, stream_read_million=1.0)
    cost = forecast_delivery(LOAD, DeliverySpeed(batch_s=0.5, memory_mb=512), prices).cost
    assert cost.requests == pytest.approx(0.002)
    assert cost.run_time == pytest.approx(10_000 * 0.5 * 0.5 * 16e-6)
    assert cost.reads == pytest.approx(2 * 2e9 / 2**20 * 1e-6)
    assert cost.total == pytest.approx(cost.requests + cost.run_time + cost.reads)
    unknown = forecast_delivery(LOAD, DeliverySpeed(batch_s=0.5), prices).cost
    assert unknown.run_time is None
    assert unknown.total == pytest.approx(cost.requests + cost.reads)


@examples(30, 300)
@given(st.integers(1, 10**9), st.floats(1, 2e7), st.integers(1, 10_000))
def test_every_record_is_in_an_event_of_allowed_size(records: int, size: float, batch_size: int) -> None:
    """At most `batch_size` records and 6 MB, unless one record alone is larger; no invocation too many."""
    load = whole_batches(records, size, batch_size)
    per_event = math.ceil(records / load.invocations)
    assert per_event <= batch_size
    assert per_event == 1 or (per_event - 1) * size < MAX_EVENT_BYTES
    fits = max(1, min(batch_size, int(MAX_EVENT_BYTES // size)))
    assert (load.invocations - 1) * fits < records <= load.invocations * fits


def test_a_shard_that_holds_most_of_the_records_decides() -> None:
    """Batches of a lane come one after another: more concurrency does not help, however many lanes there are."""
    skewed = replace(LOAD, busiest_lane=9_000)
    made = forecast_delivery(skewed, DeliverySpeed(batch_s=0.3, concurrency=10))
    assert (made.seconds, made.bound_by) == (pytest.approx(2_700), LANES)
    assert [took for _, took in made.others] == pytest.approx([2_700] * 3)
    even = forecast_delivery(replace(LOAD, busiest_lane=1_000), DeliverySpeed(batch_s=0.3, concurrency=10))
    assert even.bound_by == FUNCTION


def test_small_records_are_bound_by_calls_and_elsewhere_by_nothing() -> None:
    """5,000 records per second and shard; failed batches in S3 are not read from the stream."""
    small = replace(LOAD, size_bytes=1_000_000)
    speed = DeliverySpeed(batch_s=0.001, shards=2, parallelization=10)
    assert forecast_delivery(small, speed).seconds == pytest.approx(100)
    assert forecast_delivery(replace(small, reads=0), speed).bound_by == PROCESS


def test_higher_parallelization_is_shown_where_lanes_decide() -> None:
    """Twice, and Lambda's most; none where the function's concurrency decides, or where it is the most already."""
    lanes = forecast_delivery(LOAD, DeliverySpeed(batch_s=0.3, shards=2, concurrency=50))
    assert lanes.parallelizations == ((2, pytest.approx(750)), (10, pytest.approx(476.837)))
    assert not forecast_delivery(LOAD, DeliverySpeed(batch_s=0.3, shards=40)).parallelizations
    most = DeliverySpeed(batch_s=9.0, shards=2, parallelization=10, concurrency=50)
    assert not forecast_delivery(LOAD, most).parallelizations
