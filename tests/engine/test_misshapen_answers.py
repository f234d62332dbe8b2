"""Answers in mid-run that are not what DynamoDB sends: the run goes on or ends with a clear reason.

After a resumption each item has fired once, unless an answer was well formed and not true.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest

from refire_async.aws.answers import parse_found, parse_page, parse_units
from refire_async.aws.data_plane import parse_reply
from refire_async.aws.errors import AwsError
from refire_async.aws.streams import next_iterator, parse_records
from refire_async.aws.types import Request
from refire_async.engine import run as engine
from refire_async.errors import ExitCode, RefireError
from refire_async.model.keys import IndexKeys, KeySchema
from refire_async.model.run import Result
from refire_async.pipeline.writers.partiql import parse_batch
from refire_async.settings import SelectionSettings, Tuning
from tests.aws.test_hostile_servers import FULL
from tests.engine.conftest import Runs
from tests.engine.test_selection import index
from tests.support.inprocess_server import InProcess, LoopClock, table_spec
from tests.support.misshapen import BODIES, damaged, dumps, misshapen

KEYS = KeySchema("pk", "S")
ITEMS = 6

SCAN, WRITE, LOOKUP = "Scan", "BatchExecuteStatement", "BatchGetItem"
SELECTIONS = {
    "scan": SelectionSettings(),
    "proof": SelectionSettings(),
    "index": SelectionSettings(index="by-day"),
    "query": SelectionSettings(index="by-day", key_values=("d1", "d0")),
}
CASES = [
    ("scan", "Scan", "partiql"),
    ("scan", "BatchExecuteStatement", "partiql"),
    ("scan", "UpdateItem", "update"),
    ("index", "BatchGetItem", "partiql"),
    ("query", "Query", "partiql"),
    ("proof", "DescribeStream", "partiql"),
    ("proof", "GetShardIterator", "partiql"),
    ("proof", "GetRecords", "partiql"),
]
"""What is selected (`proof`: all, with its proof), the operation whose answers are damaged, and what writes."""

SOAK = [pytest.mark.soak, pytest.mark.timeout(3_600)]

Damage = Callable[[bytes], bytes]


class Damaging(InProcess):
    """Carries out what it is asked for, and damages the answers of one operation."""

    def __init__(self, operation: str, damage: Damage, *, answers: range) -> None:
        """`answers` tells by number which ones."""
        types = {"pk": "S", "day": "S"}
        super().__init__(
            table_spec(
                AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
                GlobalSecondaryIndexes=[index("by-day", projection="KEYS_ONLY")],
            )
        )
        self.fill(
            "orders",
            [
                {
                    "pk": {"S": f"o{n}"},
                    "day": {"S": f"d{n % 2}"},
                    "deep": {"M": {"a": {"L": [{"N": str(n)}]}}},
                }
                | ({"revision": {"N": "7"}} if n % 3 else {})
                for n in range(ITEMS)
            ],
        )
        self.before = self.without_marker()
        self.answered = self.refused = self.lies = 0
        self.operation, self._damage, self._answers = operation, damage, answers

    def without_marker(self) -> list[dict[str, Any]]:
        """The items as others see them."""
        items = self.items("orders")
        return sorted(
            ({name: value for name, value in item.items() if name != "revision"} for item in items),
            key=lambda item: str(item["pk"]),
        )

    def _execute(self, request: Request, parsed: Any) -> bytes:
        answer = super()._execute(request, parsed)
        if request.operation != self.operation:
            return answer
        self.answered += 1
        if self.answered - 1 not in self._answers:
            return answer
        damaged_answer = self._damage(answer)
        try:
            self.lies += meaning(parsed, request.operation, damaged_answer) != meaning(
                parsed, request.operation, answer
            )
        except AwsError:
            self.refused += 1
        return damaged_answer


def meaning(request: Any, operation: str, answer: bytes) -> Any:
    """What the program makes of an answer. Raises AwsError: nothing."""
    match operation:
        case "Scan" | "Query":
            repeats = "IndexName" in request
            index_keys = IndexKeys((("day", "S"),)) if repeats else None
            return parse_page(answer, operation, KEYS, request.get("ExclusiveStartKey"), index_keys)
        case "BatchGetItem":
            return parse_found(answer, "orders", KEYS, request["RequestItems"]["orders"]["Keys"])
        case "GetRecords":
            return parse_records(answer), next_iterator(answer)
        case "DescribeStream" | "GetShardIterator":
            return parse_reply(answer)
        case "BatchExecuteStatement":
            return parse_batch(answer, len(request["Statements"]))
        case _:
            return parse_units(parse_reply(answer).get("ConsumedCapacity"), operation)


async def end_of(attempt: Callable[..., Any], **settings: Any) -> Result | RefireError:
    """How an attempt ends: anything else than these fails the test."""
    try:
        result: Result = await attempt(**settings)
    except RefireError as error:
        return error
    counts = result.summary.counts
    assert counts.settled == counts.scanned or result.exit_code is ExitCode.STOPPED
    assert result.reason is None or len(result.reason.splitlines()) == 1
    return result


async def play(
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[str, str, Any],
    damage: Damage,
    answers: range,
) -> Damaging:
    """A run that meets damaged answers, and its resumption with sound ones. Returns the service."""
    selected, operation, writer = case
    db = Damaging(operation, damage, answers=answers)
    monkeypatch.setattr(engine, "open_session", db.open_session)
    monkeypatch.setattr("time.time", LoopClock().time)
    for path in runs.checkpoint.parent.glob("**/*"):
        if path.is_file():
            path.unlink()
    settings = {
        "selection": SELECTIONS[selected],
        "tuning": Tuning(writer=writer, segments=None if selected == "query" else 2, give_up_after_s=60.0),
        "verify": selected == "proof",
    }
    first = await end_of(runs.run, **settings)
    if isinstance(first, RefireError):
        assert len(str(first).splitlines()) == 1, first
        assert first.exit_code in (ExitCode.REFUSED, ExitCode.STOPPED), first
    db.operation = ""
    complete = (ExitCode.COMPLETE, ExitCode.SOME_FAILED, ExitCode.UNPROVEN)
    last = first
    if not isinstance(first, Result) or first.exit_code not in complete:
        last = await end_of(runs.resume if runs.checkpoint.exists() else partial(runs.run, **settings))
    assert db.without_marker() == db.before
    if not db.lies:
        assert isinstance(last, Result), last
        assert last.exit_code in complete, (first, last)
        assert last.proof is None or last.proof.counts.once == ITEMS
        assert dict(db.fired("orders")) == {f"o{n}": 1 for n in range(ITEMS)}
    return db


def shapes_of(case: tuple[str, str, Any]) -> list[bytes]:
    """Every misshapen form of a genuine answer."""
    keys = [{"pk": {"S": f"o{n}"}} for n in range(2)]
    capacity = {"TableName": "orders", "CapacityUnits": 2.0, "Table": {"CapacityUnits": 2.0}}
    genuine: dict[str, Any] = {
        "Scan": {
            "Items": [keys[0], {**keys[1], "revision": {"N": "7"}}],
            "Count": 2,
            "ScannedCount": 2,
            "LastEvaluatedKey": keys[1],
            "ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 0.5},
        },
        "BatchExecuteStatement": {
            "Responses": [{"Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}]
            + [{"TableName": "orders"}] * 2,
            "ConsumedCapacity": [{**capacity, "GlobalSecondaryIndexes": {"by-day": {"CapacityUnits": 1.0}}}],
        },
        "BatchGetItem": {
            "Responses": {"orders": [{**keys[0], "revision": {"N": "7"}}]},
            "UnprocessedKeys": {"orders": {"Keys": [keys[1]]}},
            "ConsumedCapacity": [capacity],
        },
        "UpdateItem": {"ConsumedCapacity": capacity},
    }
    genuine["Query"] = genuine["Scan"]
    genuine["DescribeStream"] = orjson.loads(FULL["DescribeStream"])
    genuine["GetShardIterator"] = {"ShardIterator": "i"}
    genuine["GetRecords"] = orjson.loads(FULL["GetRecords"])
    return [*map(dumps, misshapen(genuine[case[1]])), *BODIES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
async def test_every_part_in_every_other_shape(
    case: tuple[str, str, Any], runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and then again and again."""
    refused = 0
    shapes = shapes_of(case)
    for number, shape in enumerate(random.Random(14).sample(shapes, min(len(shapes), 25))):
        answers = range(1) if number % 3 else range(10**6)
        refused += (await play(runs, monkeypatch, case, lambda _, shape=shape: shape, answers)).refused
    assert refused > 5


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
@pytest.mark.parametrize("seeds", [range(5), pytest.param(range(5, 1_000), marks=SOAK)])
async def test_random_damage(
    case: tuple[str, str, Any], seeds: range, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To one answer, some, or all of them."""
    refused = 0
    for seed in seeds:
        draw = random.Random(seed)
        first = draw.randrange(4)
        answers = range(first, first + draw.choice((1, 2, 5, 10**6)))
        db = await play(runs, monkeypatch, case, lambda answer, draw=draw: damaged(answer, draw), answers)
        refused += db.refused
    assert refused
