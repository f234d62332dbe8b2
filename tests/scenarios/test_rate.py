"""The speed of a run in progress, changed by the operator, the time, and live traffic."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import pointed_at
from tests.support.backends import Backend, on_one_backend
from tests.support.cli import Cli, Running
from tests.support.consumption import accepted_by_second
from tests.support.judge import Snapshot, assert_summary
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]

ITEMS = 1_500
CRAWL = ("--max-wcu", "1")
"""At this rate a run takes longer than any test: a run that ends was made faster."""

pytestmark = on_one_backend


@pytest.fixture
def cli(backend: Backend) -> Iterator[Cli]:
    """The command line with a home of a short path, so that control sockets fit in its state folder."""
    with tempfile.TemporaryDirectory(prefix="rf") as folder:
        yield from pointed_at(Path(folder), backend.url, backend)


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    table = make_table()
    table.fill(hash_rows(ITEMS))
    return table


def start(cli: Cli, table: Table, *arguments: str, **more: Any) -> Running:
    """A run that has begun to write."""
    child = cli.start("run", "--table", table.name, "--json", "--run-id", "r", *arguments, **more)
    child.wait_until(lambda: "run.started" in child.stderr.read_text())
    return child


def start_reachable(cli: Cli, table: Table, *arguments: str) -> Running:
    """A run whose control socket is open."""
    child = start(cli, table, *arguments)
    child.wait_until(lambda: bool(sockets(cli)))
    return child


def rate(cli: Cli, *arguments: str) -> dict[str, Any]:
    """The response of `refire rate r … --json`."""
    result = cli.run("rate", "r", *arguments, "--json")
    assert result.code == 0, result.stderr
    assert result.stderr == ""
    return result.json


def logged(child: Running, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in child.stderr.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] == event]


def sockets(cli: Cli) -> list[Path]:
    """The existing control sockets."""
    return [path for path in (cli.state / "refire" / "control").glob("*") if path.is_socket()]


def test_a_slow_run_is_made_faster(cli: Cli, table: Table) -> None:
    """Shown, paused, resumed and set to the table's capacity, while it runs; each item fires once."""
    before = Snapshot.of(table)
    child = start_reachable(cli, table, *CRAWL)
    assert rate(cli)["wcu"] == 1.0
    paused = rate(cli, "pause")
    assert (paused["paused"], paused["wcu"], paused["by"]) == (True, 0.0, "refire rate")
    assert rate(cli, "resume")["wcu"] == 1.0
    assert rate(cli, "50%")["wcu"] == 2_000.0
    result = child.wait()
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", touched=ITEMS)
    before.assert_fired()
    assert [line["why"] for line in logged(child, "run.paused")] == ["paused by refire rate"]
    assert logged(child, "budget.changed")[-1]["why"].endswith("capacity (refire rate)")


def test_a_run_of_two_processes_is_made_faster(cli: Cli, table: Table) -> None:
    before = Snapshot.of(table)
    child = start_reachable(cli, table, *CRAWL, "--processes", "2")
    assert rate(cli, "3000")["wcu"] == 3_000.0
    result = child.wait()
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", touched=ITEMS)
    before.assert_fired()


def test_a_run_that_the_timetable_pauses(cli: Cli, table: Table) -> None:
    """It logs until when, writes nothing, and continues when the operator sets a rate."""
    before = Snapshot.of(table)
    child = start_reachable(cli, table, "--rate", "00:00,pause 23:59,off", "--rate-timezone", "Asia/Tokyo")
    held = rate(cli, "resume")
    assert (held["by"], held["paused"], held["why"]) == ("timetable", True, "paused by timetable")
    assert not before.changes()
    assert rate(cli, "3000")["wcu"] == 3_000.0
    result = child.wait()
    assert result.code == 0, result.stderr
    before.assert_fired()


def test_the_start_has_the_timetable(cli: Cli, table: Table) -> None:
    """The first log line has the rate, until when, and the time zone."""
    result = cli.refire(table.name, "--rate", "00:00,50% 12:00,60%", "--rate-timezone", "Asia/Tokyo")
    assert result.code == 0, result.stderr
    first = json.loads(result.stderr.splitlines()[0])
    assert first["bound_by"] in (
        "50% of the table's on-demand capacity (timetable until 12:00 JST)",
        "60% of the table's on-demand capacity (timetable until 00:00 JST)",
    )
    assert first["max_wcu"] in (2_000.0, 2_400.0)


def test_runs_that_are_not_in_progress(cli: Cli, table: Table, tmp_path: Path) -> None:
    """Killed, then complete: one line and exit code 2; no socket remains."""
    checkpoint = ("--checkpoint", str(tmp_path / "x.refire"))
    child = start_reachable(cli, table, *CRAWL, *checkpoint)
    assert cli.run("rate", *checkpoint, "2").stdout.startswith("Run r: 2 WCU/s")
    child.kill()
    assert sockets(cli)
    gone = cli.run("rate", *checkpoint, "5")
    assert (gone.code, gone.stdout) == (2, "")
    assert gone.error_lines == ["refire: run r is not in progress; resume it: refire resume r"]
    assert not sockets(cli)
    resumed = cli.start("resume", *checkpoint, "--json", *CRAWL)
    resumed.wait_until(lambda: bool(sockets(cli)))
    assert cli.run("rate", *checkpoint, "100%").code == 0
    assert resumed.wait().json["status"] == "complete"
    ended = cli.run("rate", *checkpoint)
    assert (ended.code, ended.error_lines) == (
        2,
        ["refire: run r is complete; start a new one with refire run"],
    )
    assert not sockets(cli)


@pytest.fixture
def live_traffic(moto: Moto, make_table: MakeTable) -> Table:  # noqa: F811 - the fixture
    """A table of 4,000 WCU/s to which, by CloudWatch, other writers write 3,000 units/s."""
    table = make_table()
    client = moto.client("cloudwatch")
    minute = time.time() // 60 * 60
    client.put_metric_data(
        Namespace="AWS/DynamoDB",
        MetricData=[
            {
                "MetricName": "ConsumedWriteCapacityUnits",
                "Dimensions": [{"Name": "TableName", "Value": table.name}],
                "Timestamp": datetime.fromtimestamp(minute - 60 * age, UTC),
                "Value": 3_000.0 * 60,
            }
            for age in range(1, 8)
        ],
    )
    client.close()
    return table


def test_a_run_yields_to_live_traffic(
    cli: Cli,
    moto: Moto,  # noqa: F811 - the fixture
    live_traffic: Table,
) -> None:
    """3,000 of 4,000 are live and 20% stay free: never more than 200/s, from the first write on."""
    rows = list(hash_rows(400))
    live_traffic.fill(rows)
    filled = len(list(accepted_by_second(live_traffic).values()))
    before = Snapshot.of(live_traffic)
    child = start(cli, live_traffic, "--headroom", "20%", env=moto.environment)
    result = child.wait()
    assert result.code == 0, result.stderr
    before.assert_fired()
    changed = logged(child, "budget.changed")
    assert [line["max_wcu"] for line in changed] == [200.0]
    assert changed[0]["why"] == "headroom of 20% and 3000 WCU/s of live writes"
    written = list(accepted_by_second(live_traffic).values())[filled:]
    assert 0 < max(written) <= 220
    assert not logged(child, "advice.missing")


def test_headroom_without_cloudwatch(cli: Cli, table: Table) -> None:
    """Logged once, with the reason and what the run does instead."""
    child = start(cli, table, "--headroom", "20%")
    result = child.wait()
    assert result.code == 0, result.stderr
    (line,) = logged(child, "advice.missing")
    assert line["level"] == "warning"
    assert "cloudwatch was not asked" in line["why"]
    assert "25%" in line["hint"]
    assert logged(child, "budget.changed")[-1]["max_wcu"] == 800.0
