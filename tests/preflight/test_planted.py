"""Tables and consumers with a known problem, each found with its level and no other stop or warning; healthy ones.

The table is a sandbox in this process, its consumers are in moto, queried over real HTTP.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from refire_async.diagnosis.probes import probe_table
from refire_async.preflight.findings import KINDS, NEED_CONFIRMATION
from refire_async.settings import Budget, Connection, SelectionSettings
from tests.preflight.harness import Consumers, Harness, consumers_of
from tests.preflight.planted import BIG, Planted, found_in, index, indexed, provisioned
from tests.preflight.problems import CASES
from tests.support.moto import SERVICES, moto_server, unhurried  # noqa: F401 - the fixture

LEVELS = {kind.id: kind.level for kind in KINDS}


@pytest.fixture(scope="module")
def consumers() -> Iterator[Consumers]:
    """One moto for all tests."""
    with pytest.MonkeyPatch.context() as aws, moto_server() as moto:
        aws.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        aws.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
        for service in SERVICES:
            aws.setenv(f"AWS_ENDPOINT_URL_{service}", moto.url)
        with consumers_of(moto) as made:
            yield made


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("planted", CASES, ids=lambda planted: planted.name)
async def test_what_is_planted_is_found(planted: Planted, consumers: Consumers) -> None:
    """With its level, without another stop or warning, and without a change to any item."""
    found = await found_in(planted, consumers)
    worse = {finding.id for finding in found if finding.level != "info"}
    assert worse == set(planted.found), found
    assert all(finding.level == LEVELS[finding.id] for finding in found)
    assert planted.note is None or planted.note in {finding.id for finding in found}
    assert all(finding.message and finding.action for finding in found)


def test_every_kind_of_finding_is_planted() -> None:
    """Missing responses, lists of keys, other runs and deliveries have their own tests."""
    planted = {name for one in CASES for name in (*one.found, one.note)} - {None}
    assert (
        planted
        == {kind.id for kind in KINDS}
        - {"not-sampled", "bad-lines", "where-word", "nothing-matched", "task-held"}
        - {"stale-images", "range-holds-others", "records-trimmed", "mapping-reads", "bad-failure-records"}
        - {"export-gap", "export-overlap"}
        - NEED_CONFIRMATION
    )
    assert len(CASES) >= 30


def _as_it_is(_harness: Harness) -> None:
    pass


HEALTHY: list[Planted] = [
    Planted("on-demand", _as_it_is, asks=True),
    Planted("keys-only-stream", _as_it_is, spec={"view_type": "KEYS_ONLY"}),
    Planted(
        "index-beside-it", _as_it_is, spec={**provisioned(100), **indexed(index(write=5, keys_only=True))}
    ),
    Planted("index-with-as-much", _as_it_is, spec={**provisioned(100), **indexed(index(write=100))}),
    Planted(
        "fired-before",
        lambda harness: harness.fill(revision=lambda n: {"N": str(1 + n % 3)} if n % 2 else None),
    ),
    Planted(
        "one-key",
        lambda harness: harness.settings.update(selection=SelectionSettings(key_values=("o-1", "o-2"))),
    ),
]


def healthy(name: str, **more: Any) -> Callable[[Callable[[Harness], Any]], None]:
    def add(change: Callable[[Harness], Any]) -> None:
        HEALTHY.append(Planted(name, change, asks=True, **more))

    return add


@healthy("provisioned", spec=provisioned(100))
def _(harness: Harness) -> None:
    harness.measured("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", harness.name, 60 * 15)


@healthy("stamped-before")
def _(harness: Harness) -> None:
    harness.fill(fired_by={"S": "20260131T120000Z-3f2a1b"})
    harness.settings |= {"marker": "stamp", "marker_attribute": "fired_by"}


@healthy("filtered")
def _(harness: Harness) -> None:
    harness.consumer(json.dumps({"eventName": ["MODIFY"]}), BatchSize=500)


@healthy("kinesis-alone", listened=False)
def _(harness: Harness) -> None:
    harness.kinesis(8)


@healthy("a-busy-consumer")
def _(harness: Harness) -> None:
    harness.measured("AWS/Lambda", "IteratorAge", "FunctionName", harness.consumer(), 900)


@healthy("gentle-for-millions")
def _(harness: Harness) -> None:
    harness.describe_as(**BIG)
    harness.settings["budget"] = Budget(max_rate=100.0)


@pytest.mark.parametrize("planted", HEALTHY, ids=lambda planted: planted.name)
async def test_a_healthy_table_has_no_stop_or_warning(planted: Planted, consumers: Consumers) -> None:
    """Users would learn to ignore false ones."""
    found = await found_in(planted, consumers)
    assert [finding for finding in found if finding.level != "info"] == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            index(most=50),
            ["index by-day has an on-demand maximum of 50 write units/s; the run uses up to 50 of it"],
        ),
        (
            index(most=90_000),
            ["index by-day has an on-demand maximum of 90,000 write units/s; the run uses up to 100 of it"],
        ),
        (index(most=50, keys_only=True), []),
    ],
    ids=["below-the-budget", "above-the-budget", "of-an-index-without-the-marker"],
)
async def test_the_maximum_of_an_index_is_a_note_if_the_run_writes_to_it(
    made: dict[str, object], said: list[str], consumers: Consumers
) -> None:
    """The note has the index's name and the run's part; an index that a touch does not change has none."""

    def plant(harness: Harness) -> None:
        harness.settings["budget"] = Budget(max_wcu=100.0)

    found = await found_in(Planted("maximum", plant, spec=indexed(made)), consumers)
    assert [finding.message for finding in found if finding.id == "on-demand-maximum"] == said


def test_there_are_enough_healthy_tables() -> None:
    """A check that always warns would find every problem."""
    assert len(HEALTHY) >= 10


@pytest.mark.usefixtures("unhurried")
async def test_the_calls_of_a_diagnosis(consumers: Consumers) -> None:
    """`refire doctor` asks the same services, and keeps numbers of their answers."""
    harness = Harness(consumers, **provisioned(100))
    harness.fill(3)
    harness.consumer()
    harness.scale(10, 200)
    harness.measured("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", harness.name, 60)
    async with harness.db.open_session(Connection(), 4) as session:
        probes, table = await probe_table(session, harness.name)
    assert table is not None
    assert {probe.outcome for probe in probes} == {"works"}, probes
    found = {probe.name.partition(":")[2]: probe.found for probe in probes}
    assert found["ListEventSourceMappings"] == {"mappings": 1, "enabled": 1}
    assert found["ListPipes"] == {"pipes": 0}
    assert found["GetMetricData"] == {"table_has_metrics": True}
    assert found["DescribeScalableTargets"] == {"targets": 1}
    assert found["Scan"] == {"items": 1}
    assert found["GetRecords"]["records"] in (0, 1)
    assert found["DescribeTable"]["throughput"]["provisioned_write"] == 100.0
