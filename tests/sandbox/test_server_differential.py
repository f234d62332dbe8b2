"""The sandbox and DynamoDB Local, given the same sequences of operations, say and hold the same.

The known differences are listed in ``server_differential``.
"""

import itertools
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.server_differential import Sequence, Side, everything, outcome
from tests.support.examples import examples

TABLE = f"differential-{uuid.uuid4().hex[:12]}"
RUNS = (f"{number:05d}-" for number in itertools.count())
HEALTH = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@pytest.fixture(scope="module")
def sides(dynamodb_local_url: str, sandbox_url: str) -> Iterator[tuple[Side, Side]]:
    both = Side(dynamodb_local_url, TABLE), Side(sandbox_url, TABLE)
    yield both
    for side in both:
        side("DeleteTable", TableName=TABLE)
        side.close()


def judge(sides: tuple[Side, Side], data: st.DataObject) -> None:
    """One sequence: every answer, the items and the records in the end."""
    local, sandbox = sides
    run = next(RUNS)
    for step in data.draw(Sequence(TABLE, run).steps, label="steps"):
        expected, found = outcome(local, step), outcome(sandbox, step)
        assert found == expected, f"{step}\nsandbox: {found}\nDynamoDB Local: {expected}"
    assert list(everything(sandbox, TABLE, run)) == list(everything(local, TABLE, run))
    assert sandbox.new_records(run) == local.new_records(run)


@given(data=st.data())
@examples(12, 300, **HEALTH)
def test_sequences_of_operations_agree(sides: tuple[Side, Side], data: st.DataObject) -> None:
    """Items, stream records, errors, return values and capacity, over a few dozen sequences."""
    judge(sides, data)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@given(data=st.data())
@settings(max_examples=2_500, **HEALTH)
def test_sequences_of_operations_agree_for_long(sides: tuple[Side, Side], data: st.DataObject) -> None:
    """The same over 2,500 sequences."""
    judge(sides, data)
