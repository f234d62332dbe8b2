"""Standard output has results only, in the documented form; secrets are never written."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import SECRETS, Cli
from tests.support.judge import SUMMARY_FIELDS, assert_summary
from tests.support.proxy import Proxy, Reply
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]

COUNTS = (
    "scanned",
    "touched",
    "already",
    "conflicts",
    "vanished",
    "expired",
    "failed",
    "throttled",
    "retries",
)


def test_summary_as_json(cli: Cli, make_table: MakeTable) -> None:
    """`--json` ends with one line, one object with exactly the documented fields and types; events precede it."""
    table = make_table()
    table.fill(hash_rows(40))

    result = cli.run("run", "--table", table.name, "--json", "--run-id", "a-run.1")

    assert result.code == 0, result.stderr
    assert result.stdout.endswith("\n")
    events = [orjson.loads(line) for line in result.stdout.splitlines()]
    summary: dict[str, Any] = events.pop()
    assert {event["event"] for event in events} >= {"start", "checkpoint"}
    assert {event["run_id"] for event in events} == {"a-run.1"}
    assert tuple(summary) == SUMMARY_FIELDS
    assert all(type(summary[name]) is int for name in COUNTS)
    assert all(type(summary[name]) in (int, float) for name in ("wcu", "rcu", "seconds", "items_per_second"))
    assert summary["seconds"] > 0
    assert summary["items_per_second"] == pytest.approx(40 / summary["seconds"], rel=0.05)
    assert_summary(summary, run_id="a-run.1", table=table.name, status="complete", failed_keys_file=None)


@on_one_backend
def test_summary_as_text(cli: Cli, make_table: MakeTable) -> None:
    """Without `--json` the summary is text on standard output, without logs and progress."""
    table = make_table()
    table.fill(hash_rows(40))

    result = cli.run("run", "--table", table.name)

    assert result.code == 0, result.stderr
    assert table.name in result.stdout
    assert "touched" in result.stdout
    assert "40" in result.stdout
    assert '"event"' not in result.stdout
    assert "\x1b" not in result.stdout + result.stderr, "no terminal, no escape codes"


@on_one_backend
def test_run_ids_are_unique(cli: Cli, make_table: MakeTable) -> None:
    """Runs without a given id have different ones."""
    table = make_table()
    ids = {cli.refire(table.name).json["run_id"] for _ in range(3)}
    assert len(ids) == 3


@on_one_backend
@pytest.mark.parametrize("level", ["debug", "error"])
def test_log_level(cli: Cli, make_table: MakeTable, level: str) -> None:
    """`--log-level` changes standard error, never standard output."""
    table = make_table()
    table.fill(hash_rows(40))

    result = cli.refire(table.name, "--log-level", level, "--no-progress")

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=40)
    assert (result.stderr == "") is (level == "error")


@on_one_backend
def test_secrets_stay_secret(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """A service that echoes what was sent to it, in an error, does not get it into the output or a file.

    That nothing else does either is checked after every other scenario: see `Cli`.
    """
    table = make_table()
    table.fill(hash_rows(40))
    # Every third read and write fails, to cover retries and their log lines too.
    proxy.instead = lambda call: (
        Reply.error(500, "InternalServerError", f"token {SECRETS[1]} and key {SECRETS[0]}")
        if call.operation in ("Scan", "BatchExecuteStatement") and call.number % 3 == 1
        else None
    )

    result = proxied_cli.refire(table.name, "--log-level", "debug")

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=40)


@on_one_backend
def test_key_values_stay_out_of_the_log(cli: Cli, make_table: MakeTable) -> None:
    """Keys can be personal data: they are in the failed-keys file, not in logs."""
    table = make_table()
    table.fill([{"pk": {"S": f"ann.{n}@example.org"}, "revision": {"S": "no"}} for n in range(3)])

    result = cli.refire(table.name, "--log-level", "debug")

    assert result.code == 4, result.stderr
    assert "example.org" not in result.stdout + result.stderr
