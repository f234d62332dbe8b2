"""What answers mean, and what a whole lane of them comes to: the rules of an event source mapping."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.delivery.answers import (
    BAD_IDENTIFIER,
    Outcome,
    after_invocation,
    after_lost_answer,
    after_too_large,
    count_too_old,
    read_answer,
)
from refire_async.delivery.batches import Batch, body_bytes
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.target import Answer
from tests.support.delivery import START_S, failures_answer, function_error, record, records
from tests.support.examples import examples

FIVE = records(range(5))


def batch_of(found: Sequence[EventRecord], attempts: int = 0) -> Batch:
    return Batch(found, body_bytes(found), attempts)


def read(payload: bytes, *, partial_failures: bool = True) -> Outcome:
    return read_answer(Answer(payload), FIVE, partial_failures=partial_failures)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"{}",
        b'{"batchItemFailures": []}',
        b'{"batchItemFailures": null}',
        b'"done"',
        b"[]",
        b"3",
        b"not JSON",
        b'{"batchItemFailures": "all"}',
        b'{"batchitemfailures": [{"itemIdentifier": "1"}]}',
    ],
)
def test_answers_that_name_no_failed_record_are_a_success(payload: bytes) -> None:
    assert read(payload) == Outcome(5)


@pytest.mark.parametrize(
    "failure",
    [
        '{"itemIdentifier": ""}',
        '{"itemIdentifier": null}',
        '{"itemIdentifier": "5"}',
        '{"itemIdentifier": "-1"}',
        '{"itemIdentifier": " 1"}',
        '{"itemIdentifier": 1}',
        '{"itemIdentifier": "1_0"}',
        '{"itemIdentifier": "\u0661"}',
        '{"itemIdentifier": "' + "1" * 5_000 + '"}',
        '{"itemidentifier": "1"}',
        "{}",
        "null",
        '"1"',
    ],
)
@pytest.mark.parametrize("others", ["", '{"itemIdentifier": "3"}, '])
def test_an_identifier_that_names_no_record_fails_the_whole_batch(failure: str, others: str) -> None:
    assert read(f'{{"batchItemFailures": [{others}{failure}]}}'.encode()) == Outcome(0, BAD_IDENTIFIER)


@pytest.mark.parametrize(("identifiers", "delivered"), [(["3"], 3), (["4", "2"], 2), (["000", "4"], 0)])
def test_everything_from_the_lowest_identifier_on_has_failed(identifiers: list[str], delivered: int) -> None:
    outcome = read_answer(failures_answer(*identifiers), FIVE, partial_failures=True)
    assert outcome.delivered == delivered
    assert outcome.failure is not None
    assert not outcome.function_error


def test_without_partial_failures_the_answer_is_not_read() -> None:
    assert read(b'{"batchItemFailures": [{"itemIdentifier": ""}]}', partial_failures=False) == Outcome(5)


@pytest.mark.parametrize("partial_failures", [True, False])
def test_a_function_error_fails_the_batch_whatever_its_payload_says(*, partial_failures: bool) -> None:
    answer = Answer(b'{"batchItemFailures": []}', function_error="Unhandled")
    outcome = read_answer(answer, FIVE, partial_failures=partial_failures)
    assert outcome == Outcome(0, "function error Unhandled", function_error=True)


ERROR = Outcome(0, "function error Unhandled", function_error=True)


def test_halving_uses_up_no_retry_and_a_single_record_does() -> None:
    rules = DeliveryRules(bisect=True, retries=1)
    step = after_invocation(batch_of(FIVE), ERROR, rules)
    assert [len(half.records) for half in step.again] == [3, 2]
    assert [half.attempts for half in step.again] == [0, 0]
    assert not step.uses_retry
    step = after_invocation(batch_of(FIVE[:1]), ERROR, rules)
    assert step.uses_retry
    (again,) = step.again
    step = after_invocation(again, ERROR, rules)
    assert step.given_up is not None
    assert (step.given_up.records, step.given_up.invocations) == (FIVE[:1], 2)


def test_with_bisecting_and_partial_failures_the_cut_is_at_the_identifier() -> None:
    rules = DeliveryRules(bisect=True, partial_failures=True, retries=0)
    step = after_invocation(batch_of(FIVE), Outcome(2, "partial"), rules)
    assert (step.delivered, [batch.records for batch in step.again]) == (2, [FIVE[2:]])
    assert step.again[0].attempts == 0
    step = after_invocation(step.again[0], Outcome(0, "partial"), rules)
    assert step.given_up is not None
    assert step.given_up.records == FIVE[2:]


def test_without_bisecting_a_partial_failure_uses_up_a_retry() -> None:
    rules = DeliveryRules(partial_failures=True, retries=0)
    step = after_invocation(batch_of(FIVE), Outcome(2, "partial"), rules)
    assert step.delivered == 2
    assert step.given_up is not None
    assert step.given_up.records == FIVE[2:]


def test_a_lost_answer_uses_up_a_retry_and_halves_nothing() -> None:
    step = after_lost_answer(batch_of(FIVE), DeliveryRules(bisect=True, retries=3))
    assert (step.uses_retry, step.again[0].records, step.again[0].attempts) == (True, FIVE, 1)


def test_a_batch_that_is_too_large_is_halved_down_to_a_record() -> None:
    step = after_too_large(batch_of(FIVE, attempts=1))
    assert [(len(half.records), half.attempts) for half in step.again] == [(3, 1), (2, 1)]
    assert after_too_large(batch_of(FIVE[:1])).given_up == batch_of(FIVE[:1])


@pytest.mark.parametrize(
    ("age_s", "expected"), [(None, 0), (3.0, 2), (0.5, 5), (10.0, 0), (5.0, 0), (4.999, 1)]
)
def test_records_before_the_oldest_that_may_be_delivered(age_s: float | None, expected: int) -> None:
    assert count_too_old(batch_of(FIVE), age_s, START_S + 5.0) == expected


@pytest.mark.parametrize(("aging_from", "expected"), [(-10.0, 5), (4.5, 5), (5.5, 0), (60.0, 0)])
def test_records_of_the_past_age_from_when_their_delivery_began(aging_from: float, expected: int) -> None:
    """A mapping's limit on the age bounds how long a record is tried, not which records a replay has."""
    assert count_too_old(batch_of(FIVE), 60.0, START_S + 65.0, START_S + aging_from) == expected


def test_records_behind_a_young_one_are_not_too_old() -> None:
    """Times within a shard are approximate: the order of records goes before their age."""
    assert count_too_old(batch_of([record(1, at=START_S), record(2, at=START_S - 60)]), 30.0, START_S) == 0


@dataclass
class Function:
    """Plays a function: raises an error or reports a failure for records as long as they are to fail."""

    failures_left: dict[int, int]
    raises: bool
    delivered: Counter[int] = field(default_factory=Counter)
    invocations: int = 0

    def invoke(self, batch: Sequence[EventRecord]) -> Answer:
        self.invocations += 1
        for one in batch:
            if self.failures_left.get(one.sequence, 0) > 0:
                self.failures_left[one.sequence] -= 1
                return function_error() if self.raises else failures_answer(str(one.sequence))
            self.delivered[one.sequence] += 1
        return Answer()


@examples(150, 3_000)
@given(
    st.integers(1, 20),
    st.dictionaries(st.integers(0, 19), st.integers(1, 6)),
    st.booleans(),
    st.builds(
        DeliveryRules,
        retries=st.integers(0, 4),
        bisect=st.booleans(),
        partial_failures=st.just(True),
    ),
)
def test_a_lane_settles_every_record_in_order(
    count: int, to_fail: dict[int, int], raises: bool, rules: DeliveryRules
) -> None:
    function = Function(dict(to_fail), raises)
    work, settled, given_up = [batch_of(records(range(count)))], [], []
    while work:
        batch = work.pop(0)
        assert batch.first == len(settled), "the next batch begins behind what is settled"
        answer = function.invoke(batch.records)
        outcome = read_answer(answer, batch.records, partial_failures=rules.partial_failures)
        step = after_invocation(batch, outcome, rules)
        settled += [one.sequence for one in batch.records[: step.delivered]]
        if step.given_up is not None:
            assert not step.again
            assert step.given_up.attempts == (rules.retries or 0) + 1
            settled += [one.sequence for one in step.given_up.records]
            given_up += step.given_up.records
        work[:0] = step.again
    assert settled == list(range(count))
    assert all(function.delivered[n] > 0 for n in set(settled) - {one.sequence for one in given_up})
    if rules.bisect and raises:
        # Only the records that the function failed on are given up, and none of its neighbours.
        assert all(to_fail[one.sequence] > (rules.retries or 0) for one in given_up)
    if not raises:
        # A record before a reported one was taken, and is not delivered again.
        assert all(times <= 1 + sum(to_fail.values()) for times in function.delivered.values())
        assert all(function.delivered[n] == 1 for n in range(min(to_fail, default=count)) if n < count)
