"""Statistics: what is counted where, for how long, and how a refusal is put into words."""

from __future__ import annotations

import itertools
import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.sandbox.capacity.history import History
from refire_async.sandbox.capacity.reasons import Limit, Reason, reason_for, throttle_for
from refire_async.sandbox.capacity.settings import CapacitySettings
from refire_async.sandbox.capacity.specs import OnDemand, Provisioned, ResourceSpec
from tests.sandbox.capacity_support import ARN, hammer, make, one_of, uniform, writes

HOT = 0x1234_5678_9ABC_DEF0


def test_every_second_is_counted() -> None:
    """Accepted and throttled units of each second, by the clock's whole seconds, add up to what was tried."""
    table, clock = make(Provisioned(100, 50))
    for _ in range(5):
        hammer(table, clock, 1, keys=one_of(HOT), rate=128, units=2, step=1 / 64)  # exact as floats
    table.charge_read(None, HOT, 7.5)
    (stats,) = table.stats()
    seconds = stats["seconds"]
    assert [row[0] for row in seconds] == list(range(1_767_225_600, 1_767_225_606))
    assert sum(row[2] for row in seconds) + sum(row[4] for row in seconds) == 5 * 128 * 2
    assert seconds[2][2] == pytest.approx(50, abs=2)
    assert seconds[-1][1] == 7.5
    assert stats["throttles"] == {
        "TableWriteProvisionedThroughputExceeded": sum(row[4] for row in seconds) / 2
    }
    assert stats["partitions"][0]["seconds"] == seconds


def test_ten_minutes_are_kept() -> None:
    """Rows are kept for 600 seconds and leave out idle ones; those of an hour ago are gone."""
    table, clock = make(writes(50))
    for _ in range(3000):
        clock.advance(1)
        table.charge_write(HOT, 1)
    (stats,) = table.stats()
    assert len(stats["seconds"]) == 600
    assert stats["seconds"][-1][0] == 1_767_225_600 + 3000
    clock.advance(100)
    (stats,) = table.stats()
    assert len(stats["seconds"]) == 500
    clock.advance(3600)
    (stats,) = table.stats()
    assert stats["seconds"] == []


def test_only_the_arm_at_fault_counts_the_refusal() -> None:
    """A write that an index refuses is throttled there, and neither accepted nor throttled elsewhere."""
    table, _ = make(
        writes(100),
        indexes={"a": ResourceSpec(writes(100)), "b": ResourceSpec(writes(1))},
        settings=CapacitySettings(burst_seconds=1),
    )
    assert table.admit_write(HOT, 3, (("a", HOT, 2), ("b", HOT, 1))) is None
    assert table.admit_write(HOT, 3, (("a", HOT, 2), ("b", HOT, 1))) is not None
    by_index = {stats["index"]: stats["seconds"][-1][1:] for stats in table.stats()}
    assert by_index == {None: [0, 3, 0, 0], "a": [0, 2, 0, 0], "b": [0, 1, 0, 1]}


def test_history_survives_a_split() -> None:
    """A partition that was split stays in the statistics, closed, until its last row is ten minutes old."""
    settings = CapacitySettings(burst_seconds=0, split_after=5)
    table, clock = make(writes(10_000), settings=settings)
    hammer(table, clock, 10, keys=one_of(HOT, HOT + 99), rate=2000)
    (split,) = table.splits
    (stats,) = table.stats()
    by_id = {partition["id"]: partition for partition in stats["partitions"]}
    assert not by_id[split.parent]["open"]
    assert [by_id[child]["parent"] for child in split.children] == [split.parent] * 2
    assert by_id[split.children[0]]["range"][1] == by_id[split.children[1]]["range"][0]
    of_partitions = sum(row[2] for partition in by_id.values() for row in partition["seconds"])
    assert of_partitions == sum(row[2] for row in stats["seconds"])
    clock.advance(601)
    (stats,) = table.stats()
    clock.advance(1)
    table.tick()
    (stats,) = table.stats()
    assert split.parent not in {partition["id"] for partition in stats["partitions"]}


def test_counts_of_a_second_survive_a_split_within_it() -> None:
    """Units accepted before a split in the middle of a second are still counted when it ends."""
    table, clock = make(writes(1000))
    clock.advance(0.5)
    assert table.admit_write(HOT, 100) is None
    table.resize(None, writes(2000))
    assert table.admit_write(HOT, 50) is None
    assert table.stats()[0]["seconds"][-1][2] == 150
    clock.advance(1)
    (stats,) = table.stats()
    assert [row[2] for row in stats["seconds"]] == [150]
    assert sum(row[2] for partition in stats["partitions"] for row in partition["seconds"]) == 150


def test_statistics_are_json() -> None:
    """The statistics can be sent as they are."""
    table, clock = make(OnDemand(), indexes={"i": ResourceSpec(OnDemand())})
    hammer(table, clock, 2, keys=uniform(), rate=9000)
    assert orjson.loads(orjson.dumps(table.stats()))[0]["resource"] == ARN


def test_history_of_busy_hours() -> None:
    """Through hours of busy seconds there are always exactly 600 rows, or as many as there were."""
    history = History()
    for second in range(2500):
        history.add(second, (0, second, 0, 0))
        rows = history.rows(second)
        assert len(rows) == min(600, second + 1)
        assert rows[0][0] == max(0, second - 599)


@given(st.lists(st.integers(1, 50), max_size=100), st.integers(0, 700))
def test_history_keeps_what_is_recent(gaps: list[int], later: int) -> None:
    """Rows come back in order with exactly the seconds of the last ten minutes, however far apart they are."""
    history = History()
    seconds = [at * 10 for at in itertools.accumulate(gaps)]
    rng = random.Random(1)
    expected = []
    for second in seconds:
        counts = [rng.randrange(100) / 2 for _ in range(4)]
        history.add(second, counts)
        expected.append([second, *counts])
    now = (seconds[-1] if seconds else 0) + later
    assert history.rows(now) == [row for row in expected if row[0] > now - 600]


def test_sixteen_reasons() -> None:
    """Every combination of resource, operation and limit is a reason, and there are no others."""
    made = {
        reason_for(limit, index=index, read=read)
        for limit, index, read in itertools.product(Limit, (False, True), (False, True))
    }
    assert made == set(Reason)
    assert len(made) == 16
    for reason in Reason:
        assert reason == reason_for(reason.limit, index=reason.of_index, read=reason.of_read)


@pytest.mark.parametrize(
    ("reason", "on_demand", "error"),
    [
        (Reason.TABLE_WRITE_PROVISIONED, False, "ProvisionedThroughputExceededException"),
        (Reason.TABLE_WRITE_KEY_RANGE, False, "ProvisionedThroughputExceededException"),
        (Reason.TABLE_WRITE_KEY_RANGE, True, "ThrottlingException"),
        (Reason.TABLE_WRITE_MAXIMUM, True, "ThrottlingException"),
        (Reason.TABLE_WRITE_ACCOUNT, True, "ThrottlingException"),
    ],
)
def test_exception_types(reason: Reason, on_demand: bool, error: str) -> None:
    """Each reason comes with its exception type."""
    throttle = throttle_for(reason, table_arn=ARN, on_demand=on_demand)
    assert throttle.error == error
    member = "throttlingReasons" if error == "ThrottlingException" else "ThrottlingReasons"
    assert throttle.extra == {member: [{"reason": reason.value, "resource": ARN}]}


def test_exception_types_that_can_be_set() -> None:
    """Where the documentation disagrees, the settings decide, and the message fits the type."""
    settings = CapacitySettings(
        key_range_error="ThrottlingException", account_limit_error="RequestLimitExceeded"
    )
    hot = throttle_for(Reason.INDEX_WRITE_KEY_RANGE, table_arn=ARN, index="i", settings=settings)
    assert (hot.error, hot.resource) == ("ThrottlingException", f"{ARN}/index/i")
    assert "hot key" in hot.message
    account = throttle_for(Reason.TABLE_READ_ACCOUNT, table_arn=ARN, settings=settings)
    assert account.error == "RequestLimitExceeded"
    assert "ThrottlingReasons" in account.extra


@pytest.mark.parametrize(
    ("reason", "index"), [(Reason.INDEX_READ_ACCOUNT, None), (Reason.TABLE_READ_ACCOUNT, "i")]
)
def test_reason_must_fit_the_resource(reason: Reason, index: str | None) -> None:
    """A reason of an index needs an index, and one of a table must not have one."""
    with pytest.raises(ValueError, match="does not fit"):
        throttle_for(reason, table_arn=ARN, index=index)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"burst_seconds": -1}, "burst_seconds: -1 is not between 0 and 86400"),
        ({"split_after": 0}, "split_after: 0 is not more than 0"),
        ({"split_heat": 1.5}, "split_heat: 1.5 is not a share"),
        ({"partition_write_units": 0}, "partition_write_units: 0 is not more than 0"),
        ({"on_demand_peak_window": -5}, "on_demand_peak_window: -5 is not more than 0"),
    ],
)
def test_bad_settings(changes: dict, message: str) -> None:
    """A wrong setting is named with its bound, in one line."""
    with pytest.raises(ValueError, match=message) as raised:
        CapacitySettings(**changes).validate()
    assert "\n" not in str(raised.value)
    assert CapacitySettings().validate() == CapacitySettings()
