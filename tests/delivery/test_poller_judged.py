"""Deliveries against LocalStack's poller: the same stream, function and settings lead to the same invocations.

It judges filters, batches, partial failures with all forms of answers, retries, record age, and what is written of a
batch that was given up. It cannot judge bisecting, parallel lanes and several shards; tests/delivery/test_promises.py
and the rules in lambda's documentation do.
"""

import random
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from refire_async.delivery.failures import failures_path
from refire_async.delivery.ledger import Ledger
from refire_async.delivery.patterns import Patterns
from refire_async.delivery.record import EventRecord
from refire_async.delivery.target import Answer
from refire_async.settings import Connection
from tests.support import scripted_function
from tests.support.delivery import START_S, FakeSource, FakeTarget, deliver, make_spec
from tests.support.environments import INSTALL_TIMEOUT_S
from tests.support.localstack import poll
from tests.support.virtual_time import run_virtual

FIRST = 10**20
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-30T00:00:00.000"
KINDS = ("INSERT", "MODIFY", "REMOVE")

FILTERS: tuple[list[str], ...] = (
    [],
    ['{"eventName": ["INSERT", "REMOVE"]}'],
    ['{"dynamodb": {"NewImage": {"state": {"S": [{"prefix": "pa"}]}}}}'],
    ['{"dynamodb": {"NewImage": {"state": {"S": ["open"]}}}}', '{"eventName": ["REMOVE"]}'],
    ['{"dynamodb": {"OldImage": {"state": {"S": [{"exists": true}]}}}}'],
    ['{"eventName": [{"anything-but": ["MODIFY"]}]}'],
)

MODES = (("item",), ("item",), ("error",), ("item", "item", "odd"), ("error", "item", "odd"))


def draw_record(draw: random.Random, number: int) -> dict[str, Any]:
    """A change of one of a few items, at a time that does not go back."""
    kind = draw.choice(KINDS)
    key = {"pk": {"S": f"k{draw.randrange(5)}"}}
    images = {}
    for name, without in (("OldImage", "INSERT"), ("NewImage", "REMOVE")):
        if kind != without:
            images[name] = {**key, "state": {"S": draw.choice(("open", "paid", "packed"))}}
    return {
        "eventID": f"{number:032x}",
        "eventName": kind,
        "dynamodb": {
            "ApproximateCreationDateTime": START_S + number,
            "Keys": key,
            **images,
            "SequenceNumber": str(FIRST + number),
            "SizeBytes": 50,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def draw_scenario(seed: int) -> dict[str, Any]:
    """A stream, a mapping and a function that fails for some records, for some time or for ever."""
    draw = random.Random(seed)
    count = draw.randint(1, 30)
    retries = draw.choice((0, 1, 2, 3, 5, -1))
    aged = draw.random() < 0.25
    fails, modes = {}, draw.choice(MODES)
    for number in draw.sample(range(count), draw.randint(0, min(9, count))):
        # Its poller loses what ran out of retries when records are too old as well: not both in one scenario.
        for_ever = not aged and retries >= 0 and draw.random() < 0.3
        most = 4 if retries < 0 else max(1, retries)
        times = 1_000 if for_ever else draw.randint(1, most)
        if not aged or retries < 0:
            fails[str(FIRST + number)] = (draw.choice(modes), times)
    settings: dict[str, Any] = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": draw.choice((1, 2, 3, 5, 10, 100)),
        "MaximumRetryAttempts": retries,
        "DeadLetterConfig": {"Arn": "arn:aws:s3:::failed"},
    }
    if aged:
        settings["MaximumRecordAgeInSeconds"] = 60 + draw.randint(0, 40)
    return {
        "records": [draw_record(draw, number) for number in range(count)],
        "filters": draw.choice(FILTERS),
        "settings": settings,
        "report": draw.random() < 0.7,
        "script": {"fails": fails, "shape": draw.randrange(60)},
        "function": FakeTarget.name,
        "stream": STREAM,
        "now": START_S + 100,
    }


def as_record(body: dict[str, Any]) -> EventRecord:
    change = body["dynamodb"]
    return EventRecord(
        orjson.dumps({**body, "eventSourceARN": STREAM}),
        orjson.dumps(change["Keys"]),
        int(change["SequenceNumber"]),
        change["ApproximateCreationDateTime"],
        body["eventName"],
    )


async def deliver_scenario(scenario: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What our delivery does with a scenario, in the form of the judge."""
    settings, seen = scenario["settings"], {}
    calls: list[list[str]] = []

    async def behave(sequences: list[int]) -> Answer:
        names = [str(one) for one in sequences]
        calls.append(names)
        payload, error = scripted_function.answer(scenario["script"], seen, names)
        return Answer(orjson.dumps(payload), function_error=error, version="7")

    retries = settings["MaximumRetryAttempts"]
    spec = make_spec(
        batch_size=settings["BatchSize"],
        retries=None if retries < 0 else retries,
        max_record_age_s=settings.get("MaximumRecordAgeInSeconds"),
        bisect=False,
        partial_failures=scenario["report"],
        filters=tuple(scenario["filters"]),
    )
    found = [as_record(one) for one in scenario["records"]]
    if spec.rules.filters:
        patterns = Patterns(spec.rules.filters)
        found = [one for one in found if patterns.passes(one)]
    with closing(Ledger.create(folder / "a.refire", spec, Connection())) as ledger:
        await deliver(
            ledger,
            FakeSource({"shardId-1": found}, page=1_000),
            FakeTarget(behave),
            concurrency=1,
            give_up_after_s=1e9,
            clock=lambda: scenario["now"],
        )
        lines = failures_path(ledger.path)
        failed = [orjson.loads(line) for line in lines.read_bytes().splitlines()] if lines.exists() else []
    return {"calls": calls, "failed": failed}


def comparable(failed: dict[str, Any]) -> dict[str, Any]:
    """What both say of a batch that was given up. Theirs writes no context for records that were too old."""
    batch = failed["DDBStreamBatchInfo"]
    for name in ("approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"):
        batch[name] = batch[name][:19]  # they write whole seconds
    context = failed.get("requestContext", {})
    if context.get("condition") in (None, "RecordAgeExceeded"):
        context = {}
    context.pop("requestId", None)
    records = [(one["eventID"], one["dynamodb"]) for one in failed["payload"]["Records"]]
    return {
        "batch": batch,
        "context": context,
        "response": failed.get("responseContext") if context else None,
        "version": failed["version"],
        "records": records,
    }


def check(seeds: range) -> None:
    """Hold the scenarios of these seeds against the judge."""
    scenarios = [draw_scenario(seed) for seed in seeds]
    for seed, scenario, judged in zip(seeds, scenarios, poll(scenarios), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            ours = run_virtual(deliver_scenario, scenario, Path(folder))
        assert ours["calls"] == judged["calls"], (seed, scenario)
        assert [*map(comparable, ours["failed"])] == [*map(comparable, judged["failed"])], (seed, scenario)


@pytest.mark.timeout(INSTALL_TIMEOUT_S + 300)  # the first run installs the judge
def test_sixty_scenarios() -> None:
    """Invocation by invocation, and every batch that was given up."""
    check(range(60))


@pytest.mark.soak
@pytest.mark.timeout(INSTALL_TIMEOUT_S + 1_800)
def test_three_thousand_scenarios() -> None:
    """As above."""
    check(range(1_000, 4_000))
