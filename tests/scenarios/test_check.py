"""`refire check`, and the same checks before a run."""

import json
from collections.abc import Callable

from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def test_nothing_stops_a_run(cli: Cli, make_table: MakeTable) -> None:
    """Exit code 0, one JSON object with the documented members, and an unchanged table: on DynamoDB Local too."""
    table = make_table()
    table.fill(hash_rows(30))
    before = table.items()
    result = cli.run("check", "--table", table.name, "--json")
    assert result.code == 0, result.stderr
    assert set(result.json) == {"table", "findings"}
    assert result.json["table"] == table.name
    for finding in result.json["findings"]:
        assert list(finding) == ["id", "level", "message", "action"]
        assert finding["level"] == "info"
    assert result.stderr == ""
    assert table.items() == before
    assert all(len(changes) == 1 for changes in table.changes().values())


@on_one_backend
def test_a_stop_is_exit_code_10(cli: Cli, make_table: MakeTable) -> None:
    """As a table of 80 columns, the most serious first, and as JSON."""
    table = make_table(stream=False)
    table.fill({**row, "revision": {"S": "v1"}} for row in hash_rows(30))
    shown = cli.run("check", "--table", table.name)
    assert (shown.code, shown.stderr) == (10, "")
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("stop   stream-disabled")
    assert "marker-type" in shown.stdout
    assert "1 stop, 1 warning" in shown.stdout
    as_json = cli.run("check", "--table", table.name, "--json")
    assert as_json.code == 10
    assert [finding["id"] for finding in as_json.json["findings"]][:2] == ["stream-disabled", "marker-type"]


@on_one_backend
def test_a_run_logs_warnings_and_continues(cli: Cli, make_table: MakeTable) -> None:
    """The log has the findings of a check."""
    table = make_table()
    table.fill({**row, "revision": {"N": str(n * 100)}} for n, row in enumerate(hash_rows(30)))
    result = cli.refire(table.name)
    assert result.code == 0, result.stderr
    events = [json.loads(line) for line in result.stderr.splitlines()]
    (noticed,) = [event for event in events if event["event"].startswith("check.")]
    assert (noticed["event"], noticed["level"]) == ("check.marker-lock", "warning")
    assert "--marker-attribute" in noticed["action"]


@on_one_backend
def test_a_stop_ends_a_run_unless_it_is_ignored(cli: Cli, make_table: MakeTable) -> None:
    """One line that names the option, exit code 10, nothing written; with the option the run continues and logs it."""
    table = make_table()
    table.fill(hash_rows(30))
    before = table.items()
    elsewhere = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"
    refused = cli.refire(table.name, "--stream-arn", elsewhere)
    assert refused.code == 10
    assert len(refused.error_lines) == 1
    assert "--ignore stream-other" in refused.stderr
    assert table.items() == before
    ignored = cli.refire(table.name, "--stream-arn", elsewhere, "--ignore", "stream-other,global-table")
    assert ignored.code == 0, ignored.stderr
    assert '"check.stream-other"' in ignored.stderr


@on_one_backend
def test_an_unknown_finding(cli: Cli) -> None:
    """A misspelt id must not count as ignored."""
    result = cli.refire("orders", "--ignore", "stream-disable")
    assert result.code == 2
    assert "stream-disabled" in result.stderr
