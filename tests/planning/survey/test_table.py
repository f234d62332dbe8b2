"""A survey of a fake table: bounded, and right about the hottest hash key."""

import random
from typing import Any

import pytest

from refire_async.errors import RefusedError
from refire_async.model.keys import KeySchema
from refire_async.model.marker import Marker
from refire_async.model.selection import Selection
from refire_async.planning.forecast.load import Load
from refire_async.planning.survey.request import SurveyRequest
from refire_async.planning.survey.table import MORE_RCU, MOST_RCU, survey
from tests.support.fakes import data_plane
from tests.support.table_descriptions import described_table
from tests.support.virtual_time import run_virtual

ITEM_BYTES = 1_000


class Stored:
    """A table of items of 1,000 bytes with hash keys of these sizes; counts the units of its reads."""

    def __init__(self, sizes: list[int]) -> None:
        draw = random.Random(1)
        self.rcu = 0.0
        self._items = sorted((draw.random(), key, n) for key, size in enumerate(sizes) for n in [size])
        self.count = sum(sizes)

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """A page of Scan."""
        assert operation == "Scan"
        low, high = (
            (request["Segment"] + end) / request["TotalSegments"] for end in (0, 1)
        )  # a hash is a number below 1
        after = request.get("ExclusiveStartKey")
        start = (int(after["pk"]["S"]), int(float(after["sk"]["N"]))) if after else None
        page: list[dict[str, Any]] = []
        passed = start is None
        for place, key, size in self._items:
            if not low <= place < high:
                continue
            first = 0
            if not passed:
                if start is None or key != start[0]:
                    continue
                passed, first = True, start[1] + 1
            for n in range(first, size):
                if len(page) == request["Limit"]:
                    return self._page(page, more=True)
                page.append({"pk": {"S": str(key)}, "sk": {"N": str(n)}, "text": {"S": "x" * 980}})
        return self._page(page, more=False)

    def _page(self, items: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
        units = max(0.5, len(items) * ITEM_BYTES / 8_192)
        self.rcu += units
        reply: dict[str, Any] = {
            "Items": items,
            "Count": len(items),
            "ScannedCount": len(items),
            "ConsumedCapacity": {"CapacityUnits": units},
        }
        return {**reply, "LastEvaluatedKey": {n: items[-1][n] for n in ("pk", "sk")}} if more else reply


def look(stored: Stored, max_rcu: float = 1_000.0) -> Load:
    """Survey it."""
    table = described_table(
        keys=KeySchema("pk", "S", "sk", "N"),
        item_count=stored.count,
        size_bytes=stored.count * ITEM_BYTES,
    )
    request = SurveyRequest(
        table=table,
        selection=Selection(kind="scan"),
        marker=Marker("revision", "revision", "run"),
        ttl_attribute=None,
        page_items=500,
        segments=8,
        max_rcu=max_rcu,
        within_s=10.0,
        now_s=0.0,
    )
    return run_virtual(lambda: survey(data_plane(stored.answer), request, seed=3))


def test_a_hot_key_is_found_with_a_larger_sample() -> None:
    """60% of the items have one of 500 hash keys, which is never read to its end."""
    stored = Stored([12_000, *[16] * 500])
    load = look(stored)
    assert load.items == 20_000
    assert load.hottest_share == pytest.approx(0.6, rel=0.03)
    assert stored.rcu <= MORE_RCU


def test_few_hash_keys_have_equal_shares() -> None:
    """Five hash keys of 20,000 items, none of which is read to its end: they limit a run."""
    stored = Stored([20_000] * 5)
    load = look(stored)
    assert load.items == 100_000
    assert load.hottest_share == pytest.approx(0.2)
    assert stored.rcu <= MORE_RCU


def test_a_survey_without_a_hot_key_is_short() -> None:
    """Similar hash keys: no more than the units of the first sample."""
    stored = Stored([10] * 3_000)
    load = look(stored)
    assert load.items == 30_000
    assert load.hottest_share < 0.001
    assert stored.rcu <= MOST_RCU


def test_a_small_budget_limits_the_survey() -> None:
    """20 units/s for 10 s, and the requests in flight when they are consumed."""
    stored = Stored([12_000, *[16] * 500])
    load = look(stored, max_rcu=20.0)
    assert load.items == 20_000
    assert stored.rcu <= 20.0 * 10.0 * 1.1 + 50.0


def test_a_table_that_cannot_be_read_in_time() -> None:
    """One line that says what to do."""
    stored = Stored([10])
    with pytest.raises(RefusedError, match="could be read within 10 s") as caught:
        look(stored, max_rcu=0.01)
    assert "--sample-seconds" in str(caught.value)
