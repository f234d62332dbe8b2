"""Runs that cannot work are refused before anything is written: one line that says what to do, exit code 10 or 2."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli, Result
from tests.support.judge import Snapshot, assert_summary
from tests.support.processes import free_port
from tests.support.proxy import WRITES, Call, Proxy, Reply
from tests.support.rows import hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def assert_refused(result: Result, *codes: int, hint: str) -> None:
    """One line on standard error with `hint`, no result on standard output, one of the exit codes."""
    assert result.code in codes, result.stderr
    assert len(result.error_lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert hint.lower() in result.stderr.lower()
    # A refusal can follow the start event; there is no summary either way.
    assert all("event" in json.loads(line) for line in result.stdout.splitlines())


def filled(table: Table) -> Snapshot:
    """The table with a few items."""
    table.fill(hash_rows(30))
    return Snapshot.of(table)


@pytest.mark.on_dynamodb_local("table")
@pytest.mark.parametrize("part", ["account", "region", "table"])
def test_an_arn_of_another_account_or_region(cli: Cli, make_table: MakeTable, part: str) -> None:
    """The table of the same name in the user's own account and region is not touched."""
    table = make_table()
    before = filled(table)
    arn = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]["TableArn"]
    fields = arn.split(":")
    other = {"region": 3, "account": 4}
    if part in other:
        fields[other[part]] = {"region": "ap-south-1", "account": "999999999999"}[part]
        hint = "is not the table that these credentials reach"
    else:
        fields[5] = "table/absent-table"
        hint = "there is no table arn:"

    assert_refused(cli.refire(":".join(fields)), 10, hint=hint)
    before.assert_untouched()


def test_an_arn_of_this_account_and_region(cli: Cli, make_table: MakeTable) -> None:
    """An ARN is equivalent to the name of its table."""
    table = make_table()
    filled(table)
    arn = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]["TableArn"]

    result = cli.refire(arn)

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=30)
    assert result.json["table"] == table.name


def test_stream_disabled(cli: Cli, make_table: MakeTable) -> None:
    """Without a stream or a Kinesis destination no consumer gets an event: refused, with the option to ignore it."""
    table = make_table(stream=False)
    table.fill(hash_rows(30))
    before = table.items()

    result = cli.refire(table.name)

    assert_refused(result, 10, hint="--ignore stream-disabled")
    assert table.items() == before


def test_stream_disabled_ignored(cli: Cli, make_table: MakeTable) -> None:
    """With `--ignore stream-disabled` it runs."""
    table = make_table(stream=False)
    table.fill(hash_rows(30))

    result = cli.refire(table.name, "--ignore", "stream-disabled")

    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=30)
    assert all(item["revision"] == {"N": "1"} for item in table.items().values())


def test_stream_that_was_disabled(cli: Cli, make_table: MakeTable) -> None:
    """An earlier stream does not count, though the table still has its ARN."""
    table = make_table()
    table.fill(hash_rows(3))
    table.backend.dynamodb.update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})
    assert_refused(cli.refire(table.name), 10, hint="stream-disabled")


def test_wrong_table(cli: Cli) -> None:
    """A missing table is named, with account and region."""
    result = cli.refire("no-such-table")
    assert_refused(result, 10, hint="no-such-table")
    assert "region" in result.stderr.lower() or "eu-west-1" in result.stderr


@on_one_backend
def test_no_credentials(cli: Cli, make_table: MakeTable) -> None:
    """Without credentials the line says how to provide them."""
    before = filled(table := make_table())
    nothing = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}

    result = cli.run("run", "--table", table.name, "--json", env=nothing)

    assert_refused(result, 10, hint="credentials")
    before.assert_untouched()


@on_one_backend
def test_unknown_profile(cli: Cli, make_table: MakeTable) -> None:
    """An unknown profile is named."""
    result = cli.refire(make_table().name, "--profile", "missing")
    assert_refused(result, 2, 10, hint="missing")


@on_one_backend
def test_no_region(cli: Cli, make_table: MakeTable) -> None:
    """Without a region the line says how to set one."""
    result = cli.run("run", "--table", make_table().name, "--json", env={"AWS_REGION": None})
    assert_refused(result, 2, 10, hint="--region")


def test_region_that_does_not_exist(tmp_path: Path) -> None:
    """A well-formed region that AWS does not have: its endpoint has no address, and is named."""
    assert_refused(Cli(tmp_path).refire("any-table", "--region", "mars-north-1"), 10, hint="mars-north-1")


@on_one_backend
def test_unreachable_endpoint(cli: Cli) -> None:
    """No server listens there: refused within seconds, naming the endpoint."""
    where = f"127.0.0.1:{free_port()}"
    assert_refused(cli.refire("any-table", "--endpoint-url", f"http://{where}"), 10, hint=where)


@on_one_backend
@pytest.mark.parametrize(("marker", "attribute"), [("revision", "pk"), ("stamp", "sk")])
def test_marker_that_is_a_key(cli: Cli, make_table: MakeTable, marker: str, attribute: str) -> None:
    """A key attribute cannot be changed, so it cannot be the marker."""
    table = make_table(("pk", "S"), ("sk", "N"))
    table.fill({"pk": {"S": "a"}, "sk": {"N": str(n)}} for n in range(5))
    before = Snapshot.of(table)

    result = cli.refire(table.name, "--marker", marker, "--marker-attribute", attribute)

    assert_refused(result, 2, 10, hint=attribute)
    assert "key" in result.stderr
    before.assert_untouched()


READ_CALLS = ["DescribeTable", "Scan"]


@on_one_backend
@pytest.mark.parametrize("operation", READ_CALLS)
def test_no_permission_to_read(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, operation: str) -> None:
    """AccessDenied on a read: refused, naming the missing permission; no write was tried."""
    before = filled(table := make_table())
    proxy.instead = lambda call: Reply.access_denied(operation) if call.operation == operation else None

    result = proxied_cli.refire(table.name)

    assert_refused(result, 10, hint=f"dynamodb:{operation}")
    assert not proxy.operations & WRITES
    before.assert_untouched()


@on_one_backend
@pytest.mark.parametrize("writer", ["partiql", "update"])
def test_no_permission_to_write(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, writer: str) -> None:
    """AccessDenied on the first write: refused, naming the permission; no further item is tried."""
    before = filled(table := make_table())
    operation, action = {
        "partiql": ("BatchExecuteStatement", "PartiQLUpdate"),  # there is no action named like the call
        "update": ("UpdateItem", "UpdateItem"),
    }[writer]
    proxy.instead = lambda call: Reply.access_denied(action) if call.operation == operation else None

    result = proxied_cli.refire(table.name, "--writer", writer)

    assert_refused(result, 10, hint=f"dynamodb:{action}")
    before.assert_untouched()


@on_one_backend
def test_no_permission_in_a_batch(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable) -> None:
    """A batch may get status 200 and AccessDenied for every member: the same refusal."""
    before = filled(table := make_table())

    def deny(call: Call) -> Reply | None:
        if call.operation != "BatchExecuteStatement":
            return None
        error = {
            "Error": {"Code": "AccessDenied", "Message": "not authorized to perform: dynamodb:PartiQLUpdate"}
        }
        return Reply(200, json.dumps({"Responses": [error] * len(call.body["Statements"])}).encode())

    proxy.instead = deny

    result = proxied_cli.refire(table.name)

    assert_refused(result, 10, hint="dynamodb:PartiQLUpdate")
    before.assert_untouched()


@on_one_backend
@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("UnrecognizedClientException", "credentials"),
        ("ExpiredTokenException", "expired"),
        ("InvalidSignatureException", "signature"),
    ],
)
def test_credentials_that_are_not_accepted(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, kind: str, hint: str
) -> None:
    """Invalid credentials and missing ones have different messages."""
    table = make_table()
    message = f"The {hint} included in the request is not accepted"
    proxy.instead = lambda _call: Reply.error(400, kind, message)
    assert_refused(proxied_cli.refire(table.name), 10, hint=hint)
    assert not proxy.operations & WRITES
