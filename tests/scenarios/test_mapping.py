"""`refire replay --how mapping` from outside: what it makes at Lambda, and that it is taken away.

ministack judges the requests. Its own reading of streams is not used: the stream is that of every backend.
"""

import contextlib
import itertools
import json
import signal
from typing import Any

import pytest

from tests.scenarios.test_deliveries import Consumer, MakeTable, consumer, write
from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.ministack import Ministack
from tests.support.tables import Table

__all__ = ["consumer"]
_RUNS = itertools.count(1)


@pytest.fixture
def run_id() -> str:
    """A name of this test alone."""
    return f"mapped-{next(_RUNS)}"


def arguments(table: Table, consumer: Consumer, run_id: str, *more: str) -> tuple[str, ...]:
    """The command line."""
    target = ("--table", table.name, "--function", consumer.name, "--how", "mapping")
    return ("replay", *target, "--since", "1h", "--yes", "--run-id", run_id, *more)


def made(ministack: Ministack, name: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The function's aliases and event source mappings."""
    with contextlib.closing(ministack.client("lambda")) as client:
        aliases = [one["Name"] for one in client.list_aliases(FunctionName=name)["Aliases"]]
        mappings = client.list_event_source_mappings()["EventSourceMappings"]
    return aliases, [one for one in mappings if f":function:{name}" in one["FunctionArn"]]


@on_one_backend
def test_killed_then_forgotten(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack, run_id: str
) -> None:
    """After kill -9 both are there, with the window in their filter; `forget` deletes them, then the ledger."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 2)])
    env = {**consumer.environment, "REFIRE_KILL_AT": "mapping-watched:1"}
    killed = cli.run(*arguments(table, consumer, run_id, "--event", "INSERT"), env=env)
    assert killed.code == -signal.SIGKILL, killed.stderr
    aliases, mappings = made(ministack, consumer.name)
    assert aliases == [f"refire-{run_id}"]
    (mapping,) = mappings
    assert mapping["FunctionArn"].endswith(f":{consumer.name}:refire-{run_id}")
    (pattern,) = (json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"])
    assert pattern["eventName"] == ["INSERT"]
    assert pattern["dynamodb"]["ApproximateCreationDateTime"][0]["numeric"][::2] == [">=", "<"]

    forgotten = cli.run("forget", run_id, "--yes", env=consumer.environment)
    assert forgotten.code == 0, forgotten.stderr
    assert made(ministack, consumer.name) == ([], [])
    assert cli.run("forget", run_id, "--yes").code == 2


@on_one_backend
def test_refused_by_lambda(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack, run_id: str
) -> None:
    """What cannot be combined is one line, before anything is made."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1)])
    for more in (("--latest-per-key",), ("--key-value", "a"), ("--where", "n = 1"), ("--max-rate", "5")):
        refused = cli.run(*arguments(table, consumer, run_id, *more), env=consumer.environment)
        assert (refused.code, len(refused.error_lines)) == (2, 1), refused.stderr
        assert "--how direct" in refused.stderr
    assert made(ministack, consumer.name) == ([], [])
    dry = cli.run(*arguments(table, consumer, run_id, "--dry-run"), env=consumer.environment)
    assert dry.code == 0, dry.stderr
    assert "temporary event source mapping" in dry.stdout
    assert made(ministack, consumer.name) == ([], [])


@on_one_backend
def test_terminated(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack, run_id: str
) -> None:
    """SIGTERM deletes both and says that a resume delivers everything again."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1)])
    running = cli.start(*arguments(table, consumer, run_id, "--json"), env=consumer.environment)
    running.wait_until(lambda: '"event":"mapping"' in running.stdout.read_text())
    running.signal(signal.SIGTERM)
    ended = running.wait()
    assert (ended.code, ended.json["status"]) == (3, "stopped"), ended.stderr
    assert "delivers everything again" in ended.stderr
    assert made(ministack, consumer.name) == ([], [])


@pytest.mark.soak
@on_one_backend
def test_through(
    cli: Cli, make_table: MakeTable, consumer: Consumer, ministack: Ministack, run_id: str
) -> None:
    """Killed while Lambda works, resumed, and ended by the metrics that CloudWatch has; takes two minutes."""
    table = make_table(("pk", "S"))
    write(table, [("a", 1), ("b", 2)])
    env = {**consumer.environment, "AWS_ENDPOINT_URL_CLOUDWATCH": ministack.url}
    killed = cli.run(*arguments(table, consumer, run_id), env={**env, "REFIRE_KILL_AT": "mapping-watched:1"})
    assert killed.code == -signal.SIGKILL, killed.stderr
    ((mapping,),) = made(ministack, consumer.name)[1:]
    with contextlib.closing(ministack.client("cloudwatch")) as client:
        client.put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": "InvokedEventCount",
                    "Dimensions": [{"Name": "EventSourceMappingUUID", "Value": mapping["UUID"]}],
                    "Value": 2.0,
                    "Unit": "Count",
                }
            ],
        )
    ended = cli.start("resume", run_id, "--json", "--yes", env=env).wait(timeout_s=500)
    assert ended.code == 0, ended.stderr
    counts = [
        ended.json.get(name, 0) for name in ("selected", "delivered", "failed", "unaccounted", "repeated")
    ]
    assert counts == [2, 2, 0, 0, 0]
    assert made(ministack, consumer.name) == ([], [])
