"""The policy that `refire iam-policy` prints allows exactly what a command sends."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from hypothesis import given
from hypothesis import strategies as st

import refire_async
from refire_async.aws.permissions import COMMANDS, NEEDS, Use, parse_arn, policy
from refire_async.errors import UsageError
from tests.support.iam import allows

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
SERVICES = (
    "dynamodb", "dynamodbstreams", "lambda", "cloudwatch", "application-autoscaling", "kinesis", "pipes", "s3", "sqs"
)  # fmt: skip
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:orders-consumer"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:failed"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"

uses = st.builds(
    Use,
    table=st.just(parse_arn(ARN)),
    commands=st.lists(st.sampled_from(COMMANDS), min_size=1, unique=True).map(tuple),
    index=st.none() | st.just("by-day"),
    by_key=st.booleans(),
    keys_file=st.sampled_from([None, "failed.jsonl", "s3://bucket/a/b.jsonl"]),
    export=st.sampled_from([None, "export", "s3://bucket/a/AWSDynamoDB/0-1"]),
    writer=st.sampled_from(["partiql", "update"]),
    dry_run=st.booleans(),
    function=st.sampled_from([None, FUNCTION, f"{FUNCTION}:live"]),
    items=st.booleans(),
    failed=st.sampled_from([None, QUEUE, "s3://bucket", "s3://bucket/aws/lambda/u-1/"]),
    keep=st.booleans(),
    kms_key=st.none() | st.just(KEY),
)


@given(uses)
def test_a_policy_is_well_formed_and_of_this_table_only(use: Use) -> None:
    """No wildcards in actions; `*` as a resource only for services without resources; different Sids."""
    document = policy(use)
    assert document["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert statement["Sid"].isalnum()
        assert statement["Action"]
        assert not any("*" in action for action in statement["Action"])
        services = {action.partition(":")[0] for action in statement["Action"]}
        resources = statement["Resource"]
        for resource in resources if isinstance(resources, list) else [resources]:
            if resource == "*":
                assert services <= {"lambda", "cloudwatch", "application-autoscaling", "pipes"}
            elif services == {"dynamodb"}:
                assert re.fullmatch(re.escape(ARN) + r"(/stream/\*|/index/by-day)?", resource)
    assert len(json.dumps(document, separators=(",", ":"))) < 6_144  # a managed policy's limit (IAM quotas)


@given(uses)
def test_only_commands_that_write_may_write(use: Use) -> None:
    """Only run, resume and check (which tests it) have the permission to touch, in one form; none may create items."""
    actions = {action for statement in policy(use)["Statement"] for action in statement["Action"]}
    writes = {
        action
        for action in actions
        if re.search("dynamodb:.*(PartiQL|Update|Put|Delete|Create|Write)", action)
    }
    may_write = "check" in use.commands or (set(use.commands) & {"run", "resume"} and not use.dry_run)
    wanted = {"dynamodb:PartiQLUpdate" if use.writer == "partiql" else "dynamodb:UpdateItem"}
    assert writes == (wanted if may_write else set())


@given(uses)
def test_a_delivery_may_do_what_it_is_for(use: Use) -> None:
    """Invoke the one function, receive from the one queue or prefix, and none of it in a dry run or for a touch."""
    document = policy(use)
    delivers = {"replay", "redrive"} & set(use.commands)
    invokes = bool(use.function and delivers and not use.dry_run)
    assert allows(document, "lambda:InvokeFunction", use.function or FUNCTION) == invokes
    assert not allows(document, "lambda:InvokeFunction", FUNCTION + "-other")
    if use.function == f"{FUNCTION}:live":
        assert not allows(document, "lambda:InvokeFunction", FUNCTION)
    reads_queue = use.failed == QUEUE and "redrive" in use.commands
    assert allows(document, "sqs:ReceiveMessage", QUEUE) == reads_queue
    assert allows(document, "sqs:DeleteMessage", QUEUE) == (reads_queue and not use.keep and not use.dry_run)
    lists = use.failed is not None and use.failed.startswith("s3://") and "redrive" in use.commands
    assert allows(document, "s3:ListBucket", "arn:aws:s3:::bucket") == lists
    if lists:
        assert allows(document, "s3:GetObject", "arn:aws:s3:::bucket/aws/lambda/u-1/shardId-1/x")
    assert allows(document, "kms:Decrypt", KEY) == bool(use.kms_key and delivers)
    assert allows(document, "dynamodb:GetRecords", f"{ARN}/stream/2026") == bool(
        delivers | {"verify", "doctor"} & set(use.commands)
    )
    if set(use.commands) == {"replay"} and not use.items:
        assert not allows(document, "dynamodb:Scan", ARN)
        assert not allows(document, "dynamodb:Query", ARN)


@given(uses, uses)
def test_more_commands_never_allow_less(one: Use, other: Use) -> None:
    both = replace(one, commands=tuple(dict.fromkeys((*one.commands, *other.commands))))
    assert set(one.operations()) <= set(both.operations())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        ARN + "/index/x",
        ARN + "\n",
        "arn:aws:s3:::b",
        ARN.replace("aws", "*", 1),
        ARN[:-6] + "*",
    ],
)
def test_a_text_that_is_no_table_arn_is_refused(text: str) -> None:
    """Especially wildcards, which would allow too much."""
    with pytest.raises(UsageError, match="must be the ARN of a table"):
        parse_arn(text)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_other_partitions(partition: str) -> None:
    """All resources are in the table's partition."""
    arn = ARN.replace("arn:aws:", f"arn:{partition}:")
    assert str(parse_arn(arn)) == arn
    export = policy(Use(table=parse_arn(arn), export="s3://b/p/AWSDynamoDB/0-1"))
    assert allows(export, "s3:GetObject", f"arn:{partition}:s3:::b/p/AWSDynamoDB/0-1/manifest-files.json")
    assert allows(export, "s3:GetObject", f"arn:{partition}:s3:::b/p/AWSDynamoDB/data/x.json.gz")
    assert not allows(export, "s3:GetObject", f"arn:{partition}:s3:::b/p/other")
    assert not allows(export, "dynamodb:Scan", arn)
    document = policy(Use(table=parse_arn(arn), keys_file="s3://b/k"))
    assert allows(document, "s3:GetObject", f"arn:{partition}:s3:::b/k")
    assert allows(document, "dynamodb:DescribeStream", f"{arn}/stream/2026-01-01T00:00:00.000")


# What the program can send: every operation in its source.


_OWN_METHODS = ("scan", "query", "invoke")
"""Methods of our own and of click with names of operations; hot calls are found by their names anyway."""


def operations_of(service: str) -> set[str]:
    model = botocore.session.Session().get_service_model(service)
    return set(model.operation_names)


def named_in_source() -> Iterator[tuple[str, str, str]]:
    """(module, service, operation) for every method of an AWS client and every name of a hot call."""
    package = Path(refire_async.__file__).parent
    by_service = {service: operations_of(service) for service in SERVICES}
    methods = {
        xform_name(name): (service, name) for service, names in by_service.items() for name in sorted(names)
    }
    hot = by_service["dynamodb"] | by_service["dynamodbstreams"]
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        # The sandbox serves operations; the demo has its own sandbox; tables of names are not calls.
        if module.startswith(("sandbox/", "cli/demo")) or module in ("permissions.py", "aws/error_hints.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in methods and node.attr not in _OWN_METHODS:
                yield (module, *methods[node.attr])
            elif isinstance(node, ast.Constant) and node.value in hot:
                service = "dynamodb" if node.value in by_service["dynamodb"] else "dynamodbstreams"
                yield (module, service, node.value)


def test_every_operation_in_the_source_is_in_the_table() -> None:
    """A new call needs an entry with its permission and the commands that make it."""
    named = list(named_in_source())
    missing = {(service, name, module) for module, service, name in named if (service, name) not in NEEDS}
    assert not missing, "add them to refire_async/aws/permissions.py"
    # The table has only operations that the service has.
    for service, name in NEEDS:
        assert name in operations_of(service)
    hot = {"Scan", "Query", "BatchGetItem", "BatchExecuteStatement", "UpdateItem", "GetRecords"}
    assert hot <= {name for _, _, name in named}


def test_the_documentation_lists_them_all() -> None:
    """docs/security.md has a row for every action, with the commands that use it."""
    text = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+:\w+)` \| [^|]+ \| ([a-z, ]+) \|$", text, re.MULTILINE)
    needs = [need for need in NEEDS.values() if need.commands]  # the others are for a person, once
    assert dict(rows) == {need.action: ", ".join(need.commands) for need in needs}
    assert len(rows) == len(needs)
