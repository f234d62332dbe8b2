"""Batches keep both limits exactly, and events are what a function receives."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.batches import ARRAY, EVENT, Envelope, make_batch
from refire_async.delivery.target import EVENT_LIMIT
from tests.support.delivery import record, records


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 12), st.integers(150, 2_000))
def test_a_batch_is_as_large_as_both_limits_allow(paddings: list[int], batch_size: int, limit: int) -> None:
    pending = [record(place, padding=padding) for place, padding in enumerate(paddings)]
    batch = make_batch(pending, batch_size, EVENT.room(limit))
    count = len(batch.records)
    assert batch.records == pending[:count]
    assert batch.size_bytes == sum(len(one.body) for one in batch.records)
    assert 1 <= count <= batch_size
    if count > 1:
        assert len(EVENT.join(pending[:count])) <= limit
    if count < min(batch_size, len(pending)):
        assert len(EVENT.join(pending[: count + 1])) > limit


@pytest.mark.parametrize("envelope", [EVENT, ARRAY], ids=["function", "pipe"])
def test_an_event_of_exactly_the_limit_fits_and_one_byte_more_does_not(envelope: Envelope) -> None:
    one = record(1)
    padding = EVENT_LIMIT - len(envelope.join([one, one]))
    pair = [one, record(1, padding=padding)]
    assert len(envelope.join(pair)) == EVENT_LIMIT
    assert make_batch(pair, 10, envelope.room()).records == pair
    assert make_batch([one, record(1, padding=padding + 1)], 10, envelope.room()).records == [one]


def test_a_record_that_is_larger_than_an_event_is_alone() -> None:
    large = record(1, padding=EVENT_LIMIT)
    assert make_batch([large, record(2)], 10, EVENT.room()).records == [large]


@given(st.integers(1, 5))
def test_an_event_holds_the_records_as_they_are(count: int) -> None:
    given_records = records(range(count))
    bodies = [json.loads(one.body) for one in given_records]
    assert json.loads(EVENT.join(given_records)) == {"Records": bodies}
    assert json.loads(ARRAY.join(given_records)) == bodies
    assert EVENT.join(given_records) == b'{"Records":[' + b",".join(one.body for one in given_records) + b"]}"


@given(st.integers(2, 9))
def test_halves_are_the_batch(count: int) -> None:
    batch = make_batch(records(range(count)), count, EVENT.room())
    batch = replace(batch, attempts=2, invocations=5)
    first, second = batch.halves()
    assert [*first.records, *second.records] == batch.records
    assert 0 <= len(first.records) - len(second.records) <= 1
    assert (first.attempts, second.attempts, first.invocations) == (2, 2, 5)
    assert first.size_bytes + second.size_bytes == batch.size_bytes
    assert (first.first, second.last) == (batch.first, batch.last)
