"""Tables and consumers with a known problem, each found with its level and nothing worse beside it; and healthy ones.

The table is a sandbox in this process, its consumers are in moto, asked over real HTTP.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from refire_async.preflight.findings import ASKED_ABOUT, KINDS
from refire_async.settings import Budget, SelectionSettings
from tests.preflight.planted import BIG, Planted, found_in, index, indexed, provisioned
from tests.preflight.problems import CASES
from tests.preflight.world import Consumers, World, consumers_of
from tests.support.moto import SERVICES, moto_server, unhurried  # noqa: F401 - the fixture

LEVELS = {kind.id: kind.level for kind in KINDS}


@pytest.fixture(scope="module")
def consumers() -> Iterator[Consumers]:
    """One moto for all."""
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
    """With its level, no other stop or warning beside it, and without a change to any item."""
    found = await found_in(planted, consumers)
    worse = {finding.id for finding in found if finding.level != "info"}
    assert worse == set(planted.found), found
    assert all(finding.level == LEVELS[finding.id] for finding in found)
    assert planted.note is None or planted.note in {finding.id for finding in found}
    assert all(finding.message and finding.action for finding in found)


def test_every_kind_of_finding_is_planted() -> None:
    """None is only described. Those of silence, of a run's own list and of other runs have their own tests."""
    planted = {name for one in CASES for name in (*one.found, one.note)} - {None}
    assert (
        planted
        == {kind.id for kind in KINDS}
        - {"not-sampled", "bad-lines", "where-word", "nothing-matched"}
        - ASKED_ABOUT
    )
    assert len(CASES) >= 30


def _as_it_is(_world: World) -> None:
    pass


HEALTHY: list[Planted] = [
    Planted("on-demand", _as_it_is, asks=True),
    Planted("keys-only-stream", _as_it_is, spec={"view_type": "KEYS_ONLY"}),
    Planted(
        "index-beside-it", _as_it_is, spec={**provisioned(100), **indexed(index(write=5, keys_only=True))}
    ),
    Planted("index-with-as-much", _as_it_is, spec={**provisioned(100), **indexed(index(write=100))}),
    Planted(
        "fired-before", lambda world: world.fill(revision=lambda n: {"N": str(1 + n % 3)} if n % 2 else None)
    ),
    Planted(
        "one-key", lambda world: world.settings.update(selection=SelectionSettings(key_values=("o-1", "o-2")))
    ),
]


def healthy(name: str, **more: Any) -> Callable[[Callable[[World], Any]], None]:
    def add(change: Callable[[World], Any]) -> None:
        HEALTHY.append(Planted(name, change, asks=True, **more))

    return add


@healthy("provisioned", spec=provisioned(100))
def _(world: World) -> None:
    world.measured("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", world.name, 60 * 15)


@healthy("stamped-before")
def _(world: World) -> None:
    world.fill(fired_by={"S": "20260131T120000Z-3f2a1b"})
    world.settings |= {"marker": "stamp", "marker_attribute": "fired_by"}


@healthy("filtered")
def _(world: World) -> None:
    world.consumer(json.dumps({"eventName": ["MODIFY"]}), BatchSize=500)


@healthy("kinesis-alone", listened=False)
def _(world: World) -> None:
    world.kinesis(8)


@healthy("a-busy-consumer")
def _(world: World) -> None:
    world.measured("AWS/Lambda", "IteratorAge", "FunctionName", world.consumer(), 900)


@healthy("gentle-for-millions")
def _(world: World) -> None:
    world.describe_as(**BIG)
    world.settings["budget"] = Budget(max_rate=100.0)


@pytest.mark.parametrize("planted", HEALTHY, ids=lambda planted: planted.name)
async def test_nothing_stands_against_a_healthy_table(planted: Planted, consumers: Consumers) -> None:
    """Neither a stop nor a warning: those would be ignored one day."""
    found = await found_in(planted, consumers)
    assert [finding for finding in found if finding.level != "info"] == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            index(most=50),
            ["index by-day has an on-demand maximum of 50 write units/s; the run takes up to 50 of it"],
        ),
        (
            index(most=90_000),
            ["index by-day has an on-demand maximum of 90,000 write units/s; the run takes up to 100 of it"],
        ),
        (index(most=50, keys_only=True), []),
    ],
    ids=["below-the-budget", "above-the-budget", "of-an-index-without-the-marker"],
)
async def test_a_maximum_of_an_index_bounds_a_run_that_writes_to_it(
    made: dict[str, object], said: list[str], consumers: Consumers
) -> None:
    """It is told with its name and what the run takes of it; an index that a touch does not change is none of this."""

    def plant(world: World) -> None:
        world.settings["budget"] = Budget(max_wcu=100.0)

    found = await found_in(Planted("maximum", plant, spec=indexed(made)), consumers)
    assert [finding.message for finding in found if finding.id == "on-demand-maximum"] == said


def test_there_are_healthy_tables_enough() -> None:
    """A check that warns always would find everything."""
    assert len(HEALTHY) >= 10
