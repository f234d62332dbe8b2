"""Commands with the policies that `refire iam-policy` prints for them."""

from collections.abc import Callable
from typing import Any

import pytest

from refire_async.aws.permissions import Use, parse_arn, policy
from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.iam import allows, needed
from tests.support.proxy import Call, Proxy, Reply
from tests.support.rows import composite_rows
from tests.support.tables import Index, Schema, Table

MakeTable = Callable[..., Table]

SELECTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "whole table": ({}, ()),
    "one key of an index, item by item": (
        {"index": "by-day", "by_key": True, "writer": "update"},
        ("--writer", "update", "--index", "by-day", "--key-value", "d0"),
    ),
    "keys file": ({"keys_file": "keys.jsonl"}, ("--keys-file", "keys.jsonl")),
    "dry run": ({"dry_run": True}, ("--dry-run",)),
}


@on_one_backend
@pytest.mark.parametrize("kind", SELECTIONS)
def test_a_run_with_its_policy(proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, kind: str) -> None:
    """A service that allows exactly the policy: the run completes, with a stop and a resume."""
    given, options = SELECTIONS[kind]
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S"))),))
    table.fill({**row, "day": {"S": f"d{n % 3}"}} for n, row in enumerate(composite_rows(60, collections=3)))
    keys = "".join(f'{{"pk":"customer-{n % 3}","sk":{n}}}\n' for n in range(60))
    (proxied_cli.home / "keys.jsonl").write_text(keys)
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table.name}"
    document = policy(Use(table=parse_arn(arn), commands=("run", "resume"), **given))

    proxy.instead = judge(document, arn)
    # Another writer's change makes the run look an item up again.
    proxy.afterwards = lambda call: _interfere(call, table)

    if "--dry-run" in options:
        result = proxied_cli.refire(table.name, *options)
    else:
        first = proxied_cli.refire(table.name, *options, "--run-id", "r", "--max-items", "7")
        assert first.code == 3, first.stderr
        result = proxied_cli.resume("r", *options[:2] if "--writer" in options else ())

    assert result.code == 0, result.stderr
    assert result.json["failed"] == 0
    seen = {needed(call, arn) for call in proxy.calls}
    assert all(allows(document, *pair) for pair in seen)
    # No permission for the items of this table is unused.
    reads = {action for action, _ in seen} & {"dynamodb:Scan", "dynamodb:Query"}
    allowed = {action for statement in document["Statement"] for action in statement["Action"]}
    assert reads == allowed & {"dynamodb:Scan", "dynamodb:Query"}


def judge(document: dict[str, Any], arn: str) -> Callable[[Call], Reply | None]:
    """Deny what the policy does not allow."""

    def answer(call: Call) -> Reply | None:
        action, resource = needed(call, arn)
        return None if allows(document, action, resource) else Reply.access_denied(action.partition(":")[2])

    return answer


@on_one_backend
@pytest.mark.parametrize("index", [None, "by-day"])
def test_a_check_and_a_verification_with_their_policies(
    proxied_cli: Cli, proxy: Proxy, make_table: MakeTable, index: str | None
) -> None:
    """Each with its own: a check tries the write, a verification reads the stream and no item."""
    table = make_table(("pk", "S"), ("sk", "N"), indexes=(Index("by-day", Schema(("day", "S"))),))
    table.fill({**row, "day": {"S": "d0"}} for row in composite_rows(30))
    arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table.name}"
    through = ("--index", index) if index else ()

    proxy.instead = judge(policy(Use(table=parse_arn(arn), commands=("check",), index=index)), arn)
    found = proxied_cli.run("check", "--table", table.name, "--json", *through, "--endpoint-url", proxy.url)
    assert found.code == 0, found.stdout
    assert not {finding["id"] for finding in found.json["findings"]} & {"permission-missing", "not-sampled"}
    assert "BatchExecuteStatement" in proxy.operations

    proxy.instead = lambda _call: None
    assert proxied_cli.refire(table.name, "--run-id", "r").code == 0
    proxy.calls.clear()
    document = policy(Use(table=parse_arn(arn), commands=("verify",)))
    proxy.instead = judge(document, arn)
    proof = proxied_cli.run("verify", "r", "--json")
    assert proof.code == 0, proof.stderr
    assert proof.json["once"] == 30
    seen = {needed(call, arn)[0] for call in proxy.calls}
    assert seen == {action for statement in document["Statement"] for action in statement["Action"]}


def _interfere(call: Call, table: Table) -> None:
    if call.operation in ("Scan", "Query") and call.number == 1:
        table.backend.dynamodb.update_item(
            TableName=table.name,
            Key={"pk": {"S": "customer-1"}, "sk": {"N": "1"}},
            UpdateExpression="SET revision = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
