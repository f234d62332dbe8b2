"""What an answer of the function means for its batch, as Lambda's event source mapping decides it. Pure.

Lambda Developer Guide: Configuring partial batch response with DynamoDB and Lambda; Retain discarded records for a
DynamoDB data source in Lambda. Two points are our reading, since the guide leaves them open: an answer that is not
JSON, or has another shape than `{"batchItemFailures": [...]}`, is a success; an identifier at the batch's first record
uses up a retry even if `bisect` is on, because a cut there would repeat the same batch without end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from refire_async.delivery.batches import Batch
from refire_async.delivery.record import EventRecord
from refire_async.delivery.rules import DeliveryRules
from refire_async.delivery.target import Answer

EXHAUSTED = "RetryAttemptsExhausted"
TOO_OLD = "RecordAgeExceeded"
TOO_LARGE = "RecordTooLarge"
"""Values of `condition` in an invocation record. The last is our own: Lambda has no record that exceeds an event."""

PARTIAL_FAILURE = "the function reported failed records (batchItemFailures)"
BAD_IDENTIFIER = "the function reported a failed record that is not in its batch (batchItemFailures)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one invocation did: its first `delivered` records are done. `failure` says why the others are not.

    `function_error`: the function raised an error, so that `bisect` halves the batch.
    """

    delivered: int
    failure: str | None = None
    function_error: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after an invocation: the first `delivered` records are settled; then `again`, in this order.

    `given_up` has no retry left: its records have failed. `uses_retry`: `again` is a retry and waits before it.
    """

    delivered: int = 0
    again: tuple[Batch, ...] = ()
    given_up: Batch | None = None
    uses_retry: bool = False


def read_answer(answer: Answer, records: Sequence[EventRecord], *, partial_failures: bool) -> Outcome:
    """What `answer` says of the `records` of its invocation."""
    if answer.function_error is not None:
        return Outcome(0, f"function error {answer.function_error}", function_error=True)
    if not partial_failures or not answer.payload:
        return Outcome(len(records))
    failures = _failures_in(answer.payload)
    if not failures:
        return Outcome(len(records))
    places = {record.sequence: place for place, record in enumerate(records)}
    lowest = len(records)
    for failure in failures:
        place = _place(failure, places)
        if place is None:
            return Outcome(0, BAD_IDENTIFIER)
        lowest = min(lowest, place)
    return Outcome(lowest, PARTIAL_FAILURE)


def _failures_in(payload: bytes) -> list[Any]:
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return []
    failures = data.get("batchItemFailures") if isinstance(data, dict) else None
    return failures if isinstance(failures, list) else []


def _place(failure: Any, places: dict[int, int]) -> int | None:
    """Where the record of a `{"itemIdentifier": SEQUENCE_NUMBER}` stands; None for whatever names no record."""
    identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    if not isinstance(identifier, str) or not (identifier.isascii() and identifier.isdecimal()):
        return None
    if len(identifier) > MOST_DIGITS:
        return None
    return places.get(int(identifier))


MOST_DIGITS = 100
"""Digits of an identifier that is looked up. Sequence numbers have 21 to 40 (API reference: StreamRecord)."""


def after_invocation(batch: Batch, outcome: Outcome, rules: DeliveryRules) -> Step:
    """The step after an invocation of `batch` with this outcome."""
    delivered = outcome.delivered
    if outcome.failure is None:
        return Step(delivered=delivered)
    rest = replace(batch.part(delivered), invocations=batch.invocations + 1)
    if rules.bisect:
        if outcome.function_error and len(rest.records) > 1:
            return Step(again=rest.halves())
        if delivered > 0:
            return Step(delivered=delivered, again=(rest,))
    rest = replace(rest, attempts=rest.attempts + 1)
    if rules.retries is not None and rest.attempts > rules.retries:
        return Step(delivered=delivered, given_up=rest)
    return Step(delivered=delivered, again=(rest,), uses_retry=True)


def after_lost_answer(batch: Batch, rules: DeliveryRules) -> Step:
    """The step after an invocation whose answer is lost: it may have run, and uses up a retry."""
    return after_invocation(batch, Outcome(0, "the answer was lost"), rules)


def after_too_large(batch: Batch) -> Step:
    """The step after the service refused the event for its size: halves, which uses up no retry."""
    if len(batch.records) > 1:
        return Step(again=batch.halves())
    return Step(given_up=batch)


def count_too_old(
    batch: Batch, max_record_age_s: float | None, now: float, aging_from: float = -math.inf
) -> int:
    """How many of the first records are older than the limit at `now`. No record ages before `aging_from`.

    Times are seconds since the epoch.
    """
    if max_record_age_s is None or now - max_record_age_s <= aging_from:
        return 0
    oldest = now - max_record_age_s
    for place, record in enumerate(batch.records):
        if record.created_at >= oldest:
            return place
    return len(batch.records)
