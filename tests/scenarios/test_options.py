"""Options of a run, and the promises under them."""

import json
import time
from collections.abc import Callable

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot, assert_summary, stamped
from tests.support.proxy import WRITES, Proxy, Reply
from tests.support.rows import composite_rows, hash_rows
from tests.support.tables import Item, Table

MakeTable = Callable[..., Table]


def test_stamp(cli: Cli, make_table: MakeTable) -> None:
    """`--marker stamp` sets one attribute to the run's id, once per run, over any earlier value."""
    table = make_table()
    table.fill(hash_rows(60))
    table.fill({"pk": {"S": f"odd-{n}"}, "refire_run_id": {"N": "3"}} for n in range(5))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--marker", "stamp", "--run-id", "rerun-of-monday")

    assert result.code == 0, result.stderr
    assert_summary(result.json, run_id="rerun-of-monday", touched=65)
    before.assert_fired(marker="refire_run_id", touch=stamped("rerun-of-monday"))


def test_stamp_of_the_next_run(cli: Cli, make_table: MakeTable) -> None:
    """A second stamping run, into a named attribute, fires all items again with its own id."""
    table = make_table()
    table.fill(hash_rows(60))
    options = ("--marker", "stamp", "--marker-attribute", "fired by")
    first = cli.refire(table.name, *options)
    assert first.code == 0, first.stderr
    before = Snapshot.of(table)

    second = cli.refire(table.name, *options)

    assert second.code == 0, second.stderr
    assert second.json["run_id"] != first.json["run_id"]
    before.assert_fired(marker="fired by", touch=stamped(second.json["run_id"]))


@pytest.mark.parametrize("writer", ["partiql", "update"])
def test_writer(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, writer: str) -> None:
    """`--writer` chooses the write operation; both fire every item once."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(300))
    before = Snapshot.of(table)

    result = proxied_cli.refire(table.name, "--writer", writer)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=300)
    before.assert_fired()
    calls = {"partiql": "BatchExecuteStatement", "update": "UpdateItem"}
    assert proxy.operations & WRITES == {calls[writer]}


@on_one_backend
def test_batches_are_full(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Up to 25 updates per batch: 500 items of one segment take little more than 20 calls."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(500))

    result = proxied_cli.refire(table.name, "--segments", "1")

    assert result.code == 0, result.stderr
    sizes = [
        len(call.body["Statements"]) for call in proxy.calls if call.operation == "BatchExecuteStatement"
    ]
    assert sum(sizes) == 500
    assert max(sizes) == 25
    assert len(sizes) <= 24


@on_one_backend
def test_scan_projects_what_a_touch_needs(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Only keys and marker are read, not the other attributes."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(50))

    result = proxied_cli.refire(table.name)

    assert result.code == 0, result.stderr
    scans = [call.body for call in proxy.calls if call.operation == "Scan"]
    assert scans
    for scan in scans:
        names = scan.get("ExpressionAttributeNames", {})
        projected = {
            names.get(part.strip(), part.strip()) for part in scan["ProjectionExpression"].split(",")
        }
        assert projected == {"pk", "sk", "revision"}


def test_dry_run(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """`--dry-run` shows what a run would touch and cost, sends no write and leaves no run to resume."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(200))
    before = Snapshot.of(table)

    result = proxied_cli.refire(table.name, "--dry-run")

    assert result.code == 0, result.stderr
    assert_summary(result.json, status="dry-run", scanned=200)
    assert result.json["wcu"] >= 200
    assert not proxy.operations & WRITES
    before.assert_untouched()


@on_one_backend
def test_dry_run_of_a_few(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """`--max-items` limits the reads of a dry run."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(200))

    result = proxied_cli.refire(table.name, "--dry-run", "--max-items", "50")

    assert result.code in (0, 3), result.stderr
    assert_summary(result.json, status="dry-run", scanned=50)
    assert not proxy.operations & WRITES


def test_max_items_then_resume(cli: Cli, make_table: MakeTable) -> None:
    """`--max-items` stops after that many items with exit code 3; `resume` touches the others, none twice."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(700))
    before = Snapshot.of(table)

    first = cli.refire(table.name, "--max-items", "100")

    assert first.code == 3, first.stderr
    assert_summary(first.json, status="stopped", touched=100)
    assert first.json["checkpoint"]
    before.assert_fired(before.changes())
    assert len(before.changes()) == 100

    rest = cli.resume(first.json["run_id"])

    assert rest.code == 0, rest.stderr
    assert_summary(rest.json, run_id=first.json["run_id"], status="complete", touched=700, scanned=700)
    before.assert_fired()


@on_one_backend
def test_max_items_above_the_number_of_items(cli: Cli, make_table: MakeTable) -> None:
    """A limit that is not reached has no effect."""
    table = make_table()
    table.fill(hash_rows(30))
    result = cli.refire(table.name, "--max-items", "1000")
    assert result.code == 0, result.stderr
    assert_summary(result.json, status="complete", touched=30)


@on_one_backend
@pytest.mark.parametrize(
    "limits",
    [
        ("--max-wcu", "2000"),
        ("--max-rcu", "200"),
        ("--max-rate", "400"),
        ("--workers", "1"),
        ("--wcu-percent", "50"),
    ],
    ids=lambda limits: limits[0],
)
def test_limits_skip_nothing(cli: Cli, make_table: MakeTable, limits: tuple[str, str]) -> None:
    """With any limit every item fires once."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill(composite_rows(400))
    before = Snapshot.of(table)

    result = cli.refire(table.name, *limits)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=400)
    before.assert_fired()


def rows_with_times_to_live(now: int) -> list[Item]:
    """60 items in turns: expired, about to expire in an hour, and with a TTL attribute that is no time."""
    times = [{"N": str(now - 3600)}, {"N": str(now + 3600)}, {"S": "never"}]
    return [{**row, "expires at": times[n % 3]} for n, row in enumerate(hash_rows(60))]


def test_expired_items_are_skipped(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """Items past their time to live, which DynamoDB deletes within days, are counted and not fired.

    DynamoDB Local deletes them within a second, so TTL is only said to be on.
    """
    table = make_table()
    now = int(time.time())
    table.fill(rows_with_times_to_live(now))
    before = Snapshot.of(table)
    description = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires at"}
    enabled = Reply(200, json.dumps({"TimeToLiveDescription": description}).encode())
    proxy.instead = lambda call: enabled if call.operation == "DescribeTimeToLive" else None

    result = proxied_cli.refire(table.name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=60, touched=40, expired=20)
    before.assert_fired(before.select(lambda item: item["expires at"] != {"N": str(now - 3600)}))


def test_time_to_live_in_the_future(cli: Cli, make_table: MakeTable) -> None:
    """In a table with TTL enabled, items that have not expired fire."""
    table = make_table()
    now = int(time.time())
    table.fill(row for row in rows_with_times_to_live(now) if row["expires at"] != {"N": str(now - 3600)})
    before = Snapshot.of(table)
    table.backend.dynamodb.update_time_to_live(
        TableName=table.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires at"}
    )

    result = cli.refire(table.name)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=40, expired=0)
    before.assert_fired()


@on_one_backend
def test_options_from_the_environment(cli: Cli, make_table: MakeTable) -> None:
    """Every option can be set as `REFIRE_…`; the option itself overrides it."""
    table = make_table()
    table.fill(hash_rows(30))
    before = Snapshot.of(table)
    env = {
        "REFIRE_TABLE": table.name,
        "REFIRE_ENDPOINT_URL": table.backend.url,
        "REFIRE_MARKER_ATTRIBUTE": "from environment",
        "REFIRE_RUN_ID": "from-environment",
        "REFIRE_SEGMENTS": "3",
        "REFIRE_JSON": "1",
    }

    result = cli.run("run", "--run-id", "from-flag", env=env)

    assert result.code == 0, result.stderr
    assert_summary(result.json, run_id="from-flag", touched=30)
    before.assert_fired(marker="from environment")


@on_one_backend
def test_bad_value_in_the_environment(cli: Cli, make_table: MakeTable) -> None:
    """A bad value in a variable is a usage error that names the variable."""
    result = cli.run("run", "--table", make_table().name, env={"REFIRE_SEGMENTS": "many"})
    assert result.code == 2
    assert len(result.error_lines) == 1, result.stderr
    assert "segments" in result.stderr.lower()
